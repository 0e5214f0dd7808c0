"""Runs on a dozen photographs of many sizes: VOC's layout, and a folder with masks and without."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import PHOTOS, TINY, make_devkit, make_everything, make_folder
from torch.nn import functional as F

from aelib.cam import cam
from aelib.course.notebook import story
from aelib.datasets.folder import Folder
from aelib.datasets.photos import save_mask
from aelib.datasets.voc import VOC
from aelib.evaluation import iou
from aelib.models import LargeFOV
from aelib.pipeline import stages
from aelib.pipeline.run import Run, RunError
from aelib.pipeline.stages import checkpoint, inputs, learning, mining, scoring
from aelib.pipeline.verify import verify
from aelib.support.files import write_json

KINDS = ("voc", "folder", "folder without masks")


def photo_run(directory, root, kind="folder", **more) -> Run:
    """A run on the dozen pictures, which are made if they are not there."""
    if not root.exists():
        make_devkit(root) if kind == "voc" else make_folder(root, masks="without" not in kind)
    classes = {"classes": "cat,dog"} if kind == "voc" else {}
    place = {"dataset": kind.split()[0], "data_root": str(root)}
    return Run(directory, "smoke", **TINY | PHOTOS | classes | place | more)


def _forbidden(*_, **__):
    raise AssertionError("training asked for masks")


@pytest.fixture(scope="module", params=KINDS)
def finished(request, tmp_path_factory):
    """A run of each kind; what comes before the scores is made while masks are out of reach."""
    folder = tmp_path_factory.mktemp("photos")
    run = photo_run(folder / "run", folder / "photos", request.param)
    with pytest.MonkeyPatch.context() as patch:
        stages.prepare(run)
        for place in (scoring, VOC, Folder):
            patch.setattr(place, "truth", _forbidden)
        for step in (1, 2):
            stages.mine(run, step)
        stages.find_saliency(run)
        for step in (1, 2):
            stages.make_pseudo_masks(run, step)
            stages.train_network(run, f"AE-step{step}")
        stages.train_network(run, "AE+PSL")
        stages.refine_training_masks(run)
        stages.train_network(run, "AE+PSL++")
    make_everything(run)
    return request.param, run


def test_everything_is_made_and_whole(finished):
    kind, run = finished
    assert verify(run.directory) == [] and not list(run.directory.glob("*.partial"))
    with_ceiling = [run.finished(f"{made}-{stages.FULL}") for made in ("network", "scores")]
    assert with_ceiling == [kind != "folder without masks"] * 2
    log = run.json("data", "log.json")
    assert log["pictures"] == 8 and log["weights"] is None
    assert run.json("data-val", "log.json")["pictures"] == 4


def test_the_mean_pixel_is_that_of_all_pixels(finished):
    _, run = finished
    images = stages.pictures(run, "train").images
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(float)
    mean = stages.mean_pixel(run).numpy()
    np.testing.assert_allclose(mean, pixels.mean(axis=0) / 255, rtol=1e-12)


def test_every_label_map_has_its_pictures_size_and_classes_of_its_labels(finished):
    _, run = finished
    train = stages.pictures(run, "train")
    assert len({image.shape for image in train.images}) > 5
    for stage in ("saliency", "pseudo-masks-1", "pseudo-masks-2", "refined"):
        maps = run.images(stage, train.ids)
        for image, labels, made in zip(train.images, train.labels, maps, strict=True):
            assert made.shape == image.shape[:2]
            there, may = {*np.unique(made).tolist()}, {0, 255, *(np.flatnonzero(labels) + 1)}
            assert stage == "saliency" or there <= may


def test_training_gets_the_crops_the_regions_and_the_whole_recipe(finished, tmp_path, monkeypatch):
    kind, run = finished
    more = {"momentum": 0.7, "drop_epoch": 3, "precision": "bfloat16", "loaders": 1}
    more |= {"weight_decay": 0.03, "network_last_layer_factor": 3.0, "features_factor": 0.4}
    other = photo_run(tmp_path / "run", run.directory.parent / "photos", kind, seed=2, **more)
    stages.prepare(other)
    stages.mine(other, 1)
    stages.find_saliency(other)
    stages.make_pseudo_masks(other, 1)
    asked = []

    def stop(model, dataset, loss, recipe, made, **more):
        asked.append((dataset, recipe))
        raise KeyboardInterrupt

    for module in (mining, learning):
        monkeypatch.setattr(module, "fit_resumably", stop)
    with pytest.raises(KeyboardInterrupt):
        stages.mine(other, 2)
    with pytest.raises(KeyboardInterrupt):
        stages.train_network(other, "AE-step1")
    pictures, erased = stages.pictures(other, "train"), stages.regions(other, 1)
    masks = other.images("pseudo-masks-1", pictures.ids)
    wanted = {"optimiser": "sgd", "learning_rate": 1e-3, "batch_size": 4, "epochs": 2} | more
    network_factor = wanted.pop("network_last_layer_factor")
    alone = [{"last_layer_factor": 10.0, "seed": 202}]
    alone.append({"last_layer_factor": network_factor, "seed": 250})
    for (dataset, recipe), own in zip(asked, alone, strict=True):
        assert (len(dataset), dataset.crop, dataset.scales) == (8, 32, (0.5, 1.5))
        np.testing.assert_allclose(dataset.fill, stages.mean_pixel(other), atol=1e-7)
        assert asdict(recipe) == wanted | own
    for i in range(8):
        assert np.array_equal(asked[0][0].regions(i), erased[i]) and asked[0][0].masks is None
        assert np.array_equal(asked[0][0].target(i)[0], pictures.labels[i])
        assert np.array_equal(asked[1][0].masks[i], masks[i]) and asked[1][0].regions is None


def test_pseudo_masks_are_the_merge_rule_pixel_by_pixel(finished):
    _, run = finished
    train, threshold = stages.pictures(run, "train"), run.settings.background_threshold
    pairs = zip(
        run.images("pseudo-masks-2", train.ids), run.images("saliency", train.ids), strict=True
    )
    for i, (mask, gray) in enumerate(pairs):
        region = stages.regions(run, 2)[i]
        for y, x in np.ndindex(mask.shape):
            claims = [c for c in range(2) if region[c, y, x]]
            low = gray[y, x] / 255 < threshold
            wanted = 255
            if low and not claims:
                wanted = 0
            elif len(claims) == 1 and not low:
                wanted = claims[0] + 1
            assert mask[y, x] == wanted


def test_regions_on_disk_are_the_rule_on_the_cams(finished):
    """Bits unpacked by hand, against the classifier's maps of the pictures erased for it."""
    _, run = finished
    train, mean = stages.pictures(run, "train"), stages.mean_pixel(run)
    delta = run.settings.delta
    hidden = [np.zeros(image.shape[:2], bool) for image in train.images]
    pairs = zip(train.ids, train.labels, strict=True)
    keys = {f"{name}/{c}" for name, labels in pairs for c in np.flatnonzero(labels)}
    for step in (1, 2):
        bits = load_file(run.directory / f"regions-{step}" / "regions.safetensors")
        model = stages.classifier(run, step)
        assert {*bits} == keys
        for i, name in enumerate(train.ids):
            image = torch.from_numpy(train.images[i]).permute(2, 0, 1) / 255
            image[:, torch.from_numpy(hidden[i])] = mean.float()[:, None]
            maps = cam(model, image[None])[0].numpy()
            found = np.zeros((2, *hidden[i].shape), bool)
            for c in np.flatnonzero(train.labels[i]):
                least = delta * maps[c].max()
                for y, x in np.ndindex(hidden[i].shape):
                    found[c, y, x] = int(bits[f"{name}/{c}"][y, x // 8]) >> (7 - x % 8) & 1
                    # a batch may round otherwise than one picture
                    near = abs(maps[c, y, x] - delta * maps[c].max()) < 1e-5
                    assert near or found[c, y, x] == (maps[c, y, x] > least)
            assert np.array_equal(found, stages.regions(run, step, first=step)[i])
            hidden[i] |= found.any(axis=0)
        union = [region.any(axis=0) for region in stages.regions(run, step)]
        assert all(np.array_equal(a, b) for a, b in zip(union, hidden, strict=True))
    assert any(h.any() and not h.all() for h in hidden)


def test_scores_count_every_pixel_once_and_are_nan_without_masks(finished):
    kind, run = finished
    truth = stages.truth(run, "val")
    names = [folder.name.removeprefix("scores-") for folder in run.directory.glob("scores-*")]
    names = [name for name in names if "mined" not in name]
    pixels = np.bincount(np.concatenate([mask.ravel() for mask in truth.masks]), minlength=256)
    assert {*names} >= {"AE-step1", "AE-step2", "AE+PSL", "AE+PSL++"}
    for name in names:
        for matrix in run.json(f"scores-{name}", "scores.json").values():
            assert np.array(matrix).sum(axis=1).tolist() == pixels[:3].tolist()
            assert np.isnan(iou(matrix)).all() == (kind == "folder without masks")
    mined = run.json("scores-mined-2", "scores.json")
    assert np.isnan(iou(mined["matrix"])).all() == (kind == "folder without masks")
    masks = stages.truth(run, "train").masks
    objects = sum((mask != 0).sum() - (mask == 255).sum() for mask in masks)
    assert mined["parts"]["object"][1] == objects
    assert (objects > 0) == (kind != "folder without masks")


@pytest.mark.parametrize("flip", ["no", "yes"])
def test_a_network_sees_the_settings_views_in_order_whatever_the_batches(finished, tmp_path, flip):
    """Against one picture at a time, its views averaged by hand. Pictures of one size are batched,
    with others between them."""
    _, run = finished
    run = photo_run(tmp_path / "run", run.directory.parent / "photos", finished[0], test_flip=flip)
    val, model = [*stages.pictures(run, "val").images], stages.network(finished[1], "AE-step2")
    images = [val[0], val[0][:, ::-1].copy(), val[1], val[0], *val[2:]]
    for image, got in zip(images, stages.probabilities(run, model, images), strict=True):
        x, views = torch.from_numpy(image).permute(2, 0, 1)[None] / 255, []
        size = x.shape[-2:]
        for scale in (0.75, 1):
            sides = [round(side * scale) for side in size]
            view = F.interpolate(x, size=sides, mode="bilinear", antialias=True)
            for mirrored in (False, True)[: 1 + (flip == "yes")]:
                with torch.no_grad():
                    scores = model(view.flip(-1) if mirrored else view)
                scores = scores.flip(-1) if mirrored else scores
                views.append(F.interpolate(scores, size=size, mode="bilinear").softmax(dim=1))
        torch.testing.assert_close(got, sum(views)[0] / len(views), rtol=0, atol=1e-5)


def test_the_story_shows_every_stage_at_the_pictures_size(finished):
    _, run = finished
    image, panels, _ = story(run)
    steps = {"step 1: mined", "step 2: mined"}
    assert {*panels} == steps | {"S", "PSL", "CRF", "second round", "truth"}
    assert all(panel.shape == image.shape[:2] for panel in panels.values())


def test_workers_and_loaders_change_no_file(finished, tmp_path):
    kind, run = finished
    more = {"workers": 2, "loaders": 2} if kind == "voc" else {}
    again = photo_run(tmp_path / "again", run.directory.parent / "photos", kind, **more)
    make_everything(again)
    files = [f.relative_to(run.directory) for f in run.directory.glob("*/[!.]*")]
    assert len(files) > 40
    for file in files:
        assert (again.directory / file).read_bytes() == (run.directory / file).read_bytes(), file


def test_a_resumed_training_on_crops_is_the_uninterrupted_one(tmp_path, monkeypatch):
    """Killed at the drop of SGD's rate, in the step that trains on erased pictures."""
    more = {"classifier_epochs": 4, "drop_epoch": 2}
    runs = (photo_run(tmp_path / name, tmp_path / "photos", **more) for name in ("whole", "broken"))
    whole, broken = runs
    for step in (1, 2):
        stages.mine(whole, step)
    stages.mine(broken, 1)

    def killed(epoch, epochs, note):
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "progress", lambda name, unit: killed)
        with pytest.raises(KeyboardInterrupt):
            stages.mine(broken, 2)
    assert not broken.finished("classifier-2")
    assert (broken.directory / "classifier-2.partial" / ".checkpoint").exists()
    stages.mine(broken, 2)
    files = [("classifier-2", "weights.safetensors"), ("classifier-2", "log.json")]
    for stage, name in [*files, ("regions-2", "regions.safetensors")]:
        one, other = (run.file(stage, name) for run in (whole, broken))
        assert one.read_bytes() == other.read_bytes()


# --- prepare --------------------------------------------------------------------------------------


def nothing_was_made(run: Run) -> bool:
    """No finished stage, no file that looks like one's, no settings that bind the next call."""
    files = [file for file in run.directory.rglob("*") if file.is_file()]
    left = {file.relative_to(run.directory).as_posix() for file in files}
    return left <= {".stage.lock", ".course.lock"} and not run.finished("data")


def faulty_devkit(tmp_path, monkeypatch) -> tuple[Run, list[str]]:
    """A run with wrong photographs, masks, lists, maps and weights, and what must be named."""
    devkit = make_devkit(tmp_path / "photos") / "VOCdevkit" / "VOC2012"
    maps = make_folder(tmp_path / "other") / "maps"
    (devkit / "JPEGImages" / "p1.jpg").unlink()
    photo, masks = devkit / "JPEGImages" / "p2.jpg", devkit / "SegmentationClass"
    photo.write_bytes(photo.read_bytes()[:500])
    save_mask(masks / "p3.png", np.zeros((3, 3), np.uint8))
    save_mask(masks / "p9.png", np.full(np.array(Image.open(masks / "p9.png")).shape, 77, np.uint8))
    (maps / "p4.png").unlink()
    Image.new("L", (5, 5)).save(maps / "p5.png")
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    more = {"backbone": "mobilenet_v2", "weights": str(tmp_path / "weights.safetensors")}
    more["saliency_maps"] = str(maps)
    run = photo_run(tmp_path / "run", tmp_path / "photos", "voc", **more)
    monkeypatch.setattr(mining, "fit_resumably", _forbidden)
    wrong = ["p1.jpg is missing", "p2.jpg cannot be read", "p3.png has 3 x 3 pixels"]
    wrong += ["p9.png: labels 77 found", "p4.png: no such saliency map", "p5.png: the map is 5x5"]
    return run, [*wrong, "weights.safetensors cannot be read as weights"]


@pytest.mark.parametrize("start", [stages.prepare, lambda run: stages.mine(run, 1)])
def test_all_faults_are_named_at_once_before_anything_is_trained(tmp_path, monkeypatch, start):
    run, wrong = faulty_devkit(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"problem\(s\) with the data") as error:
        start(run)
    for what in wrong:
        assert str(error.value).count(what) == 1, what
    assert "p2.png" not in str(error.value) and nothing_was_made(run)


def test_faults_in_the_list_do_not_hide_those_of_the_weights(tmp_path, monkeypatch):
    run, _ = faulty_devkit(tmp_path, monkeypatch)
    devkit = tmp_path / "photos" / "VOCdevkit" / "VOC2012"
    table = json.loads((devkit / "image_labels.json").read_text())
    (devkit / "image_labels.json").write_text(json.dumps(table | {"p6": ["cta"]}))
    with pytest.raises(ValueError, match=r"weights\.safetensors cannot be read") as error:
        stages.prepare(run)
    unknown = "p6: class 'cta' is unknown (did you mean 'cat'?)"
    for what in (unknown, "p1.jpg is missing", "p3.png has 3 x 3 pixels"):
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


def lists_of(root):
    return root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"


@pytest.mark.parametrize("lists", [("train_aug", "mine"), ("val", "val")])
def test_a_picture_in_both_splits_is_refused_whatever_the_lists_are_called(tmp_path, lists):
    folder = lists_of(make_devkit(tmp_path / "photos"))
    (folder / "mine.txt").write_text("p11\np7\np8\n")
    names = {"train_list": lists[0], "val_list": lists[1]}
    run = photo_run(tmp_path / "run", tmp_path / "photos", "voc", **names)
    shared = f"  p\\d+ is in {lists[0]} and in {lists[1]}: what is trained on cannot be scored on$"
    with pytest.raises(ValueError, match=shared):
        stages.prepare(run)
    assert nothing_was_made(run)


def _relabel(root, line, become):
    table = root / "labels.csv"
    table.write_text(table.read_text().replace(line, become))


def _another_label(root):
    _relabel(root, "p0.png,disc,", "p0.png,square,")


def _another_class(root):
    (root / "classes.txt").write_text("square\ndisc\n")


def _another_photograph(root):
    image = np.array(Image.open(root / "images" / "p1.png"))[:, :-1]
    Image.fromarray(image).save(root / "images" / "p0.png")


def _one_photograph_less(root):
    (root / "images" / "p0.png").unlink()


LISTS, PHOTOGRAPHS = (_another_label, _another_class), (_another_photograph, _one_photograph_less)
STAGES = {
    "mine": lambda run: stages.mine(run, 1),
    "saliency": stages.find_saliency,
    "ceiling": stages.train_ceiling,
    "none": lambda run: stages.pictures(run, "train"),
}


@pytest.mark.parametrize("change", [*LISTS, *PHOTOGRAPHS])
def test_a_run_is_of_the_photographs_it_began_with(tmp_path, change):
    root = make_folder(tmp_path / "photos")
    begun = photo_run(tmp_path / "run", root)
    stages.prepare(begun)
    change(root)
    what = r"the photographs or labels of train in .*photos are not what .*run began with"
    for make in STAGES.values():
        with pytest.raises(RunError, match=what) as error:
            make(Run(begun.directory, "smoke"))
        missing = "p0.png is missing" in str(error.value)
        assert missing == (change is _one_photograph_less)
    assert {f.name for f in begun.directory.iterdir() if f.is_dir()} == {"data", "data-val"}


@pytest.mark.parametrize("change", PHOTOGRAPHS)
def test_each_stage_looks_at_the_photographs_again(tmp_path, change):
    """Lists and labels are those that a Run object has opened, photographs those on the disk."""
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root)
    stages.mine(run, 1)
    change(root)
    for make in (lambda run: stages.mine(run, 2), stages.find_saliency, stages.train_ceiling):
        with pytest.raises(RunError, match="the photographs or labels of train"):
            make(run)


