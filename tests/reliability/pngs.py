"""PNG files by hand: bombs, and damage behind right checksums."""

import struct
import zlib

MAGIC = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims so many pixels, in a few hundred bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000))
    return MAGIC + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def mended(png: bytes) -> bytes:
    """The same chunks with right checksums, so that damage reaches the decoder behind them."""
    place, out = len(MAGIC), png[: len(MAGIC)]
    while place + 8 <= len(png):
        size = int.from_bytes(png[place : place + 4]) & 0xFFFF
        out += chunk(png[place + 4 : place + 8], png[place + 8 : place + 8 + size])
        place += 12 + size
    return out
