"""Pictures and masks that are read when they are asked for, and what a change of them does."""

import operator

import numpy as np
import pytest
from PIL import Image

from aelib.datasets.base import (
    PHOTO_PARTS,
    Lazy,
    fingerprint,
    full_sizes,
    no_truth,
    photo_pictures,
    photo_truth,
    sizes,
)
from aelib.datasets.photos import read_photo, save_mask
from aelib.datasets.selection import Item
from aelib.support.parallel import in_order


def test_lazy_is_a_sequence_that_reads_anew(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(4)]
    for i, file in enumerate(files):
        Image.new("RGB", (i + 1, 2), (i, 0, 0)).save(file)
    images = Lazy(read_photo, files)
    assert [image[0, 0, 0] for image in images] == [0, 1, 2, 3] and len(images) == 4
    assert images[-1][0, 0, 0] == 3 and [image[0, 0, 0] for image in images[1:3]] == [1, 2]
    assert sizes(images) == [(2, 1), (2, 2), (2, 3), (2, 4)] == sizes(list(images))
    with pytest.raises(IndexError):
        images[4]
    Image.new("RGB", (1, 2), (9, 0, 0)).save(files[0])
    assert images[0][0, 0, 0] == 9


def test_worker_processes_can_read_it(tmp_path):
    Image.new("RGB", (2, 2), (7, 0, 0)).save(tmp_path / "a.png")
    assert [
        image[0, 0, 0]
        for image in in_order(
            operator.getitem, [(Lazy(read_photo, [tmp_path / "a.png"]), 0)] * 3, workers=2
        )
    ] == [7, 7, 7]


@pytest.fixture
def items(tmp_path):
    """Two photographs of 8 x 6 pixels, the second with a mask."""
    found = []
    for name, labels in (("a", {"cat"}), ("b", {"cat", "dog"})):
        Image.new("RGB", (8, 6), (90, 0, 0)).save(tmp_path / f"{name}.jpg")
        photo, mask = tmp_path / f"{name}.jpg", tmp_path / f"{name}.png"
        found.append(Item(name, photo, mask, frozenset(labels)))
    save_mask(tmp_path / "b.png", np.array([[0, 1, 2, 3, 255, 0, 0, 0]] * 6, np.uint8))
    return found


def test_photographs_are_read_at_their_longest_side(items):
    pictures = photo_pictures(items, ("dog", "cat"), 4)
    assert pictures.ids == ("a", "b") and pictures.classes == ("dog", "cat")
    np.testing.assert_array_equal(pictures.labels, [[False, True], [True, True]])
    assert [image.shape for image in pictures.images] == [(3, 4, 3)] * 2
    assert sizes(pictures.images) == [(3, 4)] * 2 and full_sizes(pictures.images) == [(6, 8)] * 2
    np.testing.assert_allclose(pictures.mean_pixel(), [90, 0, 0], atol=2)


def test_masks_become_the_kept_classes_and_parts_say_object_or_void(items):
    truth = photo_truth(items[1:], ("dog", "cat"), ("sofa", "cat", "dog"), 0)
    np.testing.assert_array_equal(truth.masks[0][0], [0, 255, 2, 1, 255, 0, 0, 0])
    names = [PHOTO_PARTS[part] for part in truth.parts[0][0][:5]]
    assert names == ["background", "void", "object", "object", "void"]
    assert truth.part_names == PHOTO_PARTS and truth.object_parts == ("object",)


def test_without_masks_all_is_void(items):
    truth = no_truth(photo_pictures(items, ("cat",), 4))
    assert [mask.tolist() for mask in truth.masks] == [[[255] * 4] * 3] * 2
    assert [{*parts.ravel().tolist()} for parts in truth.parts] == [{2}] * 2


def test_a_fingerprint_changes_with_what_it_is_of(items):
    def now(classes=("cat", "dog"), chosen=items):
        return fingerprint(photo_pictures(chosen, classes, 0))

    first = now()
    assert now() == first
    other_labels = [items[0]._replace(labels=frozenset({"dog"})), items[1]]
    assert len({first, now(("dog", "cat")), now(chosen=items[1:]), now(chosen=other_labels)}) == 4
    items[0].photo.write_bytes(items[0].photo.read_bytes() + b" ")
    longer = now()
    items[0].photo.unlink()
    assert len({first, longer, now()}) == 3


def test_the_first_pictures_and_their_masks_stay_together(items):
    pictures = photo_pictures(items, ("cat", "dog"), 0)
    truth = photo_truth(items, ("cat", "dog"), ("cat", "dog"), 0)
    one, masks = pictures.first(1), truth.first(1)
    assert one.ids == pictures.ids[:1] and one.classes == pictures.classes and len(one) == 1
    np.testing.assert_array_equal(one.images[0], pictures.images[0])
    np.testing.assert_array_equal(one.labels, pictures.labels[:1])
    assert len(masks.masks) == len(masks.parts) == 1 and masks.part_names == PHOTO_PARTS
