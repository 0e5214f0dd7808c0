"""What a file is, told by its first bytes: its name may promise something else."""

import os
from pathlib import Path

_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"heim": "HEIC"}
_BRANDS |= {b"hevc": "HEIC", b"avif": "AVIF", b"avis": "AVIF"}
_STARTS = (
    (b"\xff\xd8\xff", "a JPEG"),
    (b"\x89PNG\r\n\x1a\n", "a PNG"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"8BPS", "a Photoshop file"),
    (b"\x93NUMPY", "an array of NumPy (.npy)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"MATLAB", "a file of MATLAB"),
    (b"P1", "a PNM"),
    (b"P2", "a PNM"),
    (b"P3", "a PNM"),
    (b"P4", "a PNM"),
    (b"P5", "a PNM"),
    (b"P6", "a PNM"),
    (b"\0\5\x16\7", "what macOS leaves beside a file (AppleDouble): delete it"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
)
_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"}


def kind_of(file: Path) -> str:
    """What the file is, in words ("a JPEG", "empty"); "" if its first bytes do not tell."""
    if file.is_dir():
        return "a folder"
    try:
        with open(file, "rb") as stream:
            head = stream.read(512)
    except OSError:
        return ""
    if not head.strip(b"\0"):
        return f"{'full of zeros' if head else 'empty'}: copy or make it again"
    if head[4:8] == b"ftyp":
        brand = _BRANDS.get(head[8:12], "")
        return f"a picture in {brand} (telephones write it)" if brand == "HEIC" else f"an {brand}"
    if head[:4] == b"RIFF":
        return "a WebP" if head[8:12] == b"WEBP" else ""
    if b"/annex/objects/" in head or head.startswith(b"outs:\n"):
        return "a pointer of git-annex or DVC: fetch the file itself"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page: the download failed"
    if text.startswith((b"<svg", b"<?xml")):
        return "an SVG or XML file"
    return next((kind for start, kind in _STARTS if head.startswith(start)), "")


def litter(name: str) -> bool:
    """Whether a file of this name is what systems leave behind: never data."""
    return name.startswith(".") or name.casefold() in _LITTER


def pruned(folder: str | os.PathLike) -> list[str]:
    """Names of what lies in a folder, sorted, without litter; none where there is no folder."""
    try:
        return sorted(name for name in os.listdir(folder) if not litter(name))
    except (FileNotFoundError, NotADirectoryError):
        return []
