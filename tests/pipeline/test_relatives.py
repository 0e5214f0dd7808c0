"""aelib.pipeline.relatives and the stages that call them, against loops and finite differences."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY
from torch.nn import functional as F

from aelib import psl
from aelib.crf import CRF
from aelib.datasets.base import to_tensor
from aelib.datasets.samples import Samples
from aelib.masks import IGNORE, merge
from aelib.mean_field import mean_field
from aelib.models import classify
from aelib.pipeline import stages
from aelib.pipeline.derived import derive
from aelib.pipeline.relatives import fills, ilp, sec, targets
from aelib.pipeline.relatives.merging import joined, merge_by, smallest
from aelib.pipeline.run import Run
from aelib.pipeline.settings import Settings, make
from aelib.pipeline.stages import learning, mining, segmentation

#: Something is mined in both steps; two of the four epochs are the warm-up.
LIVELY = TINY | {"train_images": 12, "classifier_epochs": 1, "network_epochs": 4}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def batch():
    """Scores, S, v, labels and pictures of three images of four classes; the last has no S."""
    scores, v = random(3, 5, 4, 6), torch.rand(3, 4, generator=torch.Generator().manual_seed(1))
    S = torch.randint(0, 5, (3, 4, 6), generator=torch.Generator().manual_seed(2))
    S[:, :2] = IGNORE
    S[2] = IGNORE
    labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    image = torch.rand(3, 3, 8, 12, generator=torch.Generator().manual_seed(3))
    return scores, S, v, labels, image


def places(f: torch.Tensor):
    return [(y, x) for y in range(f.shape[-2]) for x in range(f.shape[-1])]


# --- pooling --------------------------------------------------------------------------------------


def test_log_sum_exp_is_its_formula_and_lies_between_mean_and_maximum():
    s = random(2, 3, 4, 5)
    got = ilp.log_sum_exp(s)
    for n in range(2):
        for c in range(3):
            total = sum(math.exp(5 * float(s[n, c, y, x])) for y, x in places(s))
            assert float(got[n, c]) == pytest.approx(math.log(total / 20) / 5)
    assert (got > s.mean(dim=(2, 3))).all() and (got < s.amax(dim=(2, 3))).all()
    torch.testing.assert_close(ilp.log_sum_exp(s, 1e-6), s.mean(dim=(2, 3)), atol=1e-5, rtol=0)
    assert ilp.log_sum_exp(torch.full((1, 1, 9, 9), 300.0)).item() == pytest.approx(300)


def test_the_gradient_of_log_sum_exp_is_that_of_central_differences():
    s = random(2, 3, 4, 5).requires_grad_()
    ilp.log_sum_exp(s).sum().backward()
    rng = np.random.default_rng(0)
    for _ in range(20):
        place = tuple(int(rng.integers(side)) for side in s.shape)
        moved = torch.zeros_like(s)
        moved[place] = 1e-5
        ends = [float(ilp.log_sum_exp(s.detach() + sign * moved).sum()) for sign in (1, -1)]
        assert s.grad[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.996, 1.0])
def test_gwrp_is_a_weighted_mean_of_the_ranked_values(decay):
    maps = random(2, 3, 4)
    for got, values in zip(sec.gwrp(maps, decay), maps, strict=True):
        ranked = sorted(values.flatten().tolist(), reverse=True)
        weights = [decay**j for j in range(12)]
        wanted = sum(w * x for w, x in zip(weights, ranked, strict=True)) / sum(weights)
        assert float(got) == pytest.approx(wanted)


# --- losses ---------------------------------------------------------------------------------------


def expand_by_loops(f, labels):
    """SEC's section 3.3 as it is written, for one image."""

    def pooled(c, decay):
        ranked = sorted((float(f[c, y, x]) for y, x in places(f)), reverse=True)
        weights = [decay**j for j in range(len(ranked))]
        return sum(w * p for w, p in zip(weights, ranked, strict=True)) / sum(weights)

    present = [c for c, there in enumerate(labels.tolist()) if there]
    absent = [c for c, there in enumerate(labels.tolist()) if not there]
    loss = -math.log(pooled(0, 0.999))
    for c in present:
        loss -= math.log(pooled(c + 1, 0.996)) / len(present)
    for c in absent:
        loss -= math.log(1 - max(float(f[c + 1, y, x]) for y, x in places(f))) / len(absent)
    return loss


