"""The stages as a whole, at a scale of seconds."""

import json

import numpy as np
import pytest
import torch

from aelib import data, results, stages
from aelib.runs import Run, RunError

TINY = {
    "train_images": 12,
    "val_images": 8,
    "classifier_epochs": 1,
    "network_epochs": 1,
    "erase_steps": 2,
    "object_steps": 2,
    "workers": 1,
    "superpixels": 40,
    "crf_iterations": 2,
}


def train_everything(run):
    for step in range(1, run.settings.erase_steps + 1):
        stages.mine(run, step)
    stages.find_saliency(run)
    for step in range(1, run.settings.erase_steps + 1):
        stages.merge_seeds(run, step)
        stages.train_on_seeds(run, step)
    stages.train_psl(run)
    stages.refine_training_masks(run)
    stages.train_psl_again(run)


def score_everything(run):
    for step in range(1, run.settings.erase_steps + 1):
        stages.score_mined(run, step)
    for name in ("AE-step1", "AE-step2", "AE+PSL", "AE+PSL++", stages.FULL):
        stages.score_network(run, name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run whose training stages were done while asking for masks was an error."""
    run = Run(tmp_path_factory.mktemp("run"), "smoke", **TINY)
    with pytest.MonkeyPatch.context() as patch:
        for place in (stages, data):
            for name in ("truth", "creature_truth"):
                if hasattr(place, name):
                    patch.setattr(place, name, _forbidden)
        train_everything(run)
    stages.train_ceiling(run)
    score_everything(run)
    return run


def _forbidden(*_):
    raise AssertionError("training asked for masks")


def test_training_never_sees_a_mask(finished):
    assert {"image", "mask", "parts", "truth"} & set(vars(stages.pictures(finished, "train"))) == set()
    assert finished.finished("network-AE+PSL++")  # made by the fixture while masks were out of reach


def test_the_same_seed_gives_the_same_numbers_and_files(finished, tmp_path):
    again = Run(tmp_path / "again", "smoke", **TINY)
    train_everything(again)
    stages.train_ceiling(again)
    score_everything(again)
    assert results.results(again) == results.results(finished)
    for file in finished.directory.rglob("*"):
        if file.is_file() and file.name not in ("timings.jsonl", "results.json"):
            assert (again.directory / file.relative_to(finished.directory)).read_bytes() == file.read_bytes(), file


def test_a_finished_stage_is_not_made_again(finished, monkeypatch):
    monkeypatch.setattr(stages, "fit", _forbidden)
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
    """Of pictures of several sizes and widths that are no multiple of 8; the same class claimed by several steps counts once."""
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
    regions = stages.Regions(shapes, classes, packed)
    assert len(regions) == 5 and len({len(one) for one in packed}) > 2
    for got, want in zip([*regions, *regions[1:3], regions[-1]], [*wanted, *wanted[1:3], wanted[-1]], strict=True):
        assert got.dtype == bool and got.tolist() == want
    with pytest.raises(IndexError):
        regions[5]


def test_step_two_trains_on_pictures_without_what_step_one_found(finished, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(stages, "fit", lambda model, dataset, *_, **__: seen.update(dataset=dataset) or _stop())
    run = Run(tmp_path / "copy", "smoke", **TINY)
    (run.directory / "classifier-1").symlink_to(finished.directory / "classifier-1")
    with pytest.raises(KeyboardInterrupt):
        stages.mine(run, 2)
    train, gone = stages.pictures(run, "train"), stages.regions(finished, 1)
    mean = torch.from_numpy(train.mean_pixel() / 255).float()
    for i in range(len(train)):
        hidden = torch.from_numpy(gone[i].any(axis=0))
        wanted = torch.from_numpy(train.images[i]).permute(2, 0, 1) / 255
        wanted[:, hidden] = mean[:, None]
        seen_both_ways = set()
        for seed in range(20):
            torch.manual_seed(seed)
            image, label = seen["dataset"][i]
            ways = [torch.equal(image, wanted), torch.equal(image, wanted.flip(-1))]
            assert any(ways) and torch.equal(label, torch.from_numpy(train.labels[i]).float())
            seen_both_ways.add(tuple(ways))
        assert len(seen_both_ways) == 2


def _stop():
    raise KeyboardInterrupt


def test_refined_masks_hold_only_classes_of_the_labels(finished):
    train = stages.pictures(finished, "train")
    for labels, mask in zip(train.labels, finished.images("refined", train.ids), strict=True):
        assert set(np.unique(mask)) <= {0, *(np.flatnonzero(labels) + 1)}


def test_scores_count_every_pixel_once(finished):
    scores = finished.json("scores-AE+PSL", "scores.json")
    assert set(scores) == {"all", "all+crf", "prohibited", "prohibited+crf"}
    truth = np.stack(stages.truth(finished, "val").masks)
    for matrix in scores.values():
        assert np.array(matrix).sum(axis=1).tolist() == np.bincount(truth.ravel(), minlength=7).tolist()


def test_confidences_are_the_classifier_on_the_whole_picture(finished):
    val = stages.pictures(finished, "val")
    with torch.no_grad():
        logits = stages.classifier(finished)(data.to_tensor(val.images[3])[None]).mean(dim=(2, 3))[0]
    torch.testing.assert_close(stages.confidences(finished, "val")[3], 1 / (1 + torch.exp(-logits)))


@pytest.mark.parametrize("kind", ["sigmoid", "squared"])
def test_classification_loss_is_its_formula(kind):
    torch.manual_seed(0)
    s, y = torch.randn(4, 3, dtype=torch.float64), torch.randint(0, 2, (4, 3)).double()
    p = 1 / (1 + torch.exp(-s))
    wanted = ((s - y) ** 2).mean() if kind == "squared" else -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    torch.testing.assert_close(stages.classification_loss(s, y, kind), wanted)


def test_a_stage_without_what_it_needs_says_what_is_missing(tmp_path):
    run = Run(tmp_path / "run", "smoke", **TINY)
    with pytest.raises(RunError, match=r"classifier-1 is needed .* first"):
        stages.mine(run, 2)
    assert {f.name for f in run.directory.glob("[!.]*")} == {"settings.json", "timings.jsonl", "data"}  # what was checked, and no more


def test_a_truncated_artefact_is_named_with_the_cure(finished, tmp_path):
    run = Run(tmp_path / "run", "smoke", **TINY)
    broken = run.directory / "classifier-1"
    broken.mkdir()
    for file in (finished.directory / "classifier-1").iterdir():
        content = file.read_bytes()
        (broken / file.name).write_bytes(content[: len(content) // 2] if file.name == "regions.safetensors" else content)
    with pytest.raises(RunError, match=r"regions.safetensors is not what the stage wrote .*; delete the folder"):
        stages.mine(run, 2)


def test_an_interrupted_training_goes_on_to_the_same_weights(finished, tmp_path, monkeypatch):
    settings = TINY | {"classifier_epochs": 3}
    whole, broken = (Run(tmp_path / name, "smoke", **settings) for name in ("whole", "broken"))
    stages.mine(whole, 1)

    def stop_after_two(name):
        return lambda epoch, epochs, loss: _stop() if epoch == 2 else None

    with monkeypatch.context() as patch:
        patch.setattr(stages, "epoch_report", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            stages.mine(broken, 1)
    assert not broken.finished("classifier-1")
    stages.mine(broken, 1)
    for name in ("weights.safetensors", "regions.safetensors", "log.json"):
        assert whole.file("classifier-1", name).read_bytes() == broken.file("classifier-1", name).read_bytes()


def test_results_are_json_with_the_mean_of_the_classes(finished):
    content = results.results(finished)
    assert json.loads(json.dumps(content)) == content
    assert content["rows"][0]["method"] == "CAM" and content["rows"][0]["split"] == "train"
