"""Runs on photographs of many sizes, a dozen of them: VOC's layout and one's own folder, with masks and without."""

import json
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import PHOTOS, TINY, make_devkit, make_everything, make_folder
from torch.nn import functional as F

from aelib import data, stages, submission
from aelib.__main__ import main
from aelib.augment import CropSet
from aelib.evaluation import iou
from aelib.models import LargeFOV
from aelib.runs import Run, RunError, save_mask, write_json
from aelib.verify import verify

KINDS = ("voc", "folder", "folder without masks")


def photo_run(directory, root, kind="folder", **more) -> Run:
    """A run on the dozen pictures, which are made if they are not there."""
    if not root.exists():
        make_devkit(root) if kind == "voc" else make_folder(root, masks="without" not in kind)
    classes = {"classes": "cat,dog"} if kind == "voc" else {}
    return Run(directory, "smoke", **TINY | PHOTOS | classes | {"dataset": kind.split()[0], "data_root": str(root)} | more)


def _forbidden(*_, **__):
    raise AssertionError("training asked for masks")


@pytest.fixture(scope="module", params=KINDS)
def finished(request, tmp_path_factory):
    """A run of each kind; what comes before the scores is made while masks are out of reach."""
    folder = tmp_path_factory.mktemp("photos")
    run = photo_run(folder / "run", folder / "photos", request.param)
    with pytest.MonkeyPatch.context() as patch:
        stages.prepare(run)
        for place in (stages, data, stages.voc, stages.folder):
            for name in ("truth", "photo_truth"):
                if hasattr(place, name):
                    patch.setattr(place, name, _forbidden)
        for step in (1, 2):
            stages.mine(run, step)
        stages.find_saliency(run)
        for step in (1, 2):
            stages.merge_seeds(run, step)
            stages.train_on_seeds(run, step)
        stages.train_psl(run)
        stages.refine_training_masks(run)
        stages.train_psl_again(run)
    make_everything(run)
    return request.param, run


def test_everything_is_made_and_whole(finished):
    kind, run = finished
    assert verify(run.directory) == [] and not list(run.directory.glob("*.partial"))
    with_ceiling = [run.finished(f"{made}-{stages.FULL}") for made in ("network", "scores")]
    assert with_ceiling == [kind != "folder without masks"] * 2
    assert run.json("data", "log.json")["pictures"] == {"train": 8, "val": 4} and run.json("data", "log.json")["weights"] is None


def test_the_mean_pixel_is_that_of_all_pixels(finished):
    _, run = finished
    pixels = np.concatenate([image.reshape(-1, 3) for image in stages.pictures(run, "train").images]).astype(float)
    np.testing.assert_allclose(stages.mean_pixel(run).numpy(), pixels.mean(axis=0) / 255, rtol=1e-12)


def test_every_label_map_has_its_pictures_size_and_classes_of_its_labels(finished):
    _, run = finished
    train = stages.pictures(run, "train")
    assert len({image.shape for image in train.images}) > 5
    for stage in ("saliency", "seeds-1", "seeds-2", "refined"):
        for image, labels, made in zip(train.images, train.labels, run.images(stage, train.ids), strict=True):
            assert made.shape == image.shape[:2]
            assert stage == "saliency" or {*np.unique(made).tolist()} <= {0, 255, *(np.flatnonzero(labels) + 1)}