def test_expand_is_its_formula_also_without_present_or_absent_classes(batch):
    scores, _, _, labels, _ = batch
    f = scores.softmax(dim=1)
    got = sec.expand(f, labels.double())
    wanted = [expand_by_loops(*pair) for pair in zip(f, labels, strict=True)]
    assert got.tolist() == pytest.approx(wanted)


def test_expand_of_certain_answers_is_finite():
    f = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    f[:, 1] = 1  # the absent class everywhere; the present one and background nowhere
    assert sec.expand(f, torch.tensor([[0.0, 1.0]]).double()).isfinite().all()


WIDE = CRF(gaussian_sxy=4, bilateral_sxy=20, iterations=3)


@pytest.mark.parametrize("off", ["", "gaussian_weight", "bilateral_weight"])
def test_the_small_crf_is_the_exact_mean_field_of_each_picture(batch, off):
    """At stride 1, where colours are whole grey levels for both."""
    f, crf = batch[0].softmax(dim=1), replace(WIDE, **{off: 0.0} if off else {})
    pixels = np.random.default_rng(0).integers(80, 120, (3, 4, 6, 3), np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    got = sec.small_crf(images, f, crf)
    for image, one, q in zip(pixels, f, got, strict=True):
        torch.testing.assert_close(q, mean_field(image, one, crf, method="pairs"))


def test_the_small_crf_shrinks_picture_and_widths_alike(batch):
    scores, *_, image = batch
    f = scores.softmax(dim=1)
    small = F.interpolate(image.double(), size=(4, 6), mode="bilinear", antialias=True)
    halved = replace(WIDE, gaussian_sxy=2, bilateral_sxy=10)
    torch.testing.assert_close(sec.small_crf(image, f, WIDE), sec.small_crf(small, f, halved))
    other = sec.small_crf(image, f, halved)
    assert not torch.allclose(sec.small_crf(image, f, WIDE), other)


def test_constrain_is_its_formula_and_no_gradient_flows_through_the_crf(batch):
    scores, *_, image = batch
    scores.requires_grad_()
    got = sec.constrain(scores, image, WIDE)
    f = scores.detach().softmax(dim=1)
    Q = sec.small_crf(image, f, WIDE)
    for n in range(3):
        wanted = 0.0
        for y, x in places(f):
            pairs = zip(Q[n, :, y, x].tolist(), f[n, :, y, x].tolist(), strict=True)
            wanted += sum(q * math.log(q / p) for q, p in pairs) / 24
        assert got[n].item() == pytest.approx(wanted)
    got.sum().backward()
    # of sum_c Q log(Q / softmax(s)) with Q held fixed: (f - Q) / n
    torch.testing.assert_close(scores.grad, (f - Q) / 24)


def _soft(scores, v):
    """[1, v] times f, normalised, place by place; scores (C + 1, h, w)."""
    f = scores.softmax(dim=0)
    out = torch.zeros_like(f)
    for y, x in places(f):
        weighed = [float(f[0, y, x])]
        weighed += [float(v[c]) * float(f[c + 1, y, x]) for c in range(len(v))]
        out[:, y, x] = torch.tensor(weighed, dtype=f.dtype) / sum(weighed)
    return out


def kl_by_loops(p, q):
    total = 0.0
    for y, x in places(p):
        for a, b in zip(p[:, y, x].tolist(), q[:, y, x].tolist(), strict=True):
            total += a * math.log(a / b) / (p.shape[1] * p.shape[2])
    return total


@pytest.mark.parametrize("kind", ["kl", "reverse-kl"])
def test_the_divergences_are_their_formulas(batch, kind):
    scores, S, v, labels, image = batch
    got = targets.loss(kind, scores, S, v, labels, image, None)
    wanted = 0.0
    for n in range(3):
        f, soft = scores[n].softmax(dim=0), _soft(scores[n], v[n])
        pair = (soft, f) if kind == "kl" else (f, soft)
        plain = float(psl.cross_entropy(scores[n : n + 1], S[n : n + 1]))
        wanted += (plain + kl_by_loops(*pair)) / 3
    assert got.item() == pytest.approx(wanted)


@pytest.mark.parametrize("kind", ["kl", "reverse-kl"])
def test_a_class_that_is_ruled_out_leaves_the_divergences_finite(batch, kind):
    scores, S, _, labels, image = batch
    scores = (40 * scores).requires_grad_()
    value = targets.loss(kind, scores, S, torch.zeros(3, 4), labels, image, None)
    value.backward()
    assert value.isfinite() and scores.grad.isfinite().all()


def test_v_of_one_makes_the_soft_answer_f(batch):
    scores = batch[0]
    soft = targets.soft_answer(scores, torch.ones(3, 4))
    torch.testing.assert_close(soft, scores.log_softmax(dim=1))


def _frozen(kind, scores, S, v, labels, image):
    """The loss with all targets held fixed where they are, as a function of the scores.

    (Finite differences of the loss itself would see the targets move.)
    """
    f = scores.detach().softmax(dim=1)
    hard = {"S": S, "S-hat": psl.prohibit(f, v), "argmax f": f.argmax(dim=1)}
    soft = torch.stack([_soft(s, w) for s, w in zip(scores.detach(), v, strict=True)])
    Q = sec.small_crf(image, f, WIDE)

    def term(name, x):
        log_f = x.log_softmax(dim=1)
        if name in hard:
            return psl.cross_entropy(x, hard[name])
        if name == "expand":
            return sec.expand(x.softmax(dim=1), labels.double())
        target, forward = (Q, True) if name == "constrain" else (soft, name == "kl")
        p, q = (target.log(), log_f) if forward else (log_f, target.log())
        return (p.exp() * (p - q)).sum(dim=1).mean(dim=(1, 2))

    return lambda x: sum(term(name, x) for name in targets.TERMS[kind]).mean()


@pytest.mark.parametrize("kind", targets.TERMS)
def test_the_gradient_of_each_loss_is_that_of_central_differences(batch, kind):
    scores, S, v, labels, image = batch
    v = v.double()
    scores.requires_grad_()
    value = targets.loss(kind, scores, S, v, labels.double(), image, WIDE)
    value.backward()
    fixed = _frozen(kind, scores, S, v, labels, image)
    assert value.item() == pytest.approx(float(fixed(scores.detach())))
    rng = np.random.default_rng(0)
    for _ in range(10):
        place = tuple(int(rng.integers(side)) for side in scores.shape)
        moved = torch.zeros_like(scores)
        moved[place] = 1e-5
        ends = [float(fixed(scores.detach() + sign * moved)) for sign in (1, -1)]
        difference = (ends[0] - ends[1]) / 2e-5
        assert scores.grad[place].item() == pytest.approx(difference, abs=1e-8, rel=1e-5)


def test_psl_among_the_terms_is_the_papers_loss_and_the_choices_are_the_terms(batch):
    scores, S, v, labels, image = batch
    got = targets.loss("psl", scores, S, v, labels, image, None)
    assert got == psl.psl_loss(scores, S, v)
    choices = Settings.__dataclass_fields__["network_loss"].metadata["choices"]
    assert {*choices} == {*targets.TERMS}


# --- prohibition at test, temperature -------------------------------------------------------------


def test_weighing_multiplies_each_place_by_the_prior_and_normalises():
    f, v = random(4, 3, 5).softmax(dim=0), torch.tensor([0.5, 0.0, 1.0]).double()
    got = ilp.weigh(f, v)
    for y, x in places(f):
        weighed = [float(w) * float(p) for w, p in zip([1, 0.5, 0, 1], f[:, y, x], strict=True)]
        wanted = [w / sum(weighed) for w in weighed]
        assert got[:, y, x].tolist() == pytest.approx(wanted)
    nothing = torch.zeros(2, 1, 1)
    nothing[1] = 1
    assert ilp.weigh(nothing, torch.zeros(1)).tolist() == [[[0.0]], [[0.0]]]


def test_the_crf_gets_the_tempered_f_and_the_pairs_keep_f(tmp_path):
    """Weights of 0 leave what the CRF gets as it is."""
    off = {"gaussian_weight": 0.0, "bilateral_weight": 0.0, "crf_temperature": 2.0}
    run = Run(tmp_path / "run", "smoke", **LIVELY | off)
    f = random(3, 4, 5).softmax(dim=0).float().contiguous()
    image = np.zeros((4, 5, 3), np.uint8)
    [(same, q)] = stages.refined(run, [image], [f], np.ones((1, 3), bool))
    assert np.array_equal(same, f.numpy())
    root = np.sqrt(f.numpy())
    np.testing.assert_allclose(q, root / root.sum(axis=0), atol=2e-4)


def test_prohibition_removes_or_weighs():
    f, v = list(random(2, 3, 4, 5).softmax(dim=1)), torch.tensor([[0.05, 0.5], [0.9, 0.0]])
    same, present = segmentation.prohibited(make("smoke"), f, v)
    assert same is f and present.tolist() == [[True, False, True], [True, True, False]]
    weighed, present = segmentation.prohibited(make("smoke", prohibition="weigh"), f, v)
    assert present.all() and present.shape == (2, 3)
    for one, prior, got in zip(f, v, weighed, strict=True):
        torch.testing.assert_close(got, ilp.weigh(one, prior))


# --- fills ----------------------------------------------------------------------------------------

MEAN, STD = torch.tensor([0.2, 0.5, 0.8]), torch.tensor([0.05, 0.1, 0.02])


def test_zero_is_black_and_noise_has_the_mean_and_the_spread_and_is_seeded_by_picture():
    image = torch.rand(3, 90, 70, generator=torch.Generator().manual_seed(0))
    assert not fills.painter("zero", MEAN, STD, 0)(image, 3).any()
    noise = fills.painter("noise", MEAN, STD, 7)
    got = noise(image, 3)
    assert got.shape == image.shape and got.dtype == image.dtype
    torch.testing.assert_close(got.mean(dim=(1, 2)), MEAN, atol=0.005, rtol=0)
    torch.testing.assert_close(got.std(dim=(1, 2)), STD, atol=0.005, rtol=0)
    assert torch.equal(got, noise(image, 3)) and not torch.equal(got, noise(image, 4))
    assert not torch.equal(got, fills.painter("noise", MEAN, STD, 8)(image, 3))
    loud = fills.painter("noise", MEAN, 20 * STD, 7)(image, 3)
    assert loud.min() == 0 and loud.max() == 1


def test_blur_is_a_mean_weighted_by_distance_place_by_place():
    image = random(3, 5, 7)
    got = fills.blur(image, 1.5)
    for y, x in places(image):
        weights = torch.zeros(5, 7, dtype=torch.float64)
        for v, u in places(image):
            weights[v, u] = math.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * 1.5**2))
        wanted = (image * weights).sum(dim=(1, 2)) / weights.sum()
        torch.testing.assert_close(got[:, y, x], wanted)


