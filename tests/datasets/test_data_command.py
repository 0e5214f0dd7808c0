"""`python -m aelib data check`: what is there, or everything that is wrong."""

from devkits import make_devkit
from PIL import Image

from aelib.__main__ import main


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
    (tmp_path / "labels.csv").write_text("file,labels,split\na.jpg,cat,train\nb.jpg,dog,val\n")
    for name in "ab":
        Image.new("RGB", (8, 6)).save(tmp_path / "images" / f"{name}.jpg")
    command = ["data", "check", "--dataset", "folder", "--root", str(tmp_path), "--workers", "1"]
    assert main(command) == 0
    assert "nothing is wrong; pictures in train 1, val 1" in capsys.readouterr().out
    (tmp_path / "images" / "b.jpg").unlink()
    assert main(command) == 2
    assert "1 problem(s)" in capsys.readouterr().err
