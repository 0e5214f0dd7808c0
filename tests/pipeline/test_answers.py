"""aelib.pipeline.answers: new photographs, the test server's archive, and scores of any PNGs."""

import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import PHOTOS, TINY, make_devkit, make_everything, make_folder
from torchmetrics.classification import MulticlassJaccardIndex

from aelib.__main__ import main
from aelib.datasets.photos import save_mask
from aelib.pipeline import answers, stages
from aelib.pipeline.evaluate import evaluate_folders
from aelib.pipeline.run import Run, RunError

# --- answers of a run -----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=("voc", "folder", "folder without masks"))
def finished(request, tmp_path_factory):
    """A finished run on a dozen photographs."""
    folder = tmp_path_factory.mktemp("photos")
    kind = request.param.split()[0]
    more = {"dataset": kind, "data_root": str(folder / "photos")}
    if kind == "voc":
        make_devkit(folder / "photos")
        more["classes"] = "cat,dog"
    else:
        make_folder(folder / "photos", masks="without" not in request.param)
    run = Run(folder / "run", "smoke", **TINY | PHOTOS | more)
    make_everything(run)
    return kind, run


def test_answers_need_the_run_alone_and_not_what_it_was_trained_on(finished, tmp_path, capsys):
    kind, run = finished
    root = run.directory.parent / "photos"
    file = stages.pictures(run, "val").images.files[0]
    photo = tmp_path / f"new{file.suffix}"
    photo.write_bytes(file.read_bytes())
    command = ["predict", "--run", str(run.directory), "--out", str(tmp_path / "out"), str(photo)]
    root.rename(tmp_path / "elsewhere")
    try:
        assert main(command) == 0
    finally:
        (tmp_path / "elsewhere").rename(root)
    assert ("cat, dog" if kind == "voc" else "disc, square") in capsys.readouterr().out
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"new.png", "new-overlay.jpg"}


def test_what_is_wrong_is_named_before_anything_is_written(finished, tmp_path, monkeypatch):
    kind, run = finished
    monkeypatch.setattr(stages.segmentation, "confidences", lambda *_: pytest.fail("it looked"))
    if kind == "voc":
        with pytest.raises(RunError, match="network-AE-step7 is needed"):
            answers.write_submission(run, tmp_path / "no", "val", "AE-step7")
        photos = stages.pictures(run, "val").images.files
        whole = [photo.read_bytes() for photo in photos[:2]]
        for photo in photos[:2]:
            photo.write_bytes(b"cut")
        try:
            with pytest.raises(ValueError, match=r"2 problem\(s\) with the photographs") as error:
                answers.write_submission(run, tmp_path / "no", "val")
        finally:
            for photo, content in zip(photos, whole, strict=False):
                photo.write_bytes(content)
        assert all(photo.name in str(error.value) for photo in photos[:2])
    else:
        with pytest.raises(ValueError, match="was trained on folder"):
            answers.write_submission(run, tmp_path / "no", "val")
    assert not (tmp_path / "no").exists()


def test_the_archive_holds_the_answers_on_its_own_list_only_in_vocs_numbers(finished, tmp_path):
    kind, run = finished
    if kind != "voc":
        pytest.skip("the test server takes VOC only")
    photos = stages.pictures(run, "val").images.files
    folder = tmp_path / "out" / answers.LAYOUT
    folder.mkdir(parents=True)
    (folder / "stale.png").write_bytes(b"")
    with tarfile.open(answers.write_submission(run, tmp_path / "out", "val")) as archive:
        listed = sorted(archive.getnames())
    assert listed == sorted(f"{answers.LAYOUT.as_posix()}/{photo.stem}.png" for photo in photos)
    expected = stages.answer(run, stages.pictures(run, "val").images, "AE+PSL++")
    for photo, q in zip(photos, expected, strict=True):
        answer = np.array(Image.open(folder / f"{photo.stem}.png"))
        # VOC's numbers of background, cat, dog
        np.testing.assert_array_equal(answer, np.array([0, 8, 12])[q.argmax(axis=0)])


# --- scores of anyone's PNGs ----------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path):
    """Six random predictions and masks of differing sizes, with void, and their list."""
    rng = np.random.default_rng(0)
    for name in ("predictions", "masks"):
        (tmp_path / name).mkdir()
    ids = [f"2007_{i:06d}" for i in range(6)]
    for i, name in enumerate(ids):
        truth = rng.integers(0, 5, (20 + i, 30))
        truth[rng.random(truth.shape) < 0.1] = 255
        save_mask(tmp_path / "masks" / f"{name}.png", truth.astype(np.uint8))
        guess = np.where(rng.random(truth.shape) < 0.5, truth % 5, rng.integers(0, 5, truth.shape))
        save_mask(tmp_path / "predictions" / f"{name}.png", guess.astype(np.uint8))
    (tmp_path / "list.txt").write_text("\n".join(ids) + "\n")
    return tmp_path


def evaluated(folder):
    places = (folder / "predictions", folder / "masks", folder / "list.txt")
    return evaluate_folders(*places, classes=5)


def test_scores_agree_with_torchmetrics(folders):
    scores = evaluated(folders)
    oracle = MulticlassJaccardIndex(5, ignore_index=255, average=None)
    for name in (folders / "list.txt").read_text().split():
        guess, truth = (
            torch.from_numpy(np.array(Image.open(folders / kind / f"{name}.png"))).flatten()
            for kind in ("predictions", "masks")
        )
        oracle.update(guess, truth)
    values = oracle.compute().numpy()
    np.testing.assert_allclose(list(scores["per_class"].values()), values, rtol=1e-6)
    assert scores["miou"] == pytest.approx(values.mean())
    assert (scores["images"], scores["list"]) == (6, "list.txt")


def test_all_wrong_files_are_named_at_once(folders):
    predictions = sorted((folders / "predictions").iterdir())
    predictions[0].unlink()
    predictions[1].write_bytes(predictions[1].read_bytes()[:60])
    Image.new("RGB", (30, 22)).save(predictions[2])
    save_mask(predictions[3], np.full((23, 30), 7, np.uint8))
    save_mask(predictions[4], np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="5 of the files") as error:
        evaluated(folders)
    lines = str(error.value).splitlines()
    wrong = ("missing", "cannot be read", "mode RGB", "labels 7 found where 0..4", "disagree")
    for file, what in zip(predictions, wrong, strict=False):
        assert any(file.stem in line and what in line for line in lines), (file, what)


BAD_LISTS = [("", "no id in it"), ("a\na\n", "more than once"), ("../masks/a\n", "no plain id")]


@pytest.mark.parametrize(("text", "message"), BAD_LISTS)
def test_a_bad_list_is_refused(folders, text, message):
    (folders / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        evaluated(folders)
