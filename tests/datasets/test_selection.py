"""Which pictures and classes are chosen, and what is found to be wrong with their files."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aelib.datasets.looks import faults
from aelib.datasets.selection import Item, choose, kept, relabelling, seeded


def item(name, *labels):
    return Item(name, Path(f"{name}.jpg"), Path(f"{name}.png"), frozenset(labels))


@given(st.sets(st.text(max_size=5), min_size=3), st.integers(0, 100), st.randoms())
def test_the_order_depends_on_names_and_seed_alone(names, seed, random):
    order = seeded(names, seed)
    shuffled = list(names)
    random.shuffle(shuffled)
    assert seeded(shuffled, seed) == order and sorted(order) == sorted(names)
    some = set(order[::2])
    assert seeded(some, seed) == [name for name in order if name in some]  # others do not matter


def test_a_seed_gives_every_picture_its_chance():
    first = [seeded("abcd", seed)[0] for seed in range(400)]
    assert all(60 < first.count(name) < 140 for name in "abcd")


def test_choose_keeps_what_has_a_class_and_as_many_as_asked():
    items = [item("b", "cat"), item("a", "cat", "sofa"), item("c", "sofa"), item("d", "dog")]
    assert [found.id for found in choose(items, ("cat", "dog"), 0, 0)] == ["a", "b", "d"]
    two = {
        tuple(found.id for found in choose(items, ("cat", "dog"), 2, seed)) for seed in range(30)
    }
    assert two == {("a", "b"), ("a", "d"), ("b", "d")}
    assert choose(items, ("cat",), 9, 0) == choose(items[::-1], ("cat",), 0, 5)
    for limit, classes in ((-1, ("cat",)), (0, ("bird",))):
        with pytest.raises(ValueError, match=r"limit: -1|no picture has one of bird"):
            choose(items, classes, limit, 0)


def test_kept_classes_stay_in_their_order_and_unknown_ones_are_named():
    known = ("bird", "cat", "dog")
    assert (
        kept((), known) == known
        and kept(("dog", "bird"), known) == ("bird", "dog")
        and kept("cat", known) == ("cat",)
    )
    with pytest.raises(
        ValueError, match=r"'dgo' is unknown \(did you mean 'dog'\?\).*there are bird, cat, dog"
    ):
        kept(("cat", "dgo"), known)


@given(st.sets(st.sampled_from("abcdef"), min_size=1))
def test_relabelling_against_a_loop(classes):
    known, classes = "abcdef", sorted(classes)
    for label, became in enumerate(relabelling(classes, known)):
        if label == 0:
            assert became == 0
        elif label <= 6 and known[label - 1] in classes:
            assert classes[became - 1] == known[label - 1]
        else:
            assert became == 255


def test_faults_are_found_all_at_once(tmp_path):
    photo, mask = tmp_path / "a.jpg", tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(photo)

    def found(labels, highest=3):
        (Image.fromarray(labels) if isinstance(labels, np.ndarray) else labels).save(mask)
        return " | ".join(faults(photo, mask, highest))

    good = np.array([[0, 1, 2, 3, 255, 0]] * 4, np.uint8)
    assert found(good) == "" and faults(photo, None, 3) == []
    assert "labels 3 found where 0..2 and 255" in found(good, 2)
    assert "a.png has 6 x 3 pixels (width x height), its photo 6 x 4" in found(good[:3])
    assert "6 x 3" in (both := found(good[:3], 2)) and "labels 3" in both
    assert "mode RGB" in found(Image.new("RGB", (6, 4)))
    mask.unlink()
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4)).save(buffer, "JPEG")
    photo.write_bytes(buffer.getvalue()[:-20])
    assert [
        name in line
        for name, line in zip(("a.jpg", "a.png is missing"), faults(photo, mask, 3), strict=True)
    ] == [True, True]
    photo.unlink()
    assert faults(photo, None, 3) == [f"{photo} is missing"]
