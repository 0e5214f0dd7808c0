"""Widgets are skins: their numbers are those of the method's own functions, and a control moves what it says."""

import ipywidgets
import numpy as np
import pytest
import torch

from aelib import widgets
from aelib.crf import CRF
from aelib.erasing import RULES, discriminative_regions
from aelib.evaluation import confusion, iou
from aelib.evaluation import part_recall as recall_of_parts
from aelib.masks import as_prediction, merge

N, C, H, W = 5, 3, 12, 16
CLASSES, PARTS = ("hare", "<stag>", "ram"), ("background", "head", "prop")


@pytest.fixture
def world():
    """A small set of noise, with overlapping regions, ties and void pixels."""
    rng = np.random.default_rng(3)
    masks = list(rng.choice([0, 0, 1, 2, 3, 255], (N, H, W)).astype(np.uint8))
    labels = rng.random((N, C)) < 0.6
    labels[0] = [True, True, False]
    probabilities = torch.from_numpy(rng.dirichlet(np.ones(C + 1), (N, H, W)).transpose(0, 3, 1, 2).copy()).float()
    return {
        "images": list(rng.integers(100, 130, (N, H, W, 3), dtype=np.uint8)),
        "maps": (rng.integers(-4, 11, (N, C, H, W)).clip(0) / 10).astype(np.float32),  # few values: many pixels at a threshold
        "labels": labels,
        "masks": masks,
        "parts": list(rng.integers(0, 3, (N, H, W), dtype=np.uint8)),
        "saliency": list((51 * rng.integers(0, 6, (N, H, W))).astype(np.uint8)),  # 0, 0.2 ... 1: many pixels at a threshold
        "regions": [[region & rng.random((C, 1, 1)).__lt__(0.9) for region in rng.random((N, C, H, W)) < 0.25] for _ in range(3)],
        "probabilities": list(probabilities),
        "v": rng.random((N, C)).astype(np.float32),
    }