def test_the_painted_blur_leaves_a_flat_picture_and_hides_a_pattern():
    blur = fills.painter("blur", MEAN, STD, 0)
    flat = torch.full((3, 40, 60), 0.3)
    torch.testing.assert_close(blur(flat, 0), flat)
    stripes = torch.zeros(3, 40, 60)
    stripes[..., ::4] = 1
    assert blur(stripes, 0)[..., 10:-10].std() < 0.02


def test_pixel_std_is_over_all_pixels_of_all_pictures():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (4 + i, 6, 3), np.uint8) for i in range(3)]
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]) / 255
    got = fills.pixel_std(images, torch.from_numpy(pixels.mean(axis=0)))
    np.testing.assert_allclose(got.numpy(), pixels.std(axis=0), rtol=1e-6)


def test_samples_paint_the_erased_pixels_and_no_other(lively):
    train = stages.pictures(lively, "train")
    regions = torch.zeros(6, 96, 96, dtype=torch.bool)
    regions[2, 10:30, 20:50] = True
    asked = []

    def paint(image, i):
        asked.append(i)
        return torch.full_like(image, 0.25)

    more = {"fill": MEAN, "regions": lambda i: regions, "paint": paint}
    got = Samples(train, lambda i: (), **more).erased(3)
    wanted = to_tensor(train.images[3])
    wanted[:, 10:30, 20:50] = 0.25
    assert torch.equal(got, wanted) and asked == [3]