def test_training_gets_the_crops_the_erased_regions_and_every_number_of_the_recipe(finished, tmp_path, monkeypatch):
    kind, run = finished
    more = {"momentum": 0.7, "drop_epoch": 3, "precision": "bfloat16", "loaders": 1, "weight_decay": 0.03, "network_last_layer_factor": 3.0}
    asked, other = [], photo_run(tmp_path / "run", run.directory.parent / "photos", kind, **more)
    stages.prepare(other)
    stages.mine(other, 1)
    stages.find_saliency(other)
    stages.merge_seeds(other, 1)

    def stop(model, dataset, loss, **recipe):
        asked.append((dataset, recipe))
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "fit", stop)
    for train in (stages.mine, stages.train_on_seeds):
        with pytest.raises(KeyboardInterrupt):
            train(other, 2 if train is stages.mine else 1)
    pictures, gone = stages.pictures(other, "train"), stages.regions(other, 1)
    seeds = other.images("seeds-1", pictures.ids)
    for number, (dataset, recipe) in enumerate(asked):
        assert (type(dataset), len(dataset), dataset.size, dataset.scales) == (CropSet, 8, 32, (0.5, 1.5))
        np.testing.assert_allclose(dataset.fill, stages.mean_pixel(other), atol=1e-7)
        wanted = {"optimiser": "sgd", "learning_rate": 1e-3, "batch_size": 4, "epochs": 2} | more
        wanted["last_layer_factor"] = (10.0, wanted.pop("network_last_layer_factor"))[number]
        assert {name: recipe[name] for name in wanted} == wanted and recipe["checkpoint"].name == ".checkpoint"
    for i in range(8):
        assert np.array_equal(asked[0][0].gone(i), gone[i]) and asked[0][0].masks is None
        assert np.array_equal(asked[0][0].target(i)[0], pictures.labels[i])
        assert np.array_equal(asked[1][0].masks[i], seeds[i]) and asked[1][0].gone is None


def test_seeds_are_the_merge_rule_pixel_by_pixel(finished):
    _, run = finished
    train, threshold = stages.pictures(run, "train"), run.settings.background_threshold
    for i, (seeds, gray) in enumerate(zip(run.images("seeds-2", train.ids), run.images("saliency", train.ids), strict=True)):
        region = stages.regions(run, 2)[i]
        for y, x in np.ndindex(seeds.shape):
            claims = [c for c in range(2) if region[c, y, x]]
            low = gray[y, x] / 255 < threshold
            assert seeds[y, x] == (0 if low and not claims else claims[0] + 1 if len(claims) == 1 and not low else 255)