def test_an_open_run_keeps_the_labels_it_began_with(tmp_path):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root)
    labels = stages.pictures(run, "train").labels.copy()
    stages.prepare(run)
    _another_label(root)
    assert np.array_equal(stages.pictures(run, "train").labels, labels)


def test_the_data_set_is_opened_once_and_photographs_are_compared_once_a_stage(
    tmp_path, monkeypatch
):
    opened, compared = [], []
    fingerprint = inputs.fingerprint

    def opening(*arguments, **named):
        opened.append(tuple(named["limits"]))
        return Folder(*arguments, **named)

    def comparing(pictures):
        compared.append(len(pictures))
        return fingerprint(pictures)

    monkeypatch.setattr(inputs, "Folder", opening)
    monkeypatch.setattr(inputs, "fingerprint", comparing)
    run = photo_run(tmp_path / "run", tmp_path / "photos")
    whole = [("train", "val"), ("train",), ("val",)]  # the check opens both splits together
    stages.prepare(run)
    assert opened == whole and compared == []
    stages.mine(run, 1)
    assert compared == [8, 8]  # classifier-1 and regions-1 read the training split
    for _ in range(3):
        stages.regions(run, 1)
        stages.mine(run, 1)
    stages.score_mined(run, 1)
    assert compared == [8] * 3 and opened == whole


