"""aelib.training: resuming, seeding, failing loudly, and closed forms of what it converges to."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from aelib import training
from aelib.datasets.base import Pictures
from aelib.datasets.samples import Samples
from aelib.models import LargeFOV
from aelib.training import Recipe, fit

EPOCHS = 4


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu():
    """Bit-equality is promised on equal machines; a GPU's convolutions may add in any order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "DEVICE", torch.device("cpu"))
        yield


class Noisy(Dataset):
    """Seven pictures (batches of 3, 3 and 1) that change at every access, as augmented ones do."""

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(0)
        self.x = torch.randn(7, 3, 8, 8, generator=g)
        self.y = torch.randint(0, 2, (7,), generator=g)

    def __len__(self) -> int:
        return 7

    def __getitem__(self, i: int):
        return self.x[i] + 0.1 * torch.randn(3, 8, 8), self.y[i]


def network() -> nn.Module:
    torch.manual_seed(11)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Flatten()
    )
    model.add_module("score", nn.Linear(288, 2))  # a last layer, with a rate of its own
    return model


def loss(model, x, y, progress):
    return F.cross_entropy(model(x), y)


BASE = Recipe(EPOCHS, batch_size=3, learning_rate=1e-2, weight_decay=0.05, seed=1)
SGD = replace(BASE, optimiser="sgd", momentum=0.8, drop_epoch=2, last_layer_factor=4.0)


def train(model: nn.Module, recipe: Recipe = BASE, loss=loss, **more) -> list[float]:
    return fit(model, Noisy(), loss, recipe, **more)


class Kept:
    """What `keep` was given, copied as a file would hold it."""

    def __init__(self) -> None:
        self.states = []

    def __call__(self, state) -> None:
        assert set(state) == {"model", "optimiser", "schedule", "losses"}
        self.states.append(copy.deepcopy(state))

    @property
    def state(self):
        return self.states[-1]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def uninterrupted(on_the_cpu) -> tuple[nn.Module, list[float]]:
    model = network()
    return model, train(model)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_resumed_after_a_kill_between_epochs_is_bit_equal(uninterrupted, after):
    kept = Kept()

    def kill(epoch, epochs, value):
        if epoch == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network(), keep=kept, report=kill)
    torch.manual_seed(999)
    resumed, reported = network(), []
    losses = train(resumed, state=kept.state, report=lambda epoch, *_: reported.append(epoch))
    assert losses == uninterrupted[1]
    assert same(resumed, uninterrupted[0])
    assert reported == list(range(after + 1, EPOCHS + 1))


def test_resumed_after_a_kill_within_an_epoch_is_bit_equal(uninterrupted):
    calls, kept = 0, Kept()

    def killed(model, x, y, progress):
        nonlocal calls
        calls += 1
        if calls == 8:  # the second of the third epoch's three batches
            raise KeyboardInterrupt
        return loss(model, x, y, progress)

    with pytest.raises(KeyboardInterrupt):
        train(network(), keep=kept, loss=killed)
    assert len(kept.state["losses"]) == 2
    resumed = network()
    assert train(resumed, state=kept.state) == uninterrupted[1]
    assert same(resumed, uninterrupted[0])


def test_keeping_a_state_does_not_change_the_numbers(uninterrupted):
    model, kept = network(), Kept()
    assert train(model, keep=kept) == uninterrupted[1] == kept.state["losses"]
    assert same(model, uninterrupted[0])
    assert all(
        torch.equal(value, kept.state["model"][k]) for k, value in model.state_dict().items()
    )


def test_a_state_is_only_read_and_a_finished_one_trains_no_more(uninterrupted):
    kept = Kept()
    train(network(), keep=kept)
    for _ in range(2):
        again = network()
        assert train(again, state=kept.states[0]) == uninterrupted[1]
        assert same(again, uninterrupted[0])
    again = network()
    assert train(again, state=kept.state, loss=None) == uninterrupted[1]
    assert same(again, uninterrupted[0])


def test_same_seed_same_numbers_and_another_seed_others(uninterrupted):
    torch.manual_seed(5)  # what was drawn before must not matter
    torch.rand(3)
    again, other = network(), network()
    assert train(again) == uninterrupted[1] and same(again, uninterrupted[0])
    assert train(other, replace(BASE, seed=2)) != uninterrupted[1]
    assert not same(other, uninterrupted[0])