@pytest.fixture
def front_end(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook")


def make(name, world):
    """A widget over the world."""
    of_set = {key: world[key] for key in ("images", "masks")} | {"classes": CLASSES}
    of_parts = {key: world[key] for key in ("labels", "parts")} | {"part_names": PARTS}
    f = torch.tensor([[0.2], [0.35], [0.45]]).reshape(1, 3, 1, 1)  # one pixel: background, two classes
    extra = {
        "delta": of_parts | {"maps": world["maps"]},
        "step_player": of_parts | {"regions_by_step": world["regions"], "mean_pixel": np.array([0.5, 0.4, 0.3])},
        "background": {"saliency": world["saliency"], "mined": world["regions"][0]},
        "confidences": {"f": f, "S": torch.tensor([[[255]]]), "classes": CLASSES[:2], "start": [1.0, 1.0]},
        "prohibit_threshold": {"probabilities": world["probabilities"], "v": world["v"]},
        "crf": {"probabilities": world["probabilities"], "present": np.ones((N, C + 1), bool), "start": CRF(iterations=1)},
    }[name]
    return getattr(widgets, name)(**((of_set if name != "confidences" else {}) | extra))


def everything(widget):
    """The widget and all below it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def control(box, start):
    """The control whose label starts so."""
    (found,) = (w for w in everything(box) if getattr(w, "description", "").startswith(start) and not isinstance(w, ipywidgets.Play))
    return found


def shown(box):
    """Pictures and texts."""
    parts = list(everything(box))
    return [w.value for w in parts if isinstance(w, ipywidgets.Image)], [w.value for w in parts if isinstance(w, ipywidgets.HTML)]


NAMES = ("delta", "step_player", "background", "confidences", "prohibit_threshold", "crf")


@pytest.mark.parametrize("name", NAMES)
def test_without_a_front_end_there_is_one_line_of_text(name, world, monkeypatch, capsys):
    for variable in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(variable, raising=False)
    assert make(name, world) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert "figure above" in line


@pytest.mark.parametrize("name", NAMES)
def test_every_control_has_a_label_and_moves_something(name, world, front_end):
    box = make(name, world)
    assert "<stag>" not in "".join(shown(box)[1])  # names are text, not HTML
    for w in [w for w in everything(box) if isinstance(w, (ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.Dropdown))]:
        assert w.description
        before, value = shown(box), w.value
        if isinstance(w, ipywidgets.Dropdown):
            w.index = (w.index + 1) % len(w.options)
        else:
            w.value = w.max if w.value < w.max else w.min
        assert shown(box) != before, w.description
        w.value = value
        assert shown(box) == before


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("delta", [0.05, 0.2, 0.37, 0.5, 0.95])
def test_regions_of_a_set_are_those_of_each_picture(world, rule, delta):
    got = widgets.Regions(torch.from_numpy(world["maps"]), world["labels"])(delta, rule)
    for i in range(N):
        found = discriminative_regions(torch.from_numpy(world["maps"][i]), torch.from_numpy(world["labels"][i]), delta, rule)
        np.testing.assert_array_equal(got[i], as_prediction(found.numpy()))


@pytest.mark.parametrize("delta", [0.05, 0.2, 0.37, 0.95])
def test_a_share_of_a_photograph_is_a_share_of_its_own_pixels(delta):
    """Maps of many sizes lie on one canvas; what is beside them is no pixel of theirs."""
    rng = np.random.default_rng(4)
    maps = [rng.random((C, h, w), dtype=np.float32) for h, w in ((12, 128), (90, 40), (128, 128), (1, 2))]
    labels = rng.random((4, C)) < 0.7
    got = widgets.Regions(maps, labels)(delta, "share")
    for i, whole in enumerate(maps):
        height, width = whole.shape[1:]
        found = discriminative_regions(torch.from_numpy(whole), torch.from_numpy(labels[i]), delta, "share")
        np.testing.assert_array_equal(got[i, :height, :width], as_prediction(found.numpy()))
        assert got[i].astype(bool).sum() == got[i, :height, :width].astype(bool).sum()


def test_scores_of_regions_are_those_of_a_loop_over_pixels(world):
    regions = world["regions"][0]
    prediction = np.stack([as_prediction(region) for region in regions])
    counts = widgets.Tally(world["masks"], world["parts"], C + 1, len(PARTS))(prediction)
    pairs = [(t, p) for t, p in zip(np.ravel(world["masks"]), prediction.ravel(), strict=True) if t != 255]
    for c, which in ((None, {1, 2, 3}), (1, {2})):
        right = sum(t == p and t in which for t, p in pairs)
        claimed, objects = sum(p in which for _, p in pairs), sum(t in which for t, _ in pairs)
        expected = {"precision": right / claimed, "recall": right / objects, "IoU": right / (claimed + objects - right)}
        assert widgets.region_scores(counts, c) == pytest.approx(expected)
    matrix = sum(confusion(t, p, C + 1) for t, p in zip(world["masks"], prediction, strict=True))
    np.testing.assert_array_equal(counts[:-1].sum(axis=1), matrix)
    assert widgets.mean_iou(matrix) == pytest.approx(iou(matrix).mean())
    of_parts = sum(recall_of_parts(region.any(axis=0), part, 3) for region, part in zip(regions, world["parts"], strict=True))
    np.testing.assert_allclose(widgets.part_recall(counts), of_parts[:, 0] / of_parts[:, 1])


def test_part_recall_of_a_class_looks_at_its_own_objects_and_at_what_is_no_object():
    masks, parts = [np.array([[1, 1, 2, 0, 0]], np.uint8)], [np.array([[1, 1, 1, 2, 2]], np.uint8)]
    counts = widgets.Tally(masks, parts, 3, 3)(np.array([[[1, 2, 2, 1, 0]]], np.uint8))
    np.testing.assert_array_equal(widgets.part_recall(counts, 0), [np.nan, 0.5, 0.5])
    assert np.isnan(list(widgets.region_scores(np.zeros_like(counts), 0).values())).all()


@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("rule", widgets.MERGE_RULES.values())
@pytest.mark.parametrize("block", [7, widgets.BLOCK])
def test_shares_of_S_are_those_of_all_its_pixels(world, rule, threshold, block, monkeypatch):
    monkeypatch.setattr(widgets, "BLOCK", block)
    mined = world["regions"][0]
    S = np.stack([rule(region, saliency / 255, threshold) for region, saliency in zip(mined, world["saliency"], strict=True)])
    truth = np.stack(world["masks"])
    S, truth = S[truth != 255], truth[truth != 255]
    foreground = (S > 0) & (S < 255)
    expected = {
        "labelled": np.mean(S != 255),
        "foreground": np.mean(S[foreground] == truth[foreground]) if foreground.any() else np.nan,
        "background": np.mean(truth[S == 0] == 0) if (S == 0).any() else np.nan,
        "objects": np.mean(S[truth > 0] == truth[truth > 0]),
    }
    got = widgets.SeedCounts(world["saliency"], mined, world["masks"])(threshold, rule)
    assert got == pytest.approx(expected, nan_ok=True)


def test_a_class_in_no_picture_has_no_region(world):
    labels = world["labels"].copy()
    labels[:, 1] = False
    assert 2 not in widgets.Regions(world["maps"], labels)(0.2, "max")


def test_pictures_of_many_sizes_keep_every_kth_pixel_in_a_corner():
    k, rng = 3, np.random.default_rng(0)
    small, large = ((60, 90), (2 * widgets.CANVAS + 1, 200))  # the second is more than twice the canvas
    for shape, colour in (((), False), ((4,), False), ((), True)):
        pair = [rng.integers(0, 200, (*shape, *size, 3) if colour else (*shape, *size), np.uint8) for size in (small, large)]
        got = widgets.one_size(pair, 255)
        assert got.shape == (2, *shape, widgets.CANVAS, widgets.CANVAS, *((3,) if colour else ())) and got.dtype == np.uint8
        for array, canvas, step in zip(pair, got, (1, k), strict=True):
            rows = len(shape)
            for y, x in ((0, 0), (5, 7), (19, 29), (59, 60)):
                at = (slice(None),) * rows
                assert (canvas[*at, y, x] == array[*at, step * y, step * x]).all()
            assert (canvas[*(slice(None),) * rows, 127, 127] == 255).all()
    same = [np.zeros((40, 30)), np.ones((40, 30))]
    assert widgets.one_size(iter(same), 0).shape == (2, 40, 30)


def test_the_merge_rules_differ_where_the_two_cues_contradict_each_other():
    regions = np.array([[[0, 1, 1, 0, 1, 1]], [[0, 0, 1, 0, 0, 1]]], bool)  # claimed by none, one, two
    saliency = np.array([[0.1, 0.1, 0.1, 0.9, 0.9, 0.9]])
    got = [rule(regions, saliency, 0.5).ravel().tolist() for rule in (merge, widgets.mined_wins, widgets.low_saliency_wins)]
    assert got == [[0, 255, 255, 255, 1, 255], [0, 1, 255, 255, 1, 255], [0, 0, 0, 255, 1, 255]]


def test_confidences_flip_s_hat_and_give_the_loss_as_the_formula_says(front_end, world):
    box = make("confidences", world)
    for v, winner in (((1.0, 1.0), 0.45), ((1.0, 0.5), 0.35), ((0.5, 0.2), 0.2)):
        for name, value in zip(CLASSES, v, strict=False):
            control(box, f"v of {name}").value = value
        assert f"PSL loss = J(f, S) + J(f, S-hat) = {-np.log(winner):.4f}" in shown(box)[1][-1]  # S ignores the pixel: J(f, S) = 0


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_prohibition_at_a_threshold_is_that_of_every_picture(world, threshold):
    matrix, right, wrong = widgets.Prohibited(world["probabilities"], world["v"], world["masks"])(threshold)
    left = []
    for f, v in zip(world["probabilities"], world["v"], strict=True):
        kept = [0] + [c + 1 for c in range(C) if v[c] >= threshold]
        left.append(np.array(kept)[f[kept].argmax(dim=0)])
    np.testing.assert_array_equal(matrix, sum(confusion(t, p, C + 1) for t, p in zip(world["masks"], left, strict=True)))
    there = np.array([[c in mask for c in (1, 2, 3)] for mask in world["masks"]])
    assert (right, wrong) == (np.sum((world["v"] < threshold) & ~there), np.sum((world["v"] < threshold) & there))


def test_steps_count_what_is_mined_up_to_them(world, front_end):
    box, union = make("step_player", world), world["regions"][0]
    for step in (1, 2, 3):
        union = [a | b for a, b in zip(union, world["regions"][step - 1], strict=True)]
        matrix = sum(confusion(t, as_prediction(r), C + 1) for t, r in zip(world["masks"], union, strict=True))
        control(box, "erasing step").value = step
        assert f"{100 * iou(matrix).mean():.1f} %" in shown(box)[1][-1]


def test_a_class_limits_the_pictures_to_those_that_show_it(world, front_end):
    world["labels"][:, 1] = [True, False, False, True, False]
    box = make("delta", world)
    control(box, "picture").value = N
    control(box, "class").value = CLASSES[1]
    assert (control(box, "picture").value, control(box, "picture").max) == (2, 2)
    assert any("picture 2 of 2" in text for text in shown(box)[1])


def test_a_start_outside_a_sliders_range_widens_it(world, front_end):
    box = widgets.crf(world["images"], world["probabilities"], np.ones((N, C + 1), bool), world["masks"], CLASSES, CRF(bilateral_sxy=121))
    assert control(box, "bilateral reach").value == 121


def test_painted_regions_are_coloured_outlined_and_ignored_ones_hatched():
    labels = np.zeros((96, 96), np.uint8)
    labels[20:50, 20:50], labels[60:] = 2, 255
    picture = widgets.paint(np.full((96, 96, 3), 100, np.uint8), labels)
    assert picture.shape == (288, 288, 3)
    assert tuple(picture[3 * 35, 60]) == tuple(widgets.PALETTE[1])  # the outline, inside
    assert tuple(picture[3 * 35, 59]) == (255, 255, 255)  # its white edge, outside
    assert len(np.unique(picture[200:], axis=0).reshape(-1, 288, 3)) > 1
    assert len(np.unique(picture[3 * 60 + 5 :].reshape(-1, 3), axis=0)) == 2  # stripes