def test_a_run_is_scored_on_the_photographs_it_began_with(tmp_path):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root)
    make_everything(run)
    shutil.rmtree(run.directory / "scores-AE+PSL")
    _relabel(root, "p11.png,disc;square,", "p11.png,disc,")
    with pytest.raises(RunError, match="the photographs or labels of val"):
        stages.score_network(Run(run.directory, "smoke"), "AE+PSL")


def test_a_run_that_an_older_aelib_began_is_refused_in_words(tmp_path):
    run = photo_run(tmp_path / "run", tmp_path / "photos")
    with run.making("data", []) as made:
        write_json(made / "log.json", {"pictures": 8, "mean_pixel": [0, 0, 0], "weights": None})
    for ask in (lambda: stages.pictures(run, "train"), lambda: stages.classes_of(run)):
        with pytest.raises(RunError, match="an older aelib made it: choose another run directory"):
            ask()


def test_a_list_that_is_mended_is_read_anew_in_the_same_process(tmp_path):
    lists = lists_of(make_devkit(tmp_path / "photos"))
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
    state = LargeFOV(1, "mobilenet_v2").state_dict()
    tensors = {n: value.clone() for n, value in state.items() if n.startswith("features.")}
    file = tmp_path / "w.safetensors"
    save_file(tensors, file)
    more = {"backbone": "mobilenet_v2", "weights": str(file)}
    run = photo_run(tmp_path / "run", tmp_path / "photos", **more)
    stages.prepare(run)
    tensors["features.0.0.weight"] += 1
    save_file(tensors, file)
    for train in (lambda: stages.mine(run, 1), lambda: stages.train_ceiling(run)):
        what = r"the weights in w\.safetensors are not what .*run began with"
        with pytest.raises(RunError, match=what):
            train()
    made = {file.parent.name for file in run.directory.glob("*/manifest.json")}
    assert made == {"data", "data-val"}