def test_regions_on_disk_are_the_rule_on_the_cams(finished):
    """Bits unpacked by hand, against the classifier's maps of the pictures as they were erased for it."""
    _, run = finished
    train, mean = stages.pictures(run, "train"), stages.mean_pixel(run)
    gone = [np.zeros(image.shape[:2], bool) for image in train.images]
    for step in (1, 2):
        bits, model = load_file(run.directory / f"classifier-{step}" / "regions.safetensors"), stages.classifier(run, step)
        assert {*bits} == {f"{name}/{c}" for name, labels in zip(train.ids, train.labels, strict=True) for c in np.flatnonzero(labels)}
        for i, name in enumerate(train.ids):
            image = torch.from_numpy(train.images[i]).permute(2, 0, 1) / 255
            image[:, torch.from_numpy(gone[i])] = mean.float()[:, None]
            maps, found = stages.cam(model, image[None])[0].numpy(), np.zeros((2, *gone[i].shape), bool)
            for c in np.flatnonzero(train.labels[i]):
                for y, x in np.ndindex(gone[i].shape):
                    found[c, y, x] = int(bits[f"{name}/{c}"][y, x // 8]) >> (7 - x % 8) & 1
                    near = abs(maps[c, y, x] - run.settings.delta * maps[c].max()) < 1e-5  # a batch may round otherwise than one picture
                    assert near or found[c, y, x] == (maps[c, y, x] > run.settings.delta * maps[c].max())
            assert np.array_equal(found, stages.regions(run, step, first=step)[i])
            gone[i] |= found.any(axis=0)
        assert all(np.array_equal(r.any(axis=0), g) for r, g in zip(stages.regions(run, step), gone, strict=True))
    assert any(g.any() and not g.all() for g in gone)


def test_scores_count_every_pixel_once_and_are_nan_without_masks(finished):
    kind, run = finished
    truth, names = stages.truth(run, "val"), [n.name.removeprefix("scores-") for n in run.directory.glob("scores-*") if "mined" not in n.name]
    pixels = np.bincount(np.concatenate([mask.ravel() for mask in truth.masks]), minlength=256)
    assert {*names} >= {"AE-step1", "AE-step2", "AE+PSL", "AE+PSL++"}
    for name in names:
        for matrix in run.json(f"scores-{name}", "scores.json").values():
            assert np.array(matrix).sum(axis=1).tolist() == pixels[:3].tolist()
            assert np.isnan(iou(matrix)).all() == (kind == "folder without masks")
    mined = run.json("scores-mined-2", "scores.json")
    assert np.isnan(iou(mined["matrix"])).all() == (kind == "folder without masks")
    objects = sum((mask != 0).sum() - (mask == 255).sum() for mask in stages.truth(run, "train").masks)
    assert mined["parts"]["object"][1] == objects and (objects > 0) == (kind != "folder without masks")


@pytest.mark.parametrize("flip", ["no", "yes"])
def test_a_network_is_asked_in_the_settings_views_in_order_whatever_the_batches(finished, tmp_path, flip):
    """Against one picture at a time, its views averaged by hand; pictures of one size are batched, and the others between them."""
    _, run = finished
    run = photo_run(tmp_path / "run", run.directory.parent / "photos", finished[0], test_flip=flip)
    val, model = [*stages.pictures(run, "val").images], stages.network(finished[1], "AE-step2")
    images = [val[0], val[0][:, ::-1].copy(), val[1], val[0], *val[2:]]
    for image, got in zip(images, stages.predict(run, model, images), strict=True):
        x, views = torch.from_numpy(image).permute(2, 0, 1)[None] / 255, []
        size = x.shape[-2:]
        for scale in (0.75, 1):
            view = F.interpolate(x, size=[round(side * scale) for side in size], mode="bilinear", antialias=True)
            for mirrored in (False, True)[: 1 + (flip == "yes")]:
                with torch.no_grad():
                    scores = model(view.flip(-1) if mirrored else view)
                views.append(F.interpolate(scores.flip(-1) if mirrored else scores, size=size, mode="bilinear").softmax(dim=1))
        torch.testing.assert_close(got, sum(views)[0] / len(views), rtol=0, atol=1e-5)


def test_the_story_shows_every_stage_at_the_pictures_size(finished):
    _, run = finished
    image, panels, _ = stages.story(run)
    assert {*panels} == {"step 1: mined", "step 2: mined", "S", "PSL", "CRF", "second round", "truth"}
    assert all(panel.shape == image.shape[:2] for panel in panels.values())


def test_the_same_settings_make_the_same_files_with_workers_and_loaders_or_without(finished, tmp_path):
    kind, run = finished
    more = {"workers": 2, "loaders": 2} if kind == "voc" else {}
    again = photo_run(tmp_path / "again", run.directory.parent / "photos", kind, **more)
    make_everything(again)
    files = [f.relative_to(run.directory) for f in run.directory.glob("*/*") if f.name[0] != "." and f.name != "manifest.json"]
    assert len(files) > 40
    for file in files:
        assert (again.directory / file).read_bytes() == (run.directory / file).read_bytes(), file


def test_a_resumed_training_on_crops_is_the_uninterrupted_one(tmp_path, monkeypatch):
    """Killed at the drop of SGD's rate, in the step that trains on erased pictures."""
    more = {"classifier_epochs": 4, "drop_epoch": 2}
    whole, broken = (photo_run(tmp_path / name, tmp_path / "photos", **more) for name in ("whole", "broken"))
    for step in (1, 2):
        stages.mine(whole, step)
    stages.mine(broken, 1)

    def killed(epoch, epochs, loss):
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "epoch_report", lambda name: killed)
        with pytest.raises(KeyboardInterrupt):
            stages.mine(broken, 2)
    assert not broken.finished("classifier-2") and (broken.directory / "classifier-2.partial" / ".checkpoint").exists()
    stages.mine(broken, 2)
    for name in ("weights.safetensors", "regions.safetensors", "log.json"):
        assert whole.file("classifier-2", name).read_bytes() == broken.file("classifier-2", name).read_bytes()


# --- prepare --------------------------------------------------------------------------------------------------------------------


def nothing_was_made(run: Run) -> bool:
    """Neither a finished stage, nor a file that looks like one's."""
    left = {f.relative_to(run.directory).as_posix() for f in run.directory.rglob("*") if f.is_file()} - {".stage.lock", ".course.lock"}
    return left == {"settings.json"} and not run.finished("data") and verify(run.directory) == []


def faulty_devkit(tmp_path, monkeypatch) -> tuple[Run, list[str]]:
    """A run whose photographs, masks, lists, maps and weights are all wrong, and what must be named."""
    devkit = make_devkit(tmp_path / "photos") / "VOCdevkit" / "VOC2012"
    maps = make_folder(tmp_path / "other") / "maps"
    (devkit / "JPEGImages" / "p1.jpg").unlink()
    (devkit / "JPEGImages" / "p2.jpg").write_bytes((devkit / "JPEGImages" / "p2.jpg").read_bytes()[:500])
    save_mask(devkit / "SegmentationClass" / "p3.png", np.zeros((3, 3), np.uint8))
    save_mask(devkit / "SegmentationClass" / "p9.png", np.full(np.array(Image.open(devkit / "SegmentationClass" / "p9.png")).shape, 77, np.uint8))
    (maps / "p4.png").unlink()
    Image.new("L", (5, 5)).save(maps / "p5.png")
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    more = {"backbone": "mobilenet_v2", "weights": str(tmp_path / "weights.safetensors"), "saliency_maps": str(maps)}
    run = photo_run(tmp_path / "run", tmp_path / "photos", "voc", **more)
    monkeypatch.setattr(stages, "fit", _forbidden)
    wrong = ["p1.jpg is missing", "p2.jpg cannot be read", "p3.png has 3 x 3 pixels", "p9.png: labels 77 found", "p4.png: no such saliency map"]
    return run, [*wrong, "p5.png: the map is 5x5", "weights.safetensors cannot be read as weights"]


@pytest.mark.parametrize("start", [stages.prepare, lambda run: stages.mine(run, 1)])
def test_all_faults_of_the_data_are_named_at_once_before_anything_is_trained(tmp_path, monkeypatch, start):
    run, wrong = faulty_devkit(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"problem\(s\) with the data") as error:
        start(run)
    for what in wrong:
        assert str(error.value).count(what) == 1, what
    assert "p2.png" not in str(error.value) and nothing_was_made(run)


def test_faults_in_the_list_do_not_hide_those_of_the_weights(tmp_path, monkeypatch):
    run, _ = faulty_devkit(tmp_path, monkeypatch)
    devkit = tmp_path / "photos" / "VOCdevkit" / "VOC2012"
    (devkit / "image_labels.json").write_text(json.dumps(json.loads((devkit / "image_labels.json").read_text()) | {"p6": ["cta"], "p9": []}))
    with pytest.raises(ValueError, match=r"weights\.safetensors cannot be read") as error:
        stages.prepare(run)
    for what in ("p6: class 'cta' is unknown (did you mean 'cat'?)", "p9 names no object", "p1.jpg is missing", "p3.png has 3 x 3 pixels"):
        assert str(error.value).count(what) == 1, what
    assert nothing_was_made(run)


def test_mended_the_same_run_goes_on(tmp_path):
    root = make_folder(tmp_path / "photos")
    content = (root / "images" / "p0.png").read_bytes()
    (root / "images" / "p0.png").write_bytes(b"")
    run = photo_run(tmp_path / "run", root)
    with pytest.raises(ValueError, match=r"p0\.png cannot be read"):
        stages.prepare(run)
    (root / "images" / "p0.png").write_bytes(content)
    stages.prepare(run)
    assert run.finished("data") and verify(run.directory) == []


@pytest.mark.parametrize("lists", [("train_aug", "mine"), ("val", "val")])
def test_a_picture_in_both_splits_is_refused_whatever_the_lists_are_called(tmp_path, lists):
    folder = make_devkit(tmp_path / "photos") / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    (folder / "mine.txt").write_text("p11\np7\np8\n")
    run = photo_run(tmp_path / "run", tmp_path / "photos", "voc", train_list=lists[0], val_list=lists[1])
    with pytest.raises(ValueError, match=f"are in {lists[0]} and in {lists[1]}:(\n  p\\d+ is trained on and scored on)+$"):
        stages.prepare(run)
    assert nothing_was_made(run)


def _another_label(root):
    (root / "labels.csv").write_text((root / "labels.csv").read_text().replace("p0.png,disc,", "p0.png,square,"))


def _another_class(root):
    (root / "classes.txt").write_text("square\ndisc\n")


def _another_photograph(root):
    Image.fromarray(np.array(Image.open(root / "images" / "p1.png"))[:, :-1]).save(root / "images" / "p0.png")


def _one_photograph_less(root):
    (root / "images" / "p0.png").unlink()


@pytest.mark.parametrize("change", [_another_label, _another_class, _another_photograph, _one_photograph_less])
def test_a_run_is_of_the_photographs_it_began_with(tmp_path, change):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root)
    stages.prepare(run)
    change(root)
    for stage in (lambda: stages.mine(run, 1), lambda: stages.find_saliency(run), lambda: stages.train_ceiling(run)):
        with pytest.raises(RunError, match=r"the photographs or labels of train in .*photos are not what .*run began with") as error:
            stage()
    assert ("p0.png is missing" in str(error.value)) == (change is _one_photograph_less)
    assert {f.name for f in run.directory.iterdir() if f.is_dir()} == {"data"}


