"""What the course ships: the notebooks with the outputs of a finished run, and that run itself, packed.

A reader who has computed nothing sees every figure, and may open any notebook first: `notebook.start` unpacks the shipped run.
"""

import hashlib
import io
import json
import lzma
import os
import shutil
import tarfile
from pathlib import Path

from .runs import NOTEBOOKS, ROOT, Run, RunError

PACKED = ROOT / "data" / "lesson.tar.xz"
LARGEST = 1_500_000  # bytes of a committed notebook


def publish(run: Run) -> None:
    """Put a finished run's outputs into notebooks/, and pack its stages into data/lesson.tar.xz (data/lesson.json says what it is).

    Raises:
        RunError: the run is not finished, or an executed notebook holds an error, a path of this machine, or too many bytes.
    """
    names = sorted(f.name for f in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    results = run.directory / "results.json"
    if missing := [f.name for f in (results, *(run.directory / "notebooks" / name for name in names)) if not f.exists()]:
        raise RunError(f"{run.directory} is no finished run, it lacks {', '.join(missing)}: `python -m aelib run` finishes it")
    clean = {name: cleaned(run.directory / "notebooks" / name) for name in names}  # all are checked before one is written
    for name, text in clean.items():
        (NOTEBOOKS / name).write_text(text, encoding="utf-8")
    packed, content = pack(run), json.loads(results.read_text())
    PACKED.write_bytes(packed)
    about = {"sha256": hashlib.sha256(packed).hexdigest()} | {key: content[key] for key in ("settings", "versions", "machine")}
    PACKED.with_name("lesson.json").write_text(json.dumps(about, indent=1) + "\n")


def cleaned(file: Path) -> str:
    """An executed notebook as it is committed: without papermill's own cell and metadata, times and stderr; cells counted from 1.

    Raises:
        RunError: see `publish`.
    """
    import nbformat

    node = nbformat.read(file, as_version=4)
    node.cells = [cell for cell in node.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    node.metadata = {"kernelspec": node.metadata.kernelspec, "language_info": {"name": "python"}}
    for cell in node.cells:
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
    for count, cell in enumerate((cell for cell in node.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if output.output_type == "error":
                raise RunError(f"{file}: cell [{count}] ended in {output.ename}: run the course again")
            if "execution_count" in output:
                output.execution_count = count
    text = nbformat.writes(node) + "\n"
    if any(str(folder) in text for folder in (Path.home(), ROOT)):
        raise RunError(f"{file} names a folder of this machine: no output may print a path")
    if len(text.encode()) > LARGEST:
        raise RunError(f"{file} would have {len(text.encode()):,} bytes; at most {LARGEST:,} are committed")
    return text


def pack(run: Run) -> bytes:
    """Settings, timings and all stages of a run as tar.xz; the same run gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        stages = sorted(f for f in run.directory.glob("*/*") if (f.parent / "manifest.json").exists())
        for file in [run.directory / "settings.json", run.directory / "timings.jsonl", *stages]:
            entry = tarfile.TarInfo(file.relative_to(run.directory).as_posix())
            entry.size = file.stat().st_size
            with open(file, "rb") as content:
                archive.addfile(entry, content)
    return lzma.compress(buffer.getvalue(), preset=9)


def unpack() -> Path:
    """The shipped run's directory, runs/lesson, unpacked on the first call.

    Raises:
        RunError: data/lesson.tar.xz is not what data/lesson.json says.
    """
    directory = ROOT / "runs" / "lesson"
    if directory.exists():
        return directory
    packed = PACKED.read_bytes()
    if hashlib.sha256(packed).hexdigest() != json.loads(PACKED.with_name("lesson.json").read_text())["sha256"]:
        raise RunError(f"{PACKED} is not what was shipped (truncated or changed): fetch it again, or give run_dir to compute a run of your own")
    temporary = directory.with_name(f"lesson.{os.getpid()}")
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(temporary, filter="data")  # refuses what would leave the folder
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise RunError(f"{PACKED} cannot be unpacked ({error}): fetch it again, or give run_dir to compute a run of your own") from error
    try:
        os.replace(temporary, directory)
    except OSError:  # another notebook was quicker
        shutil.rmtree(temporary)
    return directory
