"""What every creature promises, whatever the world looks like."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from aelib.datasets.creatures import CLASSES, PARTS, SIZE, Creature, Creatures, creature


def digest(seed: int, split: str, index: int) -> str:
    return hashlib.sha256(b"".join(a.tobytes() for a in creature(seed, split, index))).hexdigest()


@pytest.fixture(scope="module")
def world() -> list[Creature]:
    return [creature(0, "train", i) for i in range(300)]


def test_shapes_and_dtypes(world):
    for sample in world:
        assert (sample.image.shape, sample.image.dtype) == ((SIZE, SIZE, 3), np.uint8)
        assert (sample.labels.shape, sample.labels.dtype) == ((len(CLASSES),), np.bool_)
        assert (sample.mask.shape, sample.mask.dtype) == ((SIZE, SIZE), np.uint8)
        assert (sample.parts.shape, sample.parts.dtype) == ((SIZE, SIZE), np.uint8)
    assert len(CLASSES) >= 6 and len(set(CLASSES)) == len(CLASSES)


def test_order_of_access_does_not_matter():
    forward = [digest(0, "train", i) for i in (3, 5)]
    backward = [digest(0, "train", i) for i in (5, 3)]
    assert forward == backward[::-1] == [digest(0, "train", 3), digest(0, "train", 5)]


def test_numpys_global_state_neither_matters_nor_changes():
    np.random.seed(1)
    first, state = digest(0, "val", 7), np.random.get_state()[1].copy()
    np.random.seed(2)
    assert digest(0, "val", 7) == first
    np.random.seed(1)
    creature(0, "val", 7)
    assert np.array_equal(np.random.get_state()[1], state)


def test_another_process_draws_the_same():
    jobs = [(0, "train", 5), (0, "train", 3), (2, "val", 11)]
    script = f"""
from aelib.datasets.creatures import creature
import hashlib
for job in {jobs}:
    print(hashlib.sha256(b"".join(a.tobytes() for a in creature(*job))).hexdigest())
"""
    elsewhere = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert elsewhere == [digest(*job) for job in jobs]


def test_seeds_splits_and_indices_give_different_pictures():
    samples = [
        (seed, split, index)
        for seed in (0, 1, 2)
        for split in ("train", "val")
        for index in (0, 1, 2)
    ]
    assert len({digest(*sample) for sample in samples}) == len(samples)


def test_labels_are_the_classes_in_the_mask(world):
    for sample in world:
        assert sorted(set(sample.mask.ravel().tolist()) - {0}) == [
            c + 1 for c in range(len(CLASSES)) if sample.labels[c]
        ]
        assert sample.labels.any()


def test_mask_is_the_creature_and_nothing_else(world):
    """Head, body and limbs belong to the object; prop and background do not."""
    inside = np.array([name in ("head", "body", "limbs") for name in PARTS])
    assert inside.sum() == 3 and not inside[[PARTS.index("background"), PARTS.index("prop")]].any()
    for sample in world:
        assert sample.parts.max() < len(PARTS)
        assert np.array_equal(sample.mask > 0, inside[sample.parts])


def test_every_part_occurs_and_most_creatures_show_all_three(world):
    assert set(np.unique(np.stack([s.parts for s in world]))) == set(range(len(PARTS)))
    for name in ("head", "body", "limbs"):
        shown = np.mean([(s.parts == PARTS.index(name)).any() for s in world])
        assert shown > 0.9


def test_a_part_is_not_the_object():
    """Mining one part leaves something to find: no part fills nearly all of a creature."""
    parts = np.concatenate([creature(0, "val", i).parts.ravel() for i in range(40)])
    sizes = np.array([(parts == PARTS.index(name)).sum() for name in ("head", "body", "limbs")])
    assert (sizes / sizes.sum()).max() < 0.7 and (sizes / sizes.sum()).min() > 0.05


def test_classes_occur_about_equally_often(world):
    """Each class's count is Binomial(n, p), p in common.

    4.5 deviations: all classes together pass them with a chance under 1e-4.
    """
    counts = np.sum([s.labels for s in world], axis=0)
    p = counts.mean() / len(world)
    assert 1 / len(CLASSES) <= p < 0.5
    assert np.abs(counts - len(world) * p).max() <= 4.5 * np.sqrt(len(world) * p * (1 - p))


def test_some_pictures_show_one_class_and_some_show_two(world):
    shown = np.bincount([s.labels.sum() for s in world], minlength=3)
    assert shown[0] == 0 and shown[1] > 30 and shown[2] > 30 and len(shown) == 3


def test_some_creatures_touch_the_border(world):
    touching = sum(
        bool(s.mask[0].any() or s.mask[-1].any() or s.mask[:, 0].any() or s.mask[:, -1].any())
        for s in world
    )
    assert 0 < touching < len(world)


def test_the_creature_is_not_a_speck_and_not_the_picture(world):
    share = np.array([(s.mask > 0).mean() for s in world])
    assert 0.05 < share.mean() < 0.5 and share.max() < 0.9


def test_pictures_and_truth_are_the_same_samples(world):
    dataset = Creatures(0, 4, 2)
    pictures, truth = dataset.pictures("train"), dataset.truth("train")
    for i in range(4):
        assert np.array_equal(pictures.images[i], world[i].image) and np.array_equal(
            pictures.labels[i], world[i].labels
        )
        assert np.array_equal(truth.masks[i], world[i].mask) and np.array_equal(
            truth.parts[i], world[i].parts
        )
    assert len(set(pictures.ids)) == len(pictures) == 4
    assert pictures.classes == dataset.classes == CLASSES and dataset.has_truth
    assert truth.part_names == PARTS and set(truth.object_parts) == {"head", "body", "limbs"}
    assert np.array_equal(dataset.pictures("val").images[1], creature(0, "val", 1).image)
    assert dataset.check().pictures == {"train": 4, "val": 2}


@pytest.mark.parametrize(
    ("seed", "split", "index"), [(0, "test", 0), (0, "", 0), (-1, "train", 0), (0, "val", -1)]
)
def test_what_does_not_exist_is_refused(seed, split, index):
    with pytest.raises(ValueError, match="train, val"):
        creature(seed, split, index)
