"""Coverage-guided fuzzing of the readers, where atheris can be installed (Linux, macOS).

One process a reader, ten minutes together.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")
SECONDS = float(os.environ.get("AELIB_FUZZ_SECONDS", 150))
TARGET = """
import io, json, sys, tempfile
from pathlib import Path
import atheris
# not PIL: instrumented, it keeps every picture, and memory runs out
with atheris.instrument_imports(include=["aelib"]):
    from aelib.datasets import photos, saliency_maps
    from aelib.pipeline import evaluate, manifest, settings
    from aelib.support import files
folder = Path(tempfile.mkdtemp())
(folder / "x.png").write_bytes(open(sys.argv[2], "rb").read() if sys.argv[2] else b"")
(folder / "list").write_text("x")

def json_(data):
    (folder / "manifest.json").write_bytes(data)
    try:
        manifest.read(folder)
    except ValueError:
        pass
    try:
        settings.make(**files.read_json(folder / "manifest.json"))
    except (ValueError, TypeError):  # TypeError: no object; Run catches it
        pass

def png(data):
    (folder / "y.png").write_bytes(data)
    try:
        photos.read_labels(folder / "y.png")
    except ValueError:
        pass

def jpeg(data):
    (folder / "y.png").write_bytes(data)
    try:
        saliency_maps.read_map(folder / "y.png", (8, 8))
    except ValueError:
        pass
    try:
        photos.read_photo(folder / "y.png")
    except ValueError:
        pass

def ids(data):
    (folder / "list").write_bytes(data)
    try:
        evaluate.evaluate_folders(folder, folder, folder / "list", 3)
    except ValueError:
        pass

readers = {"json": json_, "png": png, "jpeg": jpeg, "list": ids}
atheris.Setup([sys.argv[0], *sys.argv[3:]], readers[sys.argv[1]])
atheris.Fuzz()
"""


@pytest.fixture
def begin(tiny_runs, tmp_path):
    """What each reader is first given, by reader."""
    from PIL import Image

    stage = tiny_runs[0].directory / "pseudo-masks-1"
    with Image.open(stage / "train-00000.png") as image:
        image.convert("L").resize((8, 8)).save(tmp_path / "small.jpg")
        image.resize((8, 8)).save(tmp_path / "small.png")
    return {
        "json": (stage / "manifest.json").read_bytes(),
        "png": (tmp_path / "small.png").read_bytes(),
        "jpeg": (tmp_path / "small.jpg").read_bytes(),
        "list": b"x\n",
    }


@pytest.mark.parametrize("reader", ["json", "png", "jpeg", "list"])
def test_no_crash_but_the_documented_errors(begin, tmp_path, count, reader):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "first").write_bytes(begin[reader])
    mask = str(tmp_path / "small.png") if reader == "list" else ""
    options = ["-max_len=4096", "-rss_limit_mb=4096", "-verbosity=1", str(corpus)]
    limit = f"-max_total_time={SECONDS:.0f}"
    command = [sys.executable, "-c", TARGET, reader, mask, limit, *options]
    streams = {"capture_output": True, "text": True}
    done = subprocess.run(command, **streams, cwd=tmp_path, timeout=300 + SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(Path(tmp_path).glob("crash-*"))
    count["inputs tried"] += int(re.findall(r"^Done (\d+) runs", done.stderr, re.M)[-1])
