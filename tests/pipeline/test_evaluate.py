"""`evaluate` on what other tools write: right scores, or the file and what is needed."""

import numpy as np
import pytest
from PIL import Image

from aelib.__main__ import main
from aelib.datasets.photos import palette, save_mask
from aelib.pipeline.evaluate import class_names, evaluate_folders

MASK = np.zeros((40, 60), np.uint8)
MASK[5:30, 10:40] = 8
MASK[5:30, 10:12] = 255
ANSWER = np.where(MASK == 255, 8, MASK).astype(np.uint8)
COLOURS = np.array(palette(), np.uint8).reshape(-1, 3)


@pytest.fixture
def folders(tmp_path):
    """Right answers on three pictures, whose ids hold a blank and a dot."""
    for name in ("predictions", "masks"):
        (tmp_path / name).mkdir()
    for i in range(3):
        save_mask(tmp_path / "masks" / f"IMG {i}.v2.png", MASK)
        save_mask(tmp_path / "predictions" / f"IMG {i}.v2.png", ANSWER)
    (tmp_path / "list.txt").write_text("".join(f"IMG {i}.v2\n" for i in range(3)))
    return tmp_path


def evaluated(folders, classes=21):
    places = (folders / "predictions", folders / "masks", folders / "list.txt")
    return evaluate_folders(*places, classes)


def test_ids_may_hold_blanks_and_dots_and_void_under_void_is_not_counted(folders):
    assert evaluated(folders)["miou"] == 1
    for file in (folders / "predictions").iterdir():
        save_mask(file, MASK)
    scores = evaluated(folders)
    assert (scores["miou"], scores["images"], scores["warnings"]) == (1, 3, [])


OTHERS = {
    "grey of a palette": (
        Image.fromarray(COLOURS[ANSWER]).convert("L"),
        "label 19 found, the brightness of VOC's colour of label 8",
    ),
    "RGB": (Image.fromarray(COLOURS[ANSWER]), "its colours are VOC's"),
    "RGBA": (Image.fromarray(COLOURS[ANSWER]).convert("RGBA"), "mode RGBA.* colours are VOC's"),
    "red": (Image.new("RGB", (60, 40), (255, 0, 0)), "mode RGB, not a label map; save the labels"),
    "16 bits": (Image.fromarray(ANSWER.astype(np.uint16)), "mode I;16, not a label map"),
    "grey and alpha": (Image.fromarray(ANSWER).convert("LA"), "mode LA, not a label map"),
    "1 bit": (Image.fromarray(ANSWER > 0), "a grey PNG of 1 bits"),
    "transposed": (
        Image.fromarray(ANSWER.T.copy()),
        "has 60 x 40 .*prediction 40 x 60.*transposed",
    ),
    "half": (Image.fromarray(ANSWER[::2, ::2].copy()), "has 60 x 40 .*prediction 30 x 20"),
    "void": (Image.fromarray(ANSWER - 1), r"\(prediction\): labels 255 found where 0..20 belong"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_pictures_are_refused_as_what_they_are(folders, kind):
    image, said = OTHERS[kind]
    for file in (folders / "predictions").iterdir():
        image.save(file)
    with pytest.raises(ValueError, match=said):
        evaluated(folders)


def test_jpegs_are_refused_whatever_their_name(folders):
    for file in [*(folders / "predictions").iterdir()]:
        Image.fromarray(ANSWER).save(file, "JPEG")
    with pytest.raises(ValueError, match="is a JPEG, which changes labels"):
        evaluated(folders)
    for file in [*(folders / "predictions").iterdir()]:
        file.rename(file.with_suffix(".jpg"))
    with pytest.raises(ValueError, match=r"png is missing \(IMG 0\.v2\.jpg is there\)"):
        evaluated(folders)


def test_masks_of_0_and_255_are_refused(folders):
    for file in (folders / "masks").iterdir():
        save_mask(file, np.where(MASK > 0, 255, 0).astype(np.uint8))
    with pytest.raises(ValueError, match=r"masks hold no label but 0 and 255.*k-th class as k"):
        evaluated(folders)


def test_folders_that_number_the_classes_otherwise_are_named(folders):
    for file in (folders / "predictions").iterdir():
        save_mask(file, np.where(ANSWER == 8, 7, 0).astype(np.uint8))
    (warning,) = evaluated(folders)["warnings"]
    assert "7 in predictions only, 8 in masks only" in warning
    for file in (folders / "predictions").iterdir():
        save_mask(file, ANSWER * 0)
    (warning,) = evaluated(folders)["warnings"]
    assert "background only" in warning


def test_the_command_shows_names_and_what_is_not_in_the_list(folders, capsys):
    command = ["evaluate", "--list", str(folders / "list.txt")]
    for name in ("predictions", "masks"):
        command += [f"--{name}", str(folders / name)]
    save_mask(folders / "masks" / "other.png", MASK)
    assert main([*command, "--names", "voc"]) == 0
    out = capsys.readouterr().out
    assert "masks: 3 files, label 0 background in 3, 8 cat in 3, 255 not counted in 3" in out
    assert "8 cat         100.00" in out
    assert "not in the list, not scored: masks/: other.png" in out
    (folders / "classes.txt").write_text("\ufeffbackground\n" + "\n".join("abcdefgh") + "\n")
    assert main([*command, "--names", str(folders / "classes.txt")]) == 0
    assert "8 h          100.00" in capsys.readouterr().out
    assert main([*command, "--names", "voc", "--classes", "3"]) == 2
    assert "--classes: 3, but voc names 21" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "background\n", "cat\ncat\n"])
def test_names_must_be_names(tmp_path, text):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(ValueError, match="1 to 254 classes, each once"):
        class_names(str(tmp_path / "names.txt"))
    with pytest.raises(ValueError, match="is no file; give voc"):
        class_names(str(tmp_path / "gone.txt"))


def test_what_cannot_be_written_is_said_before_anything_is_scored(folders, capsys):
    places = {"--predictions": "predictions", "--masks": "masks", "--list": "list.txt"}
    command = [
        "evaluate",
        *(str(word) for key, name in places.items() for word in (key, folders / name)),
    ]
    assert main([*command, "--json", str(folders / "gone" / "e.json")]) == 2
    assert capsys.readouterr().out == ""
    assert main([*command, "--classes", "0"]) == 2
    assert "classes: 0 is outside 1 to 255" in capsys.readouterr().err
    assert main([*command, "--names", "VOC"]) == 0


def test_white_objects_and_background_that_is_not_counted_are_told(folders):
    for file in (folders / "predictions").iterdir():
        save_mask(file, np.where(ANSWER > 0, 255, 0).astype(np.uint8))
    with pytest.raises(ValueError, match=r"labels 255 found .*write the k-th class as k"):
        evaluated(folders)
    for folder in ("predictions", "masks"):
        for file in (folders / folder).iterdir():
            save_mask(file, np.where(MASK == 0, 255, 8).astype(np.uint8))
    assert sum("hold no 0, background" in text for text in evaluated(folders)["warnings"]) == 2
