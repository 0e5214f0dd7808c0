"""The shipped networks: packed from a run, opened without its photographs; `predict` on them."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from tiny import PHOTOS, TINY, make_everything, make_folder

from aelib.__main__ import main
from aelib.course import lesson, photographs
from aelib.datasets.photos import read_photo
from aelib.pipeline import directory, stages
from aelib.pipeline.run import Run, RunError
from aelib.pipeline.verify import verify
from aelib.support.files import ROOT


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run on a dozen photographs."""
    folder = tmp_path_factory.mktemp("photos")
    make_folder(folder / "photos")
    more = {"dataset": "folder", "data_root": str(folder / "photos")}
    more |= {"saliency_maps": str(folder / "photos" / "maps")}
    run = Run(folder / "whole", "smoke", **TINY | PHOTOS | more)
    make_everything(run)
    return run


@pytest.fixture(scope="module")
def packed(whole, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "photographs.tar.xz"
    photographs.pack(whole.directory, file)
    return file


@pytest.fixture
def shipped(packed, tmp_path, monkeypatch):
    """The run as a reader has it, in a folder of runs of his own."""
    monkeypatch.setattr(photographs, "PACKED", packed)
    monkeypatch.setattr(lesson, "ROOT", tmp_path)
    monkeypatch.setattr(directory, "ROOT", tmp_path)
    monkeypatch.delenv("AELIB_RUNS", raising=False)
    return photographs.shipped()


def test_half_precision_changes_hardly_an_answer(whole, shipped):
    images = stages.pictures(whole, "val").images
    assert shipped.directory.name == "photographs" and verify(shipped.directory) == []
    assert stages.classes_of(shipped) == stages.classes_of(whole)
    v, w = (stages.confidences(run, images) for run in (shipped, whole))
    assert (v - w).abs().max() < 0.01
    for step in (1, 2):
        maps = zip(
            stages.cams(shipped, images, step), stages.cams(whole, images, step), strict=True
        )
        assert all((a - b).abs().max() < 0.05 for a, b in maps)
    for name in photographs.networks(whole.settings):
        ours, theirs = (stages.answer(run, images, name) for run in (shipped, whole))
        for a, b in zip(ours, theirs, strict=True):
            assert (a.argmax(axis=0) == b.argmax(axis=0)).mean() > 0.995


def test_the_file_beside_it_holds_settings_and_scores_and_no_path(whole, packed, shipped):
    about = json.loads(photographs.about_file(packed).read_text())
    assert str(whole.directory.parent) not in json.dumps(about)
    assert about["settings"] == shipped.settings.to_json()
    assert about["settings"]["data_root"] == "photos" and about["settings"]["seed"] == 0
    scores = whole.json("scores-AE+PSL", "scores.json")
    (row,) = [r for r in about["rows"] if r["method"] == "AE+PSL" and not r["crf"]]
    assert row["images"] == 4 and row["interval"]["per_class"].keys() == row["per_class"].keys()
    matrix = np.array(scores["prohibited"])
    union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    assert row["per_class"]["disc"] == pytest.approx(matrix[1, 1] / union[1])


def test_what_needs_the_photographs_says_so_and_changes_nothing(shipped):
    before = sorted(file.name for file in shipped.directory.iterdir())
    asked = [
        lambda: stages.pictures(shipped, "train"),
        lambda: stages.truth(shipped, "val"),
        lambda: stages.find_saliency(shipped),
        lambda: stages.mine(shipped, 3),
        lambda: stages.make_pseudo_masks(shipped, 1),
        lambda: stages.train_network(shipped, "AE-step1"),
        lambda: stages.score_network(shipped, "AE+PSL"),
    ]
    for ask in asked:
        with pytest.raises(RunError, match=r"shipped run photographs lacks .* voc_lite"):
            ask()
    assert sorted(file.name for file in shipped.directory.iterdir()) == before


def test_another_run_of_its_name_is_not_taken_for_it(shipped, packed):
    about = photographs.about_file(packed)
    text = about.read_text()
    try:
        about.write_text(text.replace(json.loads(text)["stages"]["classifier-1"], "0" * 64))
        with pytest.raises(RunError, match="photographs is not the run that this version ships"):
            photographs.shipped()
    finally:
        about.write_text(text)


def test_a_file_that_is_missing_or_cut_is_named(shipped, tmp_path, monkeypatch):
    cut = tmp_path / "photographs.tar.xz"
    monkeypatch.setattr(photographs, "PACKED", cut)
    with pytest.raises(RunError, match=r"photographs\.json cannot be read"):
        photographs.shipped()
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path / "mine"))
    photographs.about_file(cut).write_text(json.dumps({"sha256": "0", "stages": {}}))
    (tmp_path / "runs" / "photographs").rename(tmp_path / "aside")
    with pytest.raises(RunError, match=r"photographs\.tar\.xz is missing"):
        photographs.shipped()
    cut.write_bytes(b"xz")
    with pytest.raises(RunError, match="not what was shipped"):
        photographs.shipped()