def test_a_run_is_scored_on_the_photographs_it_began_with(tmp_path):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root)
    make_everything(run)
    shutil.rmtree(run.directory / "scores-AE+PSL")
    (root / "labels.csv").write_text((root / "labels.csv").read_text().replace("p11.png,disc;square,", "p11.png,disc,"))
    with pytest.raises(RunError, match="the photographs or labels of val"):
        stages.score_network(run, "AE+PSL")


def test_a_run_that_an_older_aelib_began_is_refused_in_words(tmp_path):
    run = photo_run(tmp_path / "run", tmp_path / "photos")
    with run.making("data", []) as made:
        write_json(made / "log.json", {"pictures": {}, "mean_pixel": [0, 0, 0], "weights": None})
    for ask in (lambda: stages.pictures(run, "train"), lambda: stages.classes_of(run)):
        with pytest.raises(RunError, match="an older aelib made it: choose another run directory"):
            ask()


def test_a_list_that_is_mended_is_read_anew_in_the_same_process(tmp_path):
    lists = make_devkit(tmp_path / "photos") / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    right = (lists / "val.txt").read_text()
    (lists / "val.txt").write_text("p7\np8\n")
    run = photo_run(tmp_path / "run", tmp_path / "photos", "voc")
    with pytest.raises(ValueError, match="p7 is in train_aug and in val"):
        stages.prepare(run)
    (lists / "val.txt").write_text(right)
    stages.prepare(run)
    assert stages.pictures(run, "val").ids == ("p10", "p11", "p8", "p9")


