"""`python -m aelib data check`: what is there, or everything that is wrong."""

import subprocess
import sys

import numpy as np
from devkits import make_devkit
from PIL import Image

from aelib.__main__ import main
from aelib.datasets.photos import palette, read_labels

TABLE = "file,labels,split\na.jpg,cat,train\nb.jpg,dog,val\nc.jpg,dog,train\n"


def test_a_devkit(tmp_path, capsys):
    devkit = make_devkit(tmp_path) / "VOCdevkit" / "VOC2012"
    command = ["data", "check", "--root", str(tmp_path), "--workers", "1"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "1 warning(s); pictures in train_aug 4, val 2" in out
    assert "in no training picture: aeroplane" in out
    (devkit / "JPEGImages" / "f.jpg").unlink()
    assert main(command) == 2
    assert "f.jpg is missing" in capsys.readouterr().err


def test_a_folder(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels.csv").write_text(TABLE)
    for name in "abc":
        Image.new("RGB", (8, 6)).save(tmp_path / "images" / f"{name}.jpg")
    command = ["data", "check", str(tmp_path)]  # it finds out that it is a folder
    assert main(command) == 0
    assert "nothing is wrong; pictures in train 2, val 1" in capsys.readouterr().out
    (tmp_path / "images" / "b.jpg").unlink()
    assert main(command) == 2
    assert "1 problem(s)" in capsys.readouterr().err


def test_what_is_no_data_set_or_two_is_said(tmp_path, capsys):
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "is no data set" in capsys.readouterr().err
    (tmp_path / "data.zip").touch()
    assert main(["data", "check", str(tmp_path / "data.zip")]) == 2
    assert "is a file, no folder" in capsys.readouterr().err
    devkit = make_devkit(tmp_path) / "VOCdevkit"
    for inside in (devkit, devkit / "VOC2012"):
        assert main(["data", "check", str(inside)]) == 2
        assert f"name the folder that holds it: {tmp_path}" in capsys.readouterr().err
    (tmp_path / "labels.csv").write_text(TABLE)
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "--dataset voc or --dataset folder" in capsys.readouterr().err


def test_a_small_check_waits_for_no_torch(tmp_path):
    root = make_devkit(tmp_path)
    code = (
        "import sys; from aelib.__main__ import main; "
        f"main(['data', 'check', {str(root)!r}]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_label_maps_are_made_of_vocs_colours(tmp_path, capsys):
    labels = np.array([[0, 8, 20], [15, 1, 255]], np.uint8)
    rgb = np.array(palette(), np.uint8).reshape(-1, 3)[labels]
    (tmp_path / "colours").mkdir()
    (tmp_path / "colours" / "Thumbs.db").touch()
    file = tmp_path / "colours" / "a.png"
    command = ["data", "from-colours", str(file.parent), str(tmp_path / "out")]
    for image in (Image.fromarray(rgb), Image.fromarray(rgb).convert("P", palette=1)):
        image.save(file)
        assert main(command) == 0
        np.testing.assert_array_equal(read_labels(tmp_path / "out" / "a.png"), labels)
    Image.fromarray(rgb + 1).save(file)
    assert main(command) == 2
    assert "is no colour of VOC's" in capsys.readouterr().err