def test_equal_layers_take_room_once(tmp_path):
    layers = np.random.default_rng(0).bytes(300_000)
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "timings.jsonl").write_text("")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.safetensors").write_bytes(layers)
        (tmp_path / name / "manifest.json").write_text("{}")
    assert len(lesson.pack(tmp_path)) < 1.02 * len(layers)


@pytest.mark.skipif(not photographs.PACKED.exists(), reason="no networks are shipped yet")
def test_what_is_shipped_is_small_and_names_no_folder():
    about = photographs.shipped_scores()
    assert photographs.PACKED.stat().st_size <= photographs.LARGEST
    assert "/" not in "".join(str(about["settings"][name]) for name in photographs._NAMED)
    assert {row["method"] for row in about["rows"]} == {"AE-step3", "AE+PSL", "AE+PSL++"}


@pytest.mark.skipif(not photographs.PACKED.exists(), reason="no networks are shipped yet")
def test_the_model_card_has_the_shipped_hash_and_scores():
    about, card = photographs.shipped_scores(), (ROOT / "data" / "README.md").read_text("utf-8")
    assert about["sha256"] in card
    for method in ("AE-step3", "AE+PSL", "AE+PSL++"):
        cells = [
            f"{100 * row['miou']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            for row in about["rows"]
            for low, high in [row["interval"]["miou"]]
            if row["method"] == method
        ]
        assert f"| {method} | {' | '.join(cells)} |" in card  # without CRF, with CRF


# --- predict --------------------------------------------------------------------------------------


