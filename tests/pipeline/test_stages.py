"""The stages as a whole, at a scale of seconds."""

import inspect
import json
import re
import shutil

import numpy as np
import pytest
import torch
from tiny import TINY

from aelib.datasets.base import to_tensor
from aelib.datasets.creatures import Creatures
from aelib.pipeline import results, stages
from aelib.pipeline.run import Run, RunError
from aelib.pipeline.stages import learning, mining, pseudo_masks, scoring, segmentation

SHORT = TINY | {"train_images": 12, "classifier_epochs": 1, "network_epochs": 1}


def train_everything(run):
    steps = range(1, run.settings.erase_steps + 1)
    for step in steps:
        stages.mine(run, step)
    stages.find_saliency(run)
    for step in steps:
        stages.make_pseudo_masks(run, step)
        stages.train_network(run, f"AE-step{step}")
    stages.train_network(run, "AE+PSL")
    stages.refine_training_masks(run)
    stages.train_network(run, "AE+PSL++")


def score_everything(run):
    for step in range(1, run.settings.erase_steps + 1):
        stages.score_mined(run, step)
    for name in ("AE-step1", "AE-step2", "AE+PSL", "AE+PSL++", stages.FULL):
        stages.score_network(run, name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run whose training stages were done while asking for masks was an error."""
    run = Run(tmp_path_factory.mktemp("run"), "smoke", **SHORT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "truth", _forbidden)
        patch.setattr(Creatures, "truth", _forbidden)
        train_everything(run)
    stages.train_ceiling(run)
    score_everything(run)
    return run


def _forbidden(*_, **__):
    raise AssertionError("training asked for masks")


def test_training_never_sees_a_mask(finished):
    train = stages.pictures(finished, "train")
    assert {"image", "mask", "parts", "truth"} & set(vars(train)) == set()
    assert finished.finished("network-AE+PSL++")  # the fixture made it while masks were forbidden


def test_true_masks_are_named_in_scoring_alone():
    for module in (stages, mining, pseudo_masks, learning, segmentation):
        assert "Truth" not in inspect.getsource(module) and "Truth" not in vars(module)


def test_the_same_seed_gives_the_same_numbers_and_files(finished, tmp_path):
    again = Run(tmp_path / "again", "smoke", **SHORT)
    train_everything(again)
    stages.train_ceiling(again)
    score_everything(again)
    assert results.results(again) == results.results(finished)
    for file in finished.directory.rglob("*"):
        if file.is_file() and file.name not in ("timings.jsonl", "results.json"):
            other = again.directory / file.relative_to(finished.directory)
            assert other.read_bytes() == file.read_bytes(), file


def test_a_finished_stage_is_not_made_again(finished, monkeypatch):
    for module in (mining, learning):
        monkeypatch.setattr(module, "fit_resumably", _forbidden)
    train_everything(finished)


def test_regions_are_the_union_of_the_steps_and_only_of_present_classes(finished):
    labels = stages.pictures(finished, "train").labels
    union = stages.regions(finished, 2)
    first, second = stages.regions(finished, 1), stages.regions(finished, 2, first=2)
    assert any(r.any() for r in second)
    for i, r in enumerate(union):
        assert np.array_equal(r, first[i] | second[i])
        assert not r[~labels[i]].any()


def test_regions_are_bits_unpacked_pixel_by_pixel():
    """Of several sizes, of widths that are no multiple of 8, and claimed more than once."""
    rng, classes = np.random.default_rng(0), 3
    shapes = [(4, 1), (3, 8), (5, 13), (2, 17), (1, 7)]
    packed, wanted = [], []
    for height, width in shapes:
        packed.append([])
        wanted.append([[[False] * width for _ in range(height)] for _ in range(classes)])
        for c in rng.integers(0, classes, rng.integers(0, 5)):
            rows = [[0] * -(-width // 8) for _ in range(height)]
            for y in range(height):
                for x in range(width):
                    if rng.random() < 0.3:
                        rows[y][x // 8] += 128 >> x % 8
                        wanted[-1][c][y][x] = True
            packed[-1].append((int(c), np.array(rows, np.uint8)))
    regions = stages.MinedRegions(shapes, classes, packed)
    assert len(regions) == 5 and len({len(one) for one in packed}) > 2
    all_got = [*regions, *regions[1:3], regions[-1]]
    for got, want in zip(all_got, [*wanted, *wanted[1:3], wanted[-1]], strict=True):
        assert got.dtype == bool and got.tolist() == want
    with pytest.raises(IndexError):
        regions[5]


def test_step_two_trains_on_pictures_without_what_step_one_found(finished, tmp_path, monkeypatch):
    asked = []

    def stop(model, dataset, *_):
        asked.append(dataset)
        raise KeyboardInterrupt

    monkeypatch.setattr(mining, "fit_resumably", stop)
    run = Run(tmp_path / "copy", "smoke", **SHORT)
    for name in ("classifier-1", "regions-1"):
        (run.directory / name).symlink_to(finished.directory / name)
    with pytest.raises(KeyboardInterrupt):
        stages.mine(run, 2)
    train, erased = stages.pictures(run, "train"), stages.regions(finished, 1)
    mean = torch.from_numpy(train.mean_pixel() / 255).float()
    for i in range(len(train)):
        hidden = torch.from_numpy(erased[i].any(axis=0))
        wanted = torch.from_numpy(train.images[i]).permute(2, 0, 1) / 255
        wanted[:, hidden] = mean[:, None]
        seen_both_ways = set()
        for seed in range(20):
            torch.manual_seed(seed)
            image, label = asked[0][i]
            ways = [torch.equal(image, wanted), torch.equal(image, wanted.flip(-1))]
            assert any(ways) and torch.equal(label, torch.from_numpy(train.labels[i]).float())
            seen_both_ways.add(tuple(ways))
        assert len(seen_both_ways) == 2


def test_refined_masks_hold_only_classes_of_the_labels(finished):
    train = stages.pictures(finished, "train")
    for labels, mask in zip(train.labels, finished.images("refined", train.ids), strict=True):
        assert set(np.unique(mask)) <= {0, *(np.flatnonzero(labels) + 1)}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_crf_gets_each_picture_with_its_own_f_and_labels(tmp_path, workers):
    """Weights of 0 leave f as it is, over the labels that are present: q is told by hand."""
    off = {"gaussian_weight": 0.0, "bilateral_weight": 0.0, "workers": workers}
    run = Run(tmp_path / "run", "smoke", **SHORT | off)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (4, 5 + i % 3, 3), np.uint8) for i in range(12)]
    f = [torch.from_numpy(rng.dirichlet([1] * 3, i.shape[:2]).astype(np.float32)) for i in images]
    f = [one.permute(2, 0, 1).contiguous() for one in f]
    present = rng.random((12, 3)) < 0.5
    present[:, 0] = True
    pairs = list(stages.refined(run, images, iter(f), present))
    assert len(pairs) == 12
    for one, labels, (same, q) in zip(f, present, pairs, strict=True):
        assert np.array_equal(same, one.numpy())
        kept = (one.numpy() * labels[:, None, None]).clip(0, 1)
        np.testing.assert_allclose(q, kept / kept.sum(axis=0), atol=2e-4)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_crf_says_how_far_it_came(tmp_path, workers):
    run = Run(tmp_path / "run", "smoke", **SHORT | {"workers": workers})
    images = [np.zeros((4, 4, 3), np.uint8)] * 5
    f = [torch.full((2, 4, 4), 0.5)] * 3 + [torch.full((2, 4, 4), np.nan)] * 2
    with pytest.raises(ValueError, match=r"is outside \[0, 1\] or NaN") as error:
        list(stages.refined(run, images, f, np.ones((5, 2), bool)))
    assert any("3 of 5 pictures were refined before" in note for note in error.value.__notes__)


def test_scores_count_every_pixel_once(finished):
    scores = finished.json("scores-AE+PSL", "scores.json")
    assert set(scores) == {"all", "all+crf", "prohibited", "prohibited+crf"}
    truth = np.stack(stages.truth(finished, "val").masks)
    pixels = np.bincount(truth.ravel(), minlength=7).tolist()
    for matrix in scores.values():
        assert np.array(matrix).sum(axis=1).tolist() == pixels


def test_confidences_are_the_classifier_on_the_whole_picture(finished):
    val = stages.pictures(finished, "val")
    with torch.no_grad():
        scores = stages.classifier(finished)(to_tensor(val.images[3])[None])
    logits = scores.mean(dim=(2, 3))[0]
    got = stages.confidences(finished, val.images)[3]
    torch.testing.assert_close(got, 1 / (1 + torch.exp(-logits)))


def test_a_stage_without_what_it_needs_says_what_is_missing(tmp_path):
    run = Run(tmp_path / "run", "smoke", **SHORT)
    with pytest.raises(RunError, match=r"regions-1 is needed .* first"):
        stages.mine(run, 2)
    # what was checked, and no more
    there = {f.name for f in run.directory.glob("[!.]*")}
    assert there == {"settings.json", "timings.jsonl", "data", "data-val"}


def test_a_truncated_artefact_is_named_with_the_cure(finished, tmp_path):
    run = Run(tmp_path / "run", "smoke", **SHORT)
    for name in ("classifier-1", "regions-1"):
        shutil.copytree(finished.directory / name, run.directory / name)
    broken = run.directory / "regions-1" / "regions.safetensors"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    what = r"regions.safetensors is not what was written .*; delete the folder"
    with pytest.raises(RunError, match=what):
        stages.mine(run, 2)


def test_results_are_json_with_the_mean_of_the_classes(finished):
    content = results.results(finished)
    assert json.loads(json.dumps(content)) == content
    assert content["rows"][0]["method"] == "CAM" and content["rows"][0]["split"] == "train"


# --- what stages say of themselves ----------------------------------------------------------------


def test_every_folder_of_a_run_is_found_with_what_its_stage_is_called_with(finished):
    wanted = {"data": (), "data-val": (), "saliency": (), "refined": (), "classifier-1": (1,)}
    wanted |= {"warmup": ()}
    wanted |= {"regions-2": (2,), "pseudo-masks-2": (2,)}
    wanted |= {"scores-mined-2": (2,), "scores-AE+PSL": ("AE+PSL",), "network-AE-step2": (2,)}
    wanted |= {f"network-{stages.FULL}": (), f"scores-{stages.FULL}": (stages.FULL,)}
    wanted |= {"network-AE+PSL": (), "network-AE+PSL++": (), "scores-AE-step1": ("AE-step1",)}
    for folder in finished.directory.glob("*/manifest.json"):
        name = folder.parent.name
        stage, of = stages.find(name)
        assert stage.name(*of) == name and of == wanted.get(name, of)
        reads = json.loads(folder.read_text())["reads"]
        assert list(reads) == stage.reads(finished.settings, *of)
    assert stages.find("scores-mined-2")[0] is stages.score_mined
    assert stages.find("scores-AE+PSL")[0] is stages.score_network
    assert stages.find("network-AE+PSL+++")[0].pattern == "network-AE+PSL+++"


@pytest.mark.parametrize("name", ["AE-step", "AE-step2x", "AE", "PSL", "", "AE+PSL++++"])
def test_an_unknown_network_is_refused(finished, name):
    with pytest.raises(ValueError, match=re.escape(f"no stage makes a folder 'network-{name}'")):
        stages.train_network(finished, name)
