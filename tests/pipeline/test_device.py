"""On a GPU, without one: torch's "meta" stands for it. Its tensors hold no number, and refuse to
meet the CPU's.
"""

import ast
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import aelib
from aelib import psl, training
from aelib.crf import CRF
from aelib.erasing import classification_loss
from aelib.models import LargeFOV, classify
from aelib.pipeline.relatives import targets
from aelib.training import Recipe, fit

GPU = torch.device("meta")
PLAN = Path(aelib.__file__).parents[1] / "benchmarks" / "gpus.md"
#: The files that name a device, or what only one has, and how often they do in all.
FILES = {
    *("training.py", "pipeline/distributed.py", "pipeline/results.py"),
    *("pipeline/relatives/sec.py", "pipeline/stages/checkpoint.py", "pipeline/stages/networks.py"),
    "pipeline/stages/feeding.py",
}
MOST = 30
WORDS = {"DEVICE", "cuda", "autocast", "channels_last", "pin_memory", "non_blocking"}


class Numbers(TorchDispatchMode):
    """Meta tensors hold no number: where one is asked for, it is 1, or 0 if whole."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            return 1.0 if args[0].is_floating_point() else 0
        return function(*args, **(kwargs or {}))


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(training, "DEVICE", GPU)
    monkeypatch.setattr(torch, "autocast", lambda *given, **more: nullcontext())
    with Numbers():
        yield


def test_a_training_meets_the_gpu_everywhere(gpu, monkeypatch):
    batch = [torch.zeros(2, 3, 32, 32), torch.zeros(2, 2)]
    monkeypatch.setattr(training, "_batches", lambda *given: [batch])
    model = LargeFOV(2, "small")

    def loss(model: nn.Module, image: Tensor, label: Tensor, progress: float) -> Tensor:
        assert image.device.type == label.device.type == "meta"
        return classification_loss(classify(model(image)), label, "squared")

    for optimiser in ("adamw", "sgd"):
        recipe, states = Recipe(1, 2, 0.1, 0.1, 0, optimiser=optimiser), []
        fit(model, range(2), loss, recipe, keep=states.append)
        assert {weight.device.type for weight in states[0]["model"].values()} == {"meta"}


# the CRF in the loss computes on the CPU, whatever the device
@pytest.mark.parametrize(
    "kind", [k for k, terms in targets.TERMS.items() if "constrain" not in terms]
)
def test_every_loss_stays_on_the_gpu(gpu, kind):
    image, S = torch.zeros(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.uint8)
    image, S, v = image.to(GPU), S.to(GPU), torch.zeros(2, 2, device=GPU)
    scores = LargeFOV(3, "small").to(GPU)(image)
    crf = CRF()
    value = targets.loss(kind, scores, psl.shrink(S, scores.shape[-2:]), v, v, image, crf)
    value.backward()
    assert value.device.type == "meta"


def test_the_fake_gpu_refuses_the_cpu(gpu):
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(2, device=GPU) + torch.zeros(2)


def test_lines_for_a_gpu_are_few_and_where_they_are_expected():
    found = {}
    for file in sorted(Path(aelib.__file__).parent.rglob("*.py")):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        names = [getattr(n, "id", getattr(n, "attr", getattr(n, "arg", ""))) for n in nodes]
        number = sum(name in WORDS for name in names)
        if number:
            found[file.relative_to(Path(aelib.__file__).parent).as_posix()] = number
    assert found.keys() == FILES and sum(found.values()) <= MOST


def test_the_plan_counts_what_the_paper_network_has():
    with torch.device("meta"):
        model, image = LargeFOV(21, "vgg16"), torch.empty(1, 3, 321, 321)
    with FlopCounterMode(display=False) as forward:
        model(image)
    with FlopCounterMode(display=False) as step:
        model(image).sum().backward()
    text = PLAN.read_text(encoding="utf-8")
    assert f"{forward.get_total_flops() / 2e9:.1f} GMAC" in text
    assert f"{step.get_total_flops() / 1e9:.0f} GFLOP" in text
    assert f"{4 * sum(p.numel() for p in model.parameters()) / 1e6:.1f} MB" in text