@pytest.mark.parametrize("fill", ["zero", "noise", "blur"])
def test_a_run_erases_with_its_fill(lively, fill):
    run = derive(lively, fill=fill)
    image = to_tensor(stages.pictures(run, "train").images[0])
    painted = mining._paint(run)(image, 0)
    if fill == "noise":
        pixels = np.concatenate([x.reshape(-1, 3) for x in stages.pictures(run, "train").images])
        mean, std = (torch.from_numpy(x).float() / 255 for x in (pixels.mean(0), pixels.std(0)))
        wanted = fills.painter("noise", mean, std, run.settings.seed)(image, 0)
        torch.testing.assert_close(painted, wanted, atol=1e-5, rtol=0)
    else:
        assert torch.equal(painted, fills.painter(fill, MEAN, STD, 0)(image, 0))
    assert mining._paint(lively) is None


# --- S --------------------------------------------------------------------------------------------


def by_pixel(rule, regions, saliency, threshold, labels):
    """The merge rule and its variants, a pixel at a time."""
    classes, height, width = regions.shape
    areas = [int(regions[c].sum()) for c in range(classes)]
    out = np.full((height, width), 255)
    for y in range(height):
        for x in range(width):
            claimants = [c for c in range(classes) if regions[c, y, x]]
            low = saliency[y, x] < threshold
            if low and not claimants:
                out[y, x] = 0
            elif not low and len(claimants) == 1:
                out[y, x] = claimants[0] + 1
            elif low and len(claimants) == 1 and rule in ("region", "saliency"):
                out[y, x] = claimants[0] + 1 if rule == "region" else 0
            elif not low and len(claimants) > 1 and rule == "smallest":
                out[y, x] = min(claimants, key=lambda c: (areas[c], c)) + 1
            elif not low and not claimants and rule == "near" and sum(labels) == 1:
                c = list(labels).index(True)
                if reaches((y, x), regions[c], saliency >= threshold):
                    out[y, x] = c + 1
    return out


