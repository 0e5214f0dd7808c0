"""On a GPU, without one: torch's fake tensors say they are on "cuda" and refuse to meet the CPU's.

What they are is computed (shapes, types, devices), no number is.
"""

import ast
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import aelib
from aelib import prediction, psl, training
from aelib.cam import cam
from aelib.crf import CRF
from aelib.erasing import classification_loss
from aelib.models import LargeFOV, classify
from aelib.pipeline.relatives import targets
from aelib.pipeline.stages import networks
from aelib.training import Recipe, fit

CUDA = torch.device("cuda")
PLAN = Path(aelib.__file__).parents[1] / "benchmarks" / "gpus.md"
#: The files that name a device, or what only one has, and how often they do in all.
FILES = {
    *("training.py", "pipeline/distributed.py", "pipeline/results.py"),
    *("pipeline/relatives/sec.py", "pipeline/stages/checkpoint.py", "pipeline/stages/networks.py"),
}
MOST = 30
WORDS = {"DEVICE", "cuda", "autocast", "channels_last", "pin_memory", "non_blocking"}


class Numbers(TorchDispatchMode):
    """Fake tensors hold no number: where one is asked for, it is 0."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            return 0.0 if args[0].is_floating_point() else 0
        return function(*args, **(kwargs or {}))


@pytest.fixture
def gpu(monkeypatch):
    for module in (training, networks):
        monkeypatch.setattr(module, "DEVICE", CUDA)
    with FakeTensorMode(), Numbers():
        yield


def test_a_training_meets_the_gpu_everywhere(gpu, monkeypatch):
    batch = [torch.zeros(2, 3, 32, 32), torch.zeros(2, 2)]
    monkeypatch.setattr(training, "_batches", lambda *given: [batch])
    model = LargeFOV(2, "small")

    def loss(model: nn.Module, image: Tensor, label: Tensor, progress: float) -> Tensor:
        assert image.device.type == label.device.type == "cuda"
        return classification_loss(classify(model(image)), label, "squared")

    for optimiser in ("adamw", "sgd"):
        for precision in ("float32", "bfloat16"):
            recipe = Recipe(1, 2, 0.1, 0.1, 0, optimiser=optimiser, precision=precision)
            states = []
            fit(model, range(2), loss, recipe, keep=states.append)
            assert {weight.device.type for weight in states[0]["model"].values()} == {"cuda"}


@pytest.mark.parametrize("kind", targets.TERMS)
def test_every_loss_stays_on_the_gpu(gpu, kind):
    image, S = torch.zeros(2, 3, 32, 32).cuda(), torch.zeros(2, 32, 32, dtype=torch.uint8).cuda()
    v = torch.zeros(2, 2).cuda()
    scores = LargeFOV(3, "small").to(CUDA)(image)
    crf = CRF()
    value = targets.loss(kind, scores, psl.shrink(S, scores.shape[-2:]), v, v, image, crf)
    value.backward()
    assert value.device.type == "cuda"


def test_answers_come_back_to_the_cpu(gpu):
    model = LargeFOV(3, "small").to(CUDA).eval()
    images = [torch.zeros(3, 32, 40)]
    for function in (
        lambda x: cam(model, x, 1.0),
        lambda x: prediction.predict(model, x, scales=(0.5, 1.0), flip=True),
    ):
        (answer,) = networks.in_batches(function, images)
        assert answer.device.type == "cpu"


def test_the_fake_gpu_refuses_the_cpu(gpu):
    with pytest.raises(RuntimeError, match="two different devices"):
        torch.zeros(2, device=CUDA) + torch.zeros(2)


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