@pytest.fixture
def photo(whole, tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(stages.pictures(whole, "val").images.files[0].read_bytes())
    return file


def test_predict_without_a_run_asks_the_shipped_networks(shipped, photo, monkeypatch, capsys):
    monkeypatch.chdir(photo.parent)
    assert main(["predict", "photo.png"]) == 0
    said = capsys.readouterr().out.splitlines()
    labels = np.array(Image.open("predictions/photo.png"))
    image = read_photo(photo)
    with Image.open("predictions/photo-overlay.jpg") as overlay:
        assert labels.shape == overlay.size[::-1] == image.shape[:2]
    (line,) = [line for line in said if line.startswith("photo.png: ")]
    assert line.endswith("predictions/photo-overlay.jpg")
    for c, name in enumerate(("disc", "square"), start=1):
        share, v = (labels == c).mean(), stages.confidences(shipped, [image])[0, c - 1]
        assert (f"{name} {v:.2f} (on {share:.1%} of it)" in line) == (share > 0)
    assert "1 label maps" in said[-1] and "disc, square" in said[-1]


def test_a_picture_of_nothing_is_all_background_and_it_says_so(
    shipped, tmp_path, monkeypatch, capsys
):
    def background(run, images, name, v):
        return (np.eye(3)[[0]].T[..., None] for _ in images)

    monkeypatch.setattr(stages, "answer", background)
    Image.new("RGB", (50, 40), "grey").save(tmp_path / "grey.png")
    assert main(["predict", "--out", str(tmp_path / "o"), str(tmp_path / "grey.png")]) == 0
    assert (
        "grey.png: all background, none of disc, square (the likeliest: " in capsys.readouterr().out
    )
    assert not np.array(Image.open(tmp_path / "o" / "grey.png")).any()


def odd_pictures(folder):
    """name -> whether it can be answered; the files are made."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    noise.save(folder / "alpha.png")
    alpha = Image.fromarray(rng.integers(0, 256, (40, 50, 4), dtype=np.uint8))
    alpha.save(folder / "alpha.png")
    Image.fromarray(rng.integers(0, 65536, (40, 50), dtype=np.uint16)).save(folder / "deep.png")
    Image.new("RGB", (40_000, 6), "green").save(folder / "wide.png")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    frames = [noise, noise.rotate(90), noise.rotate(180)]
    for name in ("moving.webp", "moving.gif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    Image.new("1", (40_000, 40_000)).save(folder / "huge.png")
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.jpg").write_text("")
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "again").mkdir()
    noise.save(folder / "again" / "alpha.jpg")
    good = dict.fromkeys(("alpha.png", "deep.png", "wide.png", "dot.png", "moving.webp"), True)
    bad = ("huge.png", "text.jpg", "empty.jpg", "folder.jpg", "gone.jpg", "again/alpha.jpg")
    return good | dict.fromkeys(
        (*bad, "moving.gif", "loop.jpg", "pipe.jpg", f"{'x' * 300}.jpg"), False
    )


def test_bad_pictures_are_named_and_counted_and_the_others_answered(shipped, tmp_path, capsys):
    kinds = odd_pictures(tmp_path)
    files = [str(tmp_path / name) for name in kinds]
    failed = main(["predict", "--out", str(tmp_path / "out"), *files])
    out, err = capsys.readouterr()
    assert failed == sum(not good for good in kinds.values()) == len(err.splitlines())
    for name, good in kinds.items():
        assert (f"aelib: {tmp_path / name}" in err) != good, name
    assert {f.name for f in (tmp_path / "out").glob("*.png")} == {
        f"{name.split('.')[0]}.png" for name, good in kinds.items() if good
    }
    assert "moving.webp (the first of 3 frames): " in out
    assert Image.open(tmp_path / "out" / "wide.png").size == (40_000, 6)


def test_a_folder_that_cannot_be_written_is_named_before_a_picture_is_answered(
    shipped, photo, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(stages, "answer", lambda *_: pytest.fail("it answered"))
    (tmp_path / "file").write_text("")
    assert main(["predict", "--out", str(tmp_path / "file" / "o"), str(photo)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_no_photograph_is_overwritten(shipped, photo, capsys):
    before = photo.read_bytes()
    assert main(["predict", "--out", str(photo.parent), str(photo)]) == 1
    assert "would be overwritten" in capsys.readouterr().err and photo.read_bytes() == before


@pytest.mark.parametrize("name", ["hard link", "symbolic link", "another photograph"])
def test_no_photograph_is_overwritten_by_another_name(shipped, photo, name, tmp_path, capsys):
    out, before, files = tmp_path / "out", photo.read_bytes(), [photo]
    out.mkdir()
    if name == "hard link":
        (out / "photo.png").hardlink_to(photo)
    elif name == "symbolic link":
        (out / "photo-overlay.jpg").symlink_to(photo)
    else:  # out holds a photograph with the name of the first one's overlay
        files.append(out / "photo-overlay.jpg")
        files[1].write_bytes(before)
    assert main(["predict", "--out", str(out), *map(str, files)]) == 1
    assert f"{files[-1]} would be overwritten" in capsys.readouterr().err
    assert [file.read_bytes() for file in files] == [before] * len(files)


def test_an_answer_that_cannot_be_written_is_named_and_the_next_one_is(shipped, photo, capsys):
    out, second = photo.parent / "out", photo.with_name("second.png")
    second.write_bytes(photo.read_bytes())
    (out / "photo.png").mkdir(parents=True)
    assert main(["predict", "--out", str(out), str(photo), str(second)]) == 1
    said = capsys.readouterr()
    assert f"aelib: {photo}: its answer cannot be written" in said.err
    assert "second.png: " in said.out and (out / "second.png").exists()


def test_names_that_some_disks_take_for_one_are_refused(shipped, tmp_path, capsys):
    files = [tmp_path / name for name in ("Cat.jpg", "cat.png")]
    for file in files:
        Image.new("RGB", (40, 30)).save(file)
    assert main(["predict", "--out", str(tmp_path / "out"), *map(str, files)]) == 1
    assert f"aelib: {files[1]}: its answer would replace that of {files[0]}" in (
        capsys.readouterr().err
    )


def test_a_network_that_is_not_there_is_named(shipped, photo, capsys):
    assert main(["predict", "--network", "AE-step9", str(photo)]) == 2
    assert "lacks network-AE-step9" in capsys.readouterr().err