def reaches(start, region, salient):
    """Whether a walk over salient and mined pixels, to 4 neighbours, comes to the region."""
    seen, waiting = {start}, [start]
    while waiting:
        y, x = waiting.pop()
        if region[y, x]:
            return True
        for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= place[0] < region.shape[0] and 0 <= place[1] < region.shape[1]
            if inside and place not in seen and (region[place] or salient[place]):
                seen.add(place)
                waiting.append(place)
    return False


@pytest.mark.parametrize("rule", ["region", "saliency", "smallest", "near"])
def test_each_merge_rule_pixel_by_pixel(rule):
    rng = np.random.default_rng(0)
    differs = 0
    for case in range(40):
        saliency = rng.random((7, 9))
        labels = np.zeros(3, bool)
        labels[rng.permutation(3)[: 1 + case % 3]] = True
        share = 0.15 if rule == "near" else 0.4
        regions = (rng.random((3, 7, 9)) < share) & labels[:, None, None]
        got = merge_by(rule, regions, saliency, 0.5, labels)
        assert got.dtype == np.uint8
        assert got.tolist() == by_pixel(rule, regions, saliency, 0.5, labels).tolist()
        differs += (got != merge(regions, saliency, 0.5)).any()
    assert differs > 10


def test_equal_regions_go_to_the_first_class_and_an_unknown_rule_is_refused():
    regions = np.ones((2, 1, 2), bool)
    assert smallest(regions).tolist() == [[0, 0]]
    regions[0, 0, 1] = True
    regions[1, 0, 1] = False
    assert smallest(regions).tolist() == [[1, 0]]
    nothing = np.zeros((2, 2), bool)
    assert not joined(nothing, ~nothing).any()
    with pytest.raises(ValueError, match="rule: 'most' is unknown"):
        merge_by("most", regions, np.ones((1, 2)), 0.5, np.ones(2, bool))


# --- in a run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lively(tmp_path_factory):
    """A run up to AE+PSL."""
    run = Run(tmp_path_factory.mktemp("lively") / "run", "smoke", **LIVELY)
    stages.make(run, "network-AE+PSL")
    stages.make(run, "network-AE-step2")
    return run


def weights(run, name="AE+PSL"):
    return run.file(f"network-{name}", "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    "more",
    [{}, {"optimiser": "sgd", "drop_epoch": 2, "learning_rate": 1e-3, "dropout": 0.5}],
    ids=["adamw", "sgd"],
)
def test_a_training_that_goes_on_from_the_warmup_ends_in_the_bits_of_one_in_one_go(
    tmp_path, lively, more
):
    run = derive(lively, **more)
    assert len(run.json("warmup", "log.json")["losses"]) == learning.warmup_epochs(run.settings)
    made = tmp_path / "made"
    made.mkdir()
    masks = learning._label_maps(run, "pseudo-masks-2")
    learning.train_on(run, made, masks, prohibitive=True)  # no state to start from
    assert (made / "weights.safetensors").read_bytes() == weights(run)
    assert (made / "log.json").read_bytes() == run.file("network-AE+PSL", "log.json").read_bytes()


