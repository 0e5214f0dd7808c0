"""Coverage-guided fuzzing of the readers, where atheris can be installed (Linux, macOS); one process a reader, ten minutes together."""

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
with atheris.instrument_imports(include=["aelib"]):  # not PIL: instrumented, it keeps every picture, and memory runs out
    from aelib import evaluation, files, manifest, photos, saliency, settings
folder = Path(tempfile.mkdtemp())
(folder / "x.png").write_bytes(open(sys.argv[2], "rb").read() if sys.argv[2] else b"")
(folder / "list").write_text("x")

def json_(data):
    (folder / "manifest.json").write_bytes(data)
    for read in (manifest.read, lambda place: settings.make(**files.read_json(place / "manifest.json"))):
        try:
            read(folder)
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
        saliency.read_map(folder / "y.png", (8, 8))
    except ValueError:
        pass
    try:
        photos.read_photo(folder / "y.png")
    except ValueError:
        pass

def ids(data):
    (folder / "list").write_bytes(data)
    try:
        evaluation.evaluate_folders(folder, folder, folder / "list", 3)
    except ValueError:
        pass

atheris.Setup([sys.argv[0], *sys.argv[3:]], {"json": json_, "png": png, "jpeg": jpeg, "list": ids}[sys.argv[1]])
atheris.Fuzz()
"""


@pytest.mark.parametrize("reader", ["json", "png", "jpeg", "list"])
def test_no_crash_but_the_documented_errors(tiny_runs, tmp_path, count, reader):
    from PIL import Image

    corpus, run = tmp_path / "corpus", tiny_runs[0].directory
    corpus.mkdir()
    picture = run / "seeds-1" / "train-00000.png"
    with Image.open(picture) as image:
        image.convert("L").resize((8, 8)).save(tmp_path / "small.jpg")
        image.resize((8, 8)).save(tmp_path / "small.png")
    seeds = {"json": run / "seeds-1" / "manifest.json", "png": tmp_path / "small.png", "jpeg": tmp_path / "small.jpg"}
    (corpus / "seed").write_bytes(seeds[reader].read_bytes() if reader in seeds else b"x\n")
    options = [f"-max_total_time={SECONDS:.0f}", "-max_len=4096", "-rss_limit_mb=4096", "-verbosity=1", str(corpus)]
    command = [sys.executable, "-c", TARGET, reader, str(tmp_path / "small.png") if reader == "list" else "", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300 + SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not [f for f in Path(tmp_path).glob("crash-*")]
    count["inputs tried"] += int(re.findall(r"^Done (\d+) runs", done.stderr, re.M)[-1])