def test_maps_of_larger_photographs_are_of_their_full_size(tmp_path):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root, saliency_maps=str(root / "maps"), longest_side=40)
    stages.find_saliency(run)
    train = stages.pictures(run, "train")
    maps = run.images("saliency", train.ids)
    for name, image, made in zip(train.ids, train.images, maps, strict=True):
        whole = np.array(Image.open(root / "maps" / f"{name}.png"))
        assert max(whole.shape) > 40 == max(made.shape) and made.shape == image.shape[:2]
        for y, x in np.ndindex(made.shape):  # each pixel lies between those it covers
            sides = zip((y, x), whole.shape, made.shape, strict=True)
            rows, columns = (
                slice(int(i * old / new), int(np.ceil((i + 1) * old / new)))
                for i, old, new in sides
            )
            covered = whole[rows, columns]
            assert covered.min() - 1 <= made[y, x] <= covered.max() + 1


def test_maps_of_ones_own_become_the_saliency_unchanged(tmp_path):
    root = make_folder(tmp_path / "photos")
    run = photo_run(tmp_path / "run", root, saliency_maps=str(root / "maps"))
    stages.find_saliency(run)
    ids = stages.pictures(run, "train").ids
    for name, made in zip(ids, run.images("saliency", ids), strict=True):
        np.testing.assert_array_equal(made, np.array(Image.open(root / "maps" / f"{name}.png")))