def test_epochs_differ_from_each_other_in_order():
    seen = []

    def watch(model, x, progress):
        seen.append(x.flatten().int().tolist())
        return (model(x) ** 2).mean()

    data = TensorDataset(torch.arange(12.0)[:, None])
    fit(nn.Linear(1, 1), data, watch, Recipe(3, 5, learning_rate=1e-3, weight_decay=0, seed=0))
    epochs = [seen[i] + seen[i + 1] + seen[i + 2] for i in (0, 3, 6)]
    assert [len(batch) for batch in seen] == [5, 5, 2] * 3
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3 and list(range(12)) not in epochs


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_names_the_epoch(bad):
    calls, kept = 0, Kept()

    def breaks(model, x, y, progress):
        nonlocal calls
        calls += 1
        value = loss(model, x, y, progress)
        return value * bad if calls == 6 else value  # three batches an epoch: the last of epoch 2

    with pytest.raises(FloatingPointError, match=f"{bad} in epoch 2 of 4"):
        train(network(), loss=breaks, keep=kept)
    assert len(kept.state["losses"]) == 1  # the state before it went wrong
    assert all(t.isfinite().all() for t in kept.state["model"].values())


def test_reports_every_epoch_and_ends_in_eval_mode():
    reports, model = [], network()
    losses = train(model, report=lambda *args: reports.append(args))
    assert reports == [(i + 1, EPOCHS, value) for i, value in enumerate(losses)]
    assert not any(module.training for module in model.modules())


def test_reported_loss_is_the_mean_over_the_samples_not_over_the_batches():
    """With weights that hardly move, each epoch must report the data set's own mean, the last,
    smaller batch weighed by its size."""
    x = torch.tensor([[1.0], [2.0], [3.0], [10.0]])
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    recipe = Recipe(3, batch_size=3, learning_rate=1e-12, weight_decay=0, seed=0)
    losses = fit(model, TensorDataset(x), lambda m, x, progress: m(x).mean(), recipe)
    assert losses == pytest.approx([4, 4, 4], rel=1e-5)


def test_learns_linear_regression_to_the_least_squares_residual():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.7 + 0.3 * rng.normal(size=64)
    design = np.column_stack([x, np.ones(64)])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    floor = np.mean((design @ solution - y) ** 2)

    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    data = TensorDataset(torch.from_numpy(x), torch.from_numpy(y)[:, None])
    recipe = Recipe(300, batch_size=64, learning_rate=0.1, weight_decay=0, seed=0)
    losses = fit(model, data, lambda m, x, y, progress: F.mse_loss(m(x), y), recipe)
    assert losses[0] > 10 * floor
    assert losses[-1] == pytest.approx(floor, rel=1e-6)
    found = [*model.weight[0].tolist(), model.bias.item()]
    assert found == pytest.approx(solution.tolist(), abs=1e-4)


def test_weight_decay_is_decoupled_under_a_one_cycle_of_the_given_peak():
    """Without a gradient AdamW only decays: w times the product of (1 - rate * decay), where the
    rate goes up and down by cosines."""
    peak, decay, steps, factor = 0.03, 0.5, 20, 7.0
    model = nn.Sequential(nn.Linear(4, 3))
    model.add_module("score", nn.Linear(3, 1))
    model.double()
    before = [model[0].weight.detach().clone(), model.score.weight.detach().clone()]
    recipe = Recipe(10, 3, peak, decay, seed=0, last_layer_factor=factor)
    zeros = TensorDataset(torch.zeros(6, 4, dtype=torch.float64))
    fit(model, zeros, lambda m, x, progress: 0 * m(x).sum(), recipe)
    left = []
    for top in (peak, factor * peak):
        first, last, turn = top / 25, top / 25 / 1e4, 0.3 * steps - 1
        left.append(1.0)
        for step in range(steps):
            if step <= turn:
                a, b, t = first, top, step / turn
            else:
                a, b, t = top, last, (step - turn) / (steps - 1 - turn)
            left[-1] *= 1 - decay * (b + (a - b) * (1 + math.cos(math.pi * t)) / 2)
    torch.testing.assert_close(model[0].weight, before[0] * left[0])
    torch.testing.assert_close(model.score.weight, before[1] * left[1])


def test_a_weight_that_is_no_number_is_named_with_its_epoch_and_not_kept():
    """The loss is finite to the end; its gradient is not: sqrt at 0."""
    model = nn.Linear(1, 1)
    data, kept = TensorDataset(torch.zeros(1, 1)), Kept()
    recipe = Recipe(1, batch_size=1, learning_rate=1e-3, weight_decay=0, seed=0)
    with pytest.raises(FloatingPointError, match=r"^weight weight after epoch 1 of 1: 1 of 1"):
        fit(model, data, lambda m, x, progress: (0 * m.weight).sum().sqrt(), recipe, keep=kept)
    assert not kept.states


# --- sgd, bfloat16, loaders -----------------------------------------------------------------------