def test_a_run_is_of_the_weights_it_began_with(tmp_path):
    torch.manual_seed(0)
    tensors = {name: value.clone() for name, value in LargeFOV(1, "mobilenet_v2").state_dict().items() if name.startswith("features.")}
    save_file(tensors, tmp_path / "w.safetensors")
    run = photo_run(tmp_path / "run", tmp_path / "photos", backbone="mobilenet_v2", weights=str(tmp_path / "w.safetensors"))
    stages.prepare(run)
    tensors["features.0.0.weight"] += 1
    save_file(tensors, tmp_path / "w.safetensors")
    for train in (lambda: stages.mine(run, 1), lambda: stages.train_ceiling(run)):
        with pytest.raises(RunError, match=r"the weights in w\.safetensors are not what .*run began with"):
            train()
    assert {f.name for f in run.directory.iterdir() if not f.name.startswith(".")} >= {"data"} and not list(run.directory.glob("*-*/manifest.json"))


def test_answers_need_the_run_alone_and_not_what_it_was_trained_on(finished, tmp_path, capsys):
    kind, run = finished
    root = run.directory.parent / "photos"
    photo = tmp_path / f"new{stages.pictures(run, 'val').images.files[0].suffix}"
    photo.write_bytes(stages.pictures(run, "val").images.files[0].read_bytes())
    stages.voc._chosen.cache_clear()
    root.rename(tmp_path / "elsewhere")
    try:
        assert main(["predict", "--run", str(run.directory), "--out", str(tmp_path / "out"), str(photo)]) == 0
    finally:
        (tmp_path / "elsewhere").rename(root)
    assert ("cat, dog" if kind == "voc" else "disc, square") in capsys.readouterr().out
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"new.png", "new-overlay.jpg"}


