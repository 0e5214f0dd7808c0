"""Pictures on their way to a network: read ahead, and put together in batches."""

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aelib.pipeline.settings import make
from aelib.pipeline.stages import feeding
from aelib.pipeline.stages.feeding import in_batches, loaders_of, read_ahead, tensors
from aelib.pipeline.stages.networks import recipe


def total(batch):
    return batch.sum(dim=(1, 2, 3))


def random_images(sizes):
    rng = torch.Generator().manual_seed(0)
    return [torch.rand(3, *size, generator=rng) for size in sizes]


@pytest.mark.parametrize("pixels", [1, 200, 450, 10_000])
def test_answers_come_in_order_whatever_shares_a_batch(pixels, monkeypatch):
    monkeypatch.setattr(feeding, "_PIXELS", pixels)
    monkeypatch.setattr(feeding, "_HELD", 3 * pixels)
    images = random_images([(10, 10), (8, 12), (10, 10), (12, 8), (10, 10), (8, 12)] * 5)
    batches = []

    def function(batch):
        batches.append(batch.shape)
        return total(batch)

    found = torch.stack(list(in_batches(function, iter(images))))
    torch.testing.assert_close(found, torch.stack([image.sum() for image in images]))
    assert all(n * height * width <= max(pixels, 100) for n, _, height, width in batches)
    assert len(batches) < 30 or pixels < 200


def test_pictures_of_one_size_fill_whole_batches():
    numbers = []

    def function(batch):
        numbers.append(len(batch))
        return total(batch)

    assert len(list(in_batches(function, random_images([(96, 96)] * 120)))) == 120
    assert numbers == [50, 50, 20]


def test_few_pictures_are_held_however_many_come(monkeypatch):
    """A size that comes once keeps its answer back; the rest must not pile up behind it."""
    monkeypatch.setattr(feeding, "_PIXELS", 400)
    monkeypatch.setattr(feeding, "_HELD", 1000)
    read = 0

    def images():
        nonlocal read
        for image in random_images([(9, 9), *[(10, 10)] * 200]):
            read += 1
            yield image

    ahead = [read - told for told, _ in enumerate(in_batches(total, images()), start=1)]
    assert len(ahead) == 201 and max(ahead) <= 12


@pytest.mark.skipif(not hasattr(os, "fork"), reason="loaders need fork")
def test_read_ahead_is_the_same_for_any_number_of_loaders_and_draws_nothing():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (5, 4 + i % 3, 3), dtype=np.uint8) for i in range(40)]
    plain = [torch.tensor(image / 255).permute(2, 0, 1).float() for image in images]
    before = torch.get_rng_state()
    for loaders in (0, 1, 3):
        found = list(tensors(images, loaders))
        assert len(found) == 40
        for one, wanted in zip(found, plain, strict=True):
            torch.testing.assert_close(one, wanted, rtol=0, atol=1e-7)
        assert all(torch.equal(*pair) for pair in zip(found, tensors(images, 0), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="loaders need fork")
def test_what_a_loader_cannot_read_says_so_here():
    def item(i):
        if i == 30:
            raise ValueError("cat.jpg is damaged")
        return torch.zeros(1)

    with pytest.raises(ValueError, match=r"cat\.jpg is damaged"):
        list(read_ahead(item, 40, 2))


@pytest.mark.parametrize(
    ("cores", "room", "wanted"),
    [(16, 10**12, 15), (2, 10**12, 1), (1, 10**12, 0), (64, 10**12, 16), (16, 64 << 20, 0)],
)
def test_the_machine_says_how_many_loaders(cores, room, wanted, monkeypatch):
    monkeypatch.setattr(feeding.sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=room))
    assert recipe(make("voc"), 1, 1.0, 0).loaders == wanted
    assert loaders_of(make("voc", loaders=3)) == 3
    assert loaders_of(make("classroom")) == 0
    monkeypatch.setattr(feeding.sys, "platform", "darwin")
    assert loaders_of(make("voc")) == 0
