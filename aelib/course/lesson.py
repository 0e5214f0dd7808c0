"""What the course ships: the notebooks with the outputs of a finished run, and that run, packed.

A reader who has computed nothing sees every figure, and can open any notebook first:
`notebook.start` unpacks the shipped run.
"""

import hashlib
import io
import lzma
import os
import re
import shutil
import tarfile
from base64 import b64decode
from pathlib import Path

from ..pipeline.directory import COPY, SETTINGS, refuse_installed, runs_folder, stage_folders
from ..pipeline.run import NOTEBOOKS, Run, RunError
from ..support.files import ROOT, link, read_json, write_json

PACKED = ROOT / "data" / "lesson.tar.xz"  # lesson.json beside it says what it is
STORY = ROOT / "docs" / "story.png"
LARGEST = 1_500_000  # bytes of a committed notebook
_CURE = "fetch it again, or give run_dir to compute a run of your own"


def course() -> list[Path]:
    """Return the notebooks, in order.

    Raises:
        RunError: they are not beside the package, or not there at all.
    """
    refuse_installed()
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise RunError(f"there is no notebook in {NOTEBOOKS}: fetch the project again")
    return found


def publish(run: Run) -> None:
    """Put a finished run's outputs into notebooks/, and pack its stages into data/lesson.tar.xz.

    The story's figure goes to docs/story.png, for the README.

    Raises:
        RunError: the run is not finished, or an executed notebook holds an error, a path of this
            machine, or too many bytes; or the notebooks are not beside the package.
    """
    executed = [run.directory / "notebooks" / file.name for file in course()]
    results = run.directory / "results.json"
    missing = [f.name for f in (results, *executed) if not f.exists()]
    if missing:
        raise RunError(
            f"{run.directory} is no finished run, it lacks {', '.join(missing)}: "
            "`python -m aelib run` finishes it"
        )
    clean = {file.name: cleaned(file) for file in executed}  # check all before writing one
    for name, text in clean.items():
        (NOTEBOOKS / name).write_text(text, encoding="utf-8")
    picture = re.search(r'data:image/png;base64,([^"\\]+)', clean[executed[0].name])
    if picture:  # the first of notebook 0: the README's
        STORY.write_bytes(b64decode(picture[1]))
    packed, content = pack(run.directory), read_json(results)
    PACKED.write_bytes(packed)
    about = {key: content[key] for key in ("settings", "versions", "machine")}
    write_json(PACKED.with_name("lesson.json"), {"sha256": _sha256(packed)} | about)


def cleaned(file: Path) -> str:
    """Return an executed notebook as it is committed.

    Papermill's own cell and metadata, times and stderr are dropped; cells count from 1.

    Raises:
        RunError: as `publish`.
    """
    import nbformat  # here: every notebook imports this module, and none needs it

    node = nbformat.read(file, as_version=4)
    node.cells = [cell for cell in node.cells if "injected-parameters" not in _tags(cell)]
    node.metadata = {
        "kernelspec": node.metadata.kernelspec,
        "language_info": {"name": "python"},
    }
    for cell in node.cells:
        cell.metadata = {"tags": _tags(cell)} if _tags(cell) else {}
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if output.output_type == "error":
                raise RunError(
                    f"{file}: cell [{count}] ended in {output.ename}: run the course again"
                )
            if "execution_count" in output:
                output.execution_count = count
    text = nbformat.writes(node) + "\n"
    _refuse_unfit(file, text)
    return text


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _refuse_unfit(file: Path, text: str) -> None:
    if any(str(folder) in text for folder in (Path.home(), ROOT)):
        raise RunError(f"{file} names a folder of this machine: no output may print a path")
    size = len(text.encode())
    if size > LARGEST:
        raise RunError(f"{file} would have {size:,} bytes; at most {LARGEST:,} are committed")


def pack(directory: Path) -> bytes:
    """Return settings, timings and all stages of a run as tar.xz; equal runs give equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in _shipped_files(directory):
            entry = tarfile.TarInfo(file.relative_to(directory).as_posix())
            entry.size = file.stat().st_size
            with open(file, "rb") as content:
                archive.addfile(entry, content)
    return lzma.compress(buffer.getvalue(), preset=9)


def _shipped_files(directory: Path) -> list[Path]:
    """What of a run is shipped: settings.json, timings.jsonl, and the finished stages' files."""
    stages = stage_folders(directory)
    files = [file for stage in stages for file in sorted(stage.glob("[!.]*"))]
    return [directory / SETTINGS, directory / "timings.jsonl", *files]


def unpack(packed: Path | None = None) -> Path:
    """Return the directory `lesson` in the folder of runs: the shipped run, to read and to write.

    The first call makes it: from data/lesson.tar.xz, or, if the folder of runs is a reader's own
    (AELIB_RUNS) and the project holds runs/lesson, from that: a class shares one clone. Its files
    are linked where the system allows that, and copied elsewhere.

    Args:
        packed: another shipped run, NAME.tar.xz with NAME.json beside it; NAME is the directory's.

    Raises:
        RunError: the packed file is missing or not what the JSON file beside it says, or the
            folder of runs cannot be written.
    """
    packed = packed or PACKED
    name = packed.name.removesuffix(".tar.xz")
    directory, shared = runs_folder() / name, ROOT / "runs" / name
    if directory.exists():
        return directory
    refuse_installed()
    if not (packed.exists() or shared.exists()):
        raise RunError(f"{packed} is missing: {_CURE}")
    temporary = directory.with_name(f".{name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        if shared.exists():
            for file in _shipped_files(shared):
                # timings.jsonl grows with each stage that this reader makes
                share = shutil.copyfile if file.parent == shared else link
                share(file, temporary / file.relative_to(shared))
        else:
            _extract(packed, temporary)
        shutil.copyfile(temporary / SETTINGS, temporary / COPY)
        os.replace(temporary, directory)
    except OSError as error:
        if not directory.exists():  # it does where another notebook was quicker
            cure = "set AELIB_RUNS to a folder of your own before you start Jupyter"
            what = f"the shipped run cannot be put into {directory.parent} ({error.strerror})"
            raise RunError(f"{what}: {cure}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def _extract(packed: Path, folder: Path) -> None:
    """Unpack NAME.tar.xz, if it is what was shipped."""
    content, about = packed.read_bytes(), packed.with_name(packed.name.replace(".tar.xz", ".json"))
    if _sha256(content) != read_json(about)["sha256"]:
        raise RunError(f"{packed} is not what was shipped (truncated or changed): {_CURE}")
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")  # refuses what would leave the folder
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise RunError(f"{packed} cannot be unpacked ({error}): {_CURE}") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
