"""One training in two gloo processes is the training of one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pipeline import two_processes
from pipeline.two_processes import CASES, EPOCHS

from aelib import training
from aelib.pipeline import distributed
from aelib.pipeline.stages import checkpoint

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="loaders are forked")


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu():
    with pytest.MonkeyPatch.context() as patch:
        for module in (training, checkpoint, distributed):
            patch.setattr(module, "DEVICE", torch.device("cpu"))
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


@pytest.fixture(scope="module")
def one(on_the_cpu) -> dict:
    return two_processes.everything()


@pytest.fixture(scope="module")
def two(on_the_cpu, tmp_path_factory) -> list[dict]:
    """What each of the two processes found."""
    folder = tmp_path_factory.mktemp("two")
    command = [*TORCHRUN, "--standalone", two_processes.__file__, str(folder)]
    here = os.environ | {"PYTHONPATH": str(Path(distributed.__file__).parents[2])}
    subprocess.run(command, check=True, timeout=600, env=here)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("name", map(str, CASES))
def test_uneven_batches_have_the_gradients_weights_and_losses_of_one_process(one, two, name):
    for rank in two:
        assert rank[name]["losses"] == pytest.approx(one[name]["losses"], rel=1e-12)
        for part in ("gradients", "weights"):
            torch.testing.assert_close(rank[name][part], one[name][part], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["classifier", "psl"])
def test_gradients_of_the_networks_in_float32(one, two, name):
    for rank in two:
        torch.testing.assert_close(
            rank[name]["gradients"], one[name]["gradients"], rtol=1e-6, atol=1e-6
        )


def test_both_processes_have_the_same_bits(two):
    for name in two[0]:
        for part in ("losses", "weights"):
            torch.testing.assert_close(two[0][name][part], two[1][name][part], rtol=0, atol=0)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_picture_is_lost_or_doubled(two, case):
    for epoch in range(EPOCHS):
        shares = [rank[str(case)]["seen"][epoch] for rank in two]
        assert sorted(shares[0] + shares[1]) == list(range(case[0]))


def test_dropout_differs_between_shares_steps_and_epochs(two):
    masks = [str(mask) for rank in two for mask in rank["dropout"]["masks"]]
    assert len(masks) == 8 == len(set(masks))


def test_dropout_takes_nothing_from_the_stream_of_the_samples():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with distributed._own_dropout(7):
        drawn = torch.rand(3)
    assert torch.equal(torch.rand(3), expected) and not torch.equal(drawn, expected)


def test_in_one_process_nothing_is_wrapped():
    model, data, loss = torch.nn.BatchNorm2d(1), object(), object()
    with distributed.joined():
        assert distributed.shared(model, data, loss) == (data, loss)
    assert type(model) is torch.nn.BatchNorm2d and distributed.first()