def test_sgd_with_a_drop_and_frozen_layers_is_the_loop_by_hand():
    """Velocity v <- momentum v + (gradient + decay w), w <- w - rate v; the rate is a tenth from
    the third epoch on, and four times as large for score."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh())
    model.add_module("score", nn.Linear(4, 2))
    model.double()[0].requires_grad_(False)
    w = {name: value.detach().clone() for name, value in model.named_parameters()}
    x, y = torch.randn(7, 5, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)
    batches, losses = [], []

    def watched(model, x, y, i, progress):
        batches.append(i.tolist())
        return F.mse_loss(model(x), y)

    recipe = replace(SGD, learning_rate=0.05, weight_decay=0.02, seed=5)
    got = fit(model, TensorDataset(x, y, torch.arange(7)), watched, recipe)
    trained = [name for name in w if not name.startswith("0.")]
    velocity = {name: torch.zeros_like(w[name]) for name in trained}
    assert [len(batch) for batch in batches] == [3, 3, 1] * 4
    for step, i in enumerate(batches):
        for name in trained:
            w[name].requires_grad_(True)
        hidden = torch.tanh(x[i] @ w["0.weight"].T + w["0.bias"])
        hidden = torch.tanh(hidden @ w["2.weight"].T + w["2.bias"])
        value = ((hidden @ w["score.weight"].T + w["score.bias"] - y[i]) ** 2).mean()
        gradients = torch.autograd.grad(value, [w[name] for name in trained])
        for name, gradient in zip(trained, gradients, strict=True):
            rate = 0.05 * (4 if name.startswith("score") else 1) * (0.1 if step >= 2 * 3 else 1)
            velocity[name] = 0.8 * velocity[name] + gradient + 0.02 * w[name].detach()
            w[name] = w[name].detach() - rate * velocity[name]
        losses.append(value.item() * len(i) / 7)
    assert got == pytest.approx([sum(losses[k : k + 3]) for k in range(0, 12, 3)], rel=1e-12)
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.detach(), w[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_sgd_resumed_before_at_and_after_the_drop_is_bit_equal(after, precision):
    def kill(epoch, epochs, value):
        if epoch == after:
            raise KeyboardInterrupt

    whole, resumed, kept = network(), network(), Kept()
    recipe = replace(SGD, precision=precision)
    losses = train(whole, recipe)
    with pytest.raises(KeyboardInterrupt):
        train(network(), recipe, keep=kept, report=kill)
    assert train(resumed, recipe, state=kept.state) == losses
    assert same(resumed, whole)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_bfloat16_computes_in_bfloat16_keeps_float32_weights_learns_and_repeats_itself(optimiser):
    """Bright and dark pictures: learned fully in either precision, with different numbers."""
    x = torch.cat([torch.rand(4, 3, 8, 8) * 0.2, torch.rand(4, 3, 8, 8) * 0.2 + 0.8])
    data, results = TensorDataset(x, torch.tensor([0] * 4 + [1] * 4)), []
    for precision in ("bfloat16", "bfloat16", "float32"):
        model, kinds = network(), set()
        hook = model[0].register_forward_hook(
            lambda module, inputs, output, kinds=kinds: kinds.add(output.dtype)
        )
        recipe = Recipe(
            epochs=12,
            batch_size=4,
            learning_rate=1e-2,
            weight_decay=0,
            seed=0,
            last_layer_factor=1,
            drop_epoch=9,
            optimiser=optimiser,
            precision=precision,
        )
        results.append((fit(model, data, loss, recipe), model))
        hook.remove()
        assert kinds == {getattr(torch, precision)}
        assert {value.dtype for value in model.parameters()} == {torch.float32}
        with torch.no_grad():
            assert model(x).argmax(dim=1).tolist() == [0] * 4 + [1] * 4
    one, again, full = results
    assert one[0] == again[0] and same(one[1], again[1])
    assert one[0] != full[0] and one[0][0] == pytest.approx(full[0][0], rel=0.05)


def test_loaders_change_no_number():
    """Crops with masks and with erased regions, a network with dropout."""
    rng = np.random.default_rng(0)
    shapes = [(20, 31), (40, 24), (33, 33), (18, 50), (37, 22)]
    images = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
    regions = [torch.from_numpy(rng.random((2, *shape)) < 0.2) for shape in shapes]
    masks = [rng.choice(np.array([0, 1, 2, 255], np.uint8), shape) for shape in shapes]
    pictures = Pictures(("cat", "dog"), tuple("abcde"), images, np.ones((5, 2), bool))
    crops = Samples(
        pictures,
        lambda i: (torch.tensor(i),),
        fill=torch.full((3,), 0.5),
        crop=24,
        scales=(0.5, 1.5),
        regions=lambda i: regions[i],
        masks=masks,
    )

    def segment(model, image, mask, i, progress):
        scores = model(image)
        return F.cross_entropy(scores, mask[:, ::4, ::4].long(), ignore_index=255)

    results = []
    for loaders in (0, 2):
        torch.manual_seed(0)
        model = LargeFOV(3, "small", dropout=0.5)
        recipe = Recipe(2, 2, learning_rate=1e-3, weight_decay=1e-3, seed=4, loaders=loaders)
        results.append((fit(model, crops, segment, recipe), model))
    assert results[0][0] == results[1][0] and same(results[0][1], results[1][1])
    assert results[0][0][0] != results[0][0][1]