def test_the_warmup_is_shared_by_all_losses_and_S_alone_is_plain_cross_entropy(lively):
    runs = [derive(lively, network_loss=kind) for kind in ("S", "S-hat", "kl")]
    runs += [derive(lively, confidence="labels")]
    for run in runs:
        state = run.file("warmup", "state.safetensors")
        assert state.samefile(lively.directory / "warmup" / "state.safetensors")
    assert weights(runs[0]) == weights(lively, "AE-step2")
    assert len({weights(run) for run in [lively, *runs]}) == 5


@pytest.mark.parametrize(("share", "epochs"), [(0.0, 0), (0.1, 1), (0.5, 2), (0.51, 3), (1.0, 4)])
def test_the_warmup_has_as_many_epochs_as_begin_before_its_share(share, epochs):
    assert learning.warmup_epochs(make("smoke", network_epochs=4, psl_warmup=share)) == epochs


def test_train_network_makes_the_warmup_it_lacks(tmp_path):
    run = Run(tmp_path / "run", "smoke", **LIVELY | {"network_epochs": 2, "object_steps": 1})
    stages.make(run, "pseudo-masks-1")
    stages.train_network(run, "AE+PSL")
    assert run.finished("warmup") and run.finished("network-AE+PSL")


def test_v_of_the_loss(lively):
    train = stages.pictures(lively, "train")
    model = stages.classifier(lively)
    with torch.no_grad():
        scores = [classify(model(to_tensor(image)[None]))[0] for image in train.images]

    def v_of(kind):
        return learning.loss_confidences(derive(lively, confidence=kind), train)

    labels = torch.from_numpy(train.labels).float()
    assert torch.equal(v_of("labels"), labels) and torch.equal(v_of("one"), torch.ones(12, 6))
    soft, sure = v_of("softmax"), v_of("normalised")
    sigmoid = v_of("sigmoid")
    assert torch.equal(sigmoid, stages.confidences(lively, train.images))
    for i, logits in enumerate(scores):
        powers = [math.exp(x) for x in logits.tolist()]
        assert soft[i].tolist() == pytest.approx([p / sum(powers) for p in powers], rel=1e-4)
        chances = [1 / (1 + math.exp(-x)) for x in logits.tolist()]
        assert sure[i].tolist() == pytest.approx([p / max(chances) for p in chances], rel=1e-4)
    assert targets.normalised(torch.zeros(1, 3)).tolist() == [[0, 0, 0]]


def test_log_sum_exp_pools_in_training_and_in_v(lively):
    run = derive(lively, pooling="lse")
    val, model = stages.pictures(run, "val"), stages.classifier(run)
    with torch.no_grad():
        maps = model(to_tensor(val.images[3])[None])
    wanted = ilp.log_sum_exp(maps)[0].sigmoid()
    torch.testing.assert_close(stages.confidences(run, val.images)[3], wanted)
    other = run.json("classifier-1", "log.json")["losses"]
    assert other != lively.json("classifier-1", "log.json")["losses"]


def test_without_saliency_the_cue_is_the_highest_cam_of_the_labels(lively):
    run = derive(lively, background_cue="cam")
    train = stages.pictures(run, "train")
    maps = run.images("saliency", train.ids)
    for i, found in enumerate(stages.cams(run, train.images)):
        present = [found[c].numpy() for c in np.flatnonzero(train.labels[i])]
        wanted = np.max(present, axis=0) if present else np.zeros((96, 96))
        np.testing.assert_allclose(maps[i], 255 * wanted, atol=0.51)


def test_a_third_round_learns_from_the_second(lively):
    run = derive(lively, crf_iterations=1)
    stages.make(run, "network-AE+PSL+++")
    train = stages.pictures(run, "train")
    for labels, mask in zip(train.labels, run.images("refined-again", train.ids), strict=True):
        assert {*np.unique(mask)} <= {0, *(np.flatnonzero(labels) + 1)}
    names = stages.all_names(run.settings)
    assert not {"refined-again", "network-AE+PSL+++"} & {*names}