def test_maps_of_larger_photographs_are_of_their_full_size(tmp_path):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root, saliency_maps=str(root / "maps"), longest_side=40)
    stages.find_saliency(run)
    train = stages.pictures(run, "train")
    for name, image, made in zip(train.ids, train.images, run.images("saliency", train.ids), strict=True):
        whole = np.array(Image.open(root / "maps" / f"{name}.png"))
        assert max(whole.shape) > 40 == max(made.shape) and made.shape == image.shape[:2]
        for y, x in np.ndindex(made.shape):  # each pixel lies between those it covers
            rows, columns = (
                slice(int(i * old / new), int(np.ceil((i + 1) * old / new))) for i, old, new in zip((y, x), whole.shape, made.shape, strict=True)
            )
            assert whole[rows, columns].min() - 1 <= made[y, x] <= whole[rows, columns].max() + 1


def test_maps_of_ones_own_become_the_saliency_unchanged(tmp_path):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root, saliency_maps=str(root / "maps"))
    stages.find_saliency(run)
    ids = stages.pictures(run, "train").ids
    for name, made in zip(ids, run.images("saliency", ids), strict=True):
        np.testing.assert_array_equal(made, np.array(Image.open(root / "maps" / f"{name}.png")))


def test_answers_never_replace_a_photograph_and_the_archive_holds_its_own_list_only(finished, tmp_path, monkeypatch):
    kind, run = finished
    photos = stages.pictures(run, "val").images.files
    mine = tmp_path / f"mine{photos[0].suffix}"
    mine.write_bytes(photos[0].read_bytes())
    (tmp_path / "answer.png").write_bytes(mine.read_bytes()) if mine.suffix != ".png" else mine.rename(tmp_path / "answer.png")
    before = (tmp_path / "answer.png").read_bytes()
    with pytest.raises(ValueError, match="would be overwritten by its answer"):
        submission.write_answers(run, [tmp_path / "answer.png"], tmp_path)
    assert (tmp_path / "answer.png").read_bytes() == before
    monkeypatch.setattr(stages, "confidences_of", _forbidden)  # a wrong name is said at once
    with pytest.raises(RunError, match="network-AE-step7 is needed"):
        submission.write_answers(run, photos, tmp_path / "no", name="AE-step7")
    assert not (tmp_path / "no").exists()
    monkeypatch.undo()
    if kind != "voc":
        with pytest.raises(ValueError, match="was trained on folder"):
            submission.write_submission(run, tmp_path / "out", "val")
        return
    stale = tmp_path / "out" / submission.LAYOUT / "stale.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    with tarfile.open(submission.write_submission(run, tmp_path / "out", "val")) as archive:
        assert sorted(archive.getnames()) == sorted(f"{submission.LAYOUT.as_posix()}/{photo.stem}.png" for photo in photos)
    for photo, q in zip(photos, stages.answer(run, stages.pictures(run, "val").images, "AE+PSL++"), strict=True):
        answer = np.array(Image.open(stale.with_name(f"{photo.stem}.png")))
        np.testing.assert_array_equal(answer, np.array([0, 8, 12])[q.argmax(axis=0)])  # VOC's numbers of background, cat, dog
