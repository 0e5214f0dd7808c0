"""Checkpoints: a killed training goes on to the same numbers; a bad file is said and not used."""

import hashlib
import io
import math

import numpy as np
import pytest
import torch
from tiny import TINY
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from aelib import training
from aelib.pipeline import stages
from aelib.pipeline.run import Run
from aelib.pipeline.stages import checkpoint
from aelib.pipeline.stages.checkpoint import fit_resumably, load_checkpoint, save_checkpoint
from aelib.training import Recipe, fit

EPOCHS = 4
RECIPE = {"epochs": EPOCHS, "batch_size": 3, "learning_rate": 1e-2, "weight_decay": 0.05, "seed": 1}


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu():
    """Bit-equality is promised between equal machines; a GPU may add in any order."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (training, checkpoint):
            patch.setattr(module, "DEVICE", torch.device("cpu"))
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
    features = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    model = nn.Sequential(*features, nn.Dropout(0.5), nn.Flatten())
    model.add_module("score", nn.Linear(288, 2))
    return model


def loss(model, x, y, progress):
    return F.cross_entropy(model(x), y)


def train(folder, model, loss=loss, **more) -> list[float]:
    folder.mkdir(exist_ok=True)
    return fit_resumably(model, Noisy(), loss, Recipe(**RECIPE | more), folder)


def killed_after(monkeypatch, epochs, call):
    """Call it; it is interrupted when it has reported so many epochs."""

    def progress(name, unit):
        def report(done, total, note):
            if done == epochs:
                raise KeyboardInterrupt

        return report

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "progress", progress)
        with pytest.raises(KeyboardInterrupt):
            call()


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def uninterrupted(on_the_cpu) -> tuple[nn.Module, list[float]]:
    """A training without any file."""
    model = network()
    return model, fit(model, Noisy(), loss, Recipe(**RECIPE))


def test_a_checkpoint_changes_no_number_and_hides_behind_a_dot(uninterrupted, tmp_path):
    model = network()
    assert train(tmp_path / "a.partial", model) == uninterrupted[1]
    assert same(model, uninterrupted[0])
    names = [file.name for file in (tmp_path / "a.partial").iterdir()]
    assert names == [".checkpoint"]  # Run.making drops such names


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_resumed_after_a_kill_is_bit_equal(uninterrupted, tmp_path, monkeypatch, capsys, after):
    folder = tmp_path / "a.partial"
    killed_after(monkeypatch, after, lambda: train(folder, network()))
    torch.manual_seed(999)
    resumed = network()
    capsys.readouterr()
    assert train(folder, resumed) == uninterrupted[1] and same(resumed, uninterrupted[0])
    lines = [f"  a: epoch {k}/{EPOCHS}, loss {uninterrupted[1][k - 1]:.4f}" for k in (1, 2, 3, 4)]
    assert capsys.readouterr().out.splitlines() == lines[after:]


def test_resumed_after_a_kill_within_an_epoch_is_bit_equal(uninterrupted, tmp_path):
    calls = 0

    def killed(model, x, y, progress):
        nonlocal calls
        calls += 1
        if calls == 8:  # the second of the third epoch's three batches
            raise KeyboardInterrupt
        return loss(model, x, y, progress)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "a.partial", network(), loss=killed)
    resumed = network()
    assert train(tmp_path / "a.partial", resumed) == uninterrupted[1]
    assert same(resumed, uninterrupted[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_kept_is_the_state_before_it_went_wrong(tmp_path, bad):
    calls = 0

    def breaks(model, x, y, progress):
        nonlocal calls
        calls += 1
        return loss(model, x, y, progress) * (bad if calls == 6 else 1)  # the last of epoch 2

    with pytest.raises(FloatingPointError, match=f"{bad} in epoch 2 of 4"):
        train(tmp_path, network(), loss=breaks)
    state = load_checkpoint(tmp_path / ".checkpoint")
    assert len(state["losses"]) == 1
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_weights_that_are_no_numbers_are_never_kept(tmp_path):
    def gradient_of_root_of_0(model, x, y, progress):
        return (0 * model.score.weight).sum().sqrt()

    with pytest.raises(FloatingPointError, match="after epoch 1 of 1"):
        train(tmp_path, network(), loss=gradient_of_root_of_0, epochs=1, batch_size=7)
    assert not (tmp_path / ".checkpoint").exists()


@pytest.mark.parametrize("damage", ["torn", "emptied", "flipped", "of another training"])
def test_a_bad_checkpoint_is_said_and_the_training_begins_again(
    uninterrupted, tmp_path, capsys, damage
):
    file = tmp_path / ".checkpoint"
    other = damage == "of another training"
    train(tmp_path, network(), seed=2 if other else 1)
    content = file.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    broken = {"torn": content[:middle], "emptied": b"", "flipped": flipped}
    file.write_bytes(broken.get(damage, content))
    model = network()
    capsys.readouterr()
    assert train(tmp_path, model) == uninterrupted[1] and same(model, uninterrupted[0])
    said, *epochs = capsys.readouterr().out.splitlines()
    assert said.startswith(f"  {file} is {damage if other else 'damaged'}")
    assert len(epochs) == EPOCHS


SGD = {"optimiser": "sgd", "momentum": 0.8, "drop_epoch": 2, "last_layer_factor": 4.0}
OTHER = [{"momentum": 0.7}, {"drop_epoch": 3}, {"precision": "bfloat16"}, {"optimiser": "adamw"}]


@pytest.mark.parametrize("other", [*OTHER, {"features_factor": 0.5}, {"epochs": 5}])
def test_a_checkpoint_of_another_recipe_is_not_gone_on_from(tmp_path, capsys, other):
    train(tmp_path, network(), **SGD)
    fresh, again = network(), network()
    losses = fit(fresh, Noisy(), loss, Recipe(**RECIPE | SGD | other))
    assert train(tmp_path, again, **SGD | other) == losses and same(again, fresh)
    assert "is of another training" in capsys.readouterr().out


def test_the_file_is_a_hash_and_what_torch_saves(tmp_path):
    """With every number of the recipe but the loaders, which change none, samples and shapes."""
    train(tmp_path, network(), **SGD)
    content = (tmp_path / ".checkpoint").read_bytes()
    assert content[:32] == hashlib.sha256(content[32:]).digest()
    state = torch.load(io.BytesIO(content[32:]), weights_only=True)
    assert set(state) == {"model", "optimiser", "schedule", "losses", "recipe"}
    wanted = RECIPE | SGD | {"features_factor": 1.0, "precision": "float32", "samples": 7}
    shapes = {name: list(value.shape) for name, value in network().state_dict().items()}
    assert state["recipe"] == wanted | {"shapes": shapes}


def test_a_state_comes_back_and_a_missing_file_is_none(tmp_path, capsys):
    file = tmp_path / ".checkpoint"
    assert load_checkpoint(file) is None and capsys.readouterr().out == ""
    state = {"x": torch.arange(3.0), "deep": {"list": [1, 2.5, "text"]}}
    save_checkpoint(file, state)
    found = load_checkpoint(file)
    assert torch.equal(found["x"], state["x"]) and found["deep"] == state["deep"]
    assert load_checkpoint(file, {"epochs": 1}) is None  # it has no recipe
    save_checkpoint(file, np.zeros(3).tolist())
    assert load_checkpoint(file, {}) is None


def test_an_interrupted_stage_goes_on_to_the_same_files(tmp_path, monkeypatch):
    settings = TINY | {"classifier_epochs": 3}
    whole, broken = (Run(tmp_path / name, "smoke", **settings) for name in ("whole", "broken"))
    stages.mine(whole, 1)
    stages.prepare(broken)
    killed_after(monkeypatch, 2, lambda: stages.mine(broken, 1))
    assert not broken.finished("classifier-1")
    stages.mine(broken, 1)
    files = [("classifier-1", "weights.safetensors"), ("classifier-1", "log.json")]
    for stage, name in [*files, ("regions-1", "regions.safetensors")]:
        ours, theirs = (run.file(stage, name) for run in (whole, broken))
        assert ours.read_bytes() == theirs.read_bytes()
