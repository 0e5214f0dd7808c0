"""Photographs as they come from cameras, scanners and drawing programs; label maps; what a run takes of them."""

import io
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from aelib import photos
from aelib.parallel import in_order
from aelib.photos import Item, Lazy, choose, faults, kept, read_labels, read_photo, relabelling, seeded, size_of, sizes


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.fixture
def save(tmp_path):
    def save(image, name="a.png", **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


# --- reading ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_rgb_is_read_as_it_is(save, rgb, name):
    read = read_photo(save(Image.fromarray(rgb), name, lossless=True))
    np.testing.assert_array_equal(read, rgb)
    assert read.dtype == np.uint8 and read.flags.writeable


def test_grey_is_repeated(save, rgb):
    grey = rgb[..., 0]
    for name, most in (("a.png", 0), ("a.jpg", 12)):
        read = read_photo(save(Image.fromarray(grey), name, quality=100) if most else save(Image.fromarray(grey), name))
        assert abs(read.astype(int) - grey[..., None]).max() <= most
    black_and_white = read_photo(save(Image.fromarray(grey > 127)))
    np.testing.assert_array_equal(black_and_white, np.where(grey > 127, 255, 0)[..., None].repeat(3, 2))


def test_palette_indices_become_their_colours(save, rgb):
    colours = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    image = Image.fromarray(rgb[..., 0])
    image.putpalette(colours.tobytes())
    np.testing.assert_array_equal(read_photo(save(image)), colours[rgb[..., 0]])


def test_16_bits_are_scaled_and_not_cut(save):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    read = read_photo(save(Image.fromarray(values)))
    np.testing.assert_array_equal(read[..., 0], np.rint(values / 65535 * 255))
    np.testing.assert_array_equal(read, read[..., :1].repeat(3, 2))


def test_transparency_lies_over_white(save, rgb):
    alpha = np.random.default_rng(2).integers(0, 256, (5, 7, 1), np.uint8)
    wanted = (alpha / 255.0) * rgb + (1 - alpha / 255.0) * 255
    assert abs(read_photo(save(Image.fromarray(np.concatenate([rgb, alpha], 2)))) - wanted).max() <= 1
    assert abs(read_photo(save(Image.fromarray(np.concatenate([rgb[..., :1], alpha], 2)))) - wanted[..., :1]).max() <= 1
    image = Image.fromarray(rgb[..., 0] % 2)
    image.putpalette([10, 20, 30, 40, 50, 60])
    read = read_photo(save(image, transparency=1))  # the second colour is see-through
    np.testing.assert_array_equal(read, np.where(rgb[..., :1] % 2, 255, [10, 20, 30]))


def test_cmyk_is_not_inverted(save):
    ink = (200, 100, 50, 30)  # the same formula for screens everywhere: (1 - ink) (1 - black)
    read = read_photo(save(Image.new("CMYK", (16, 16), ink), "a.jpg", quality=100))
    wanted = [(255 - colour) * (255 - ink[3]) / 255 for colour in ink[:3]]
    assert abs(read - np.array(wanted)).max() <= 3


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("orientation", range(10))
def test_exif_turns_photos_upright(save, rgb, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = save(Image.fromarray(rgb), name, exif=exif)
    with Image.open(file) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read_photo(file), wanted)
    assert size_of(file) == wanted.shape[:2] == ((7, 5) if 5 <= orientation <= 8 else (5, 7))


def test_a_16_bit_scan_is_turned_too(save):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.array([[0, 257, 514]], np.uint16)
    np.testing.assert_array_equal(read_photo(save(Image.fromarray(values), exif=exif))[..., 0], [[0], [1], [2]])


def test_of_a_telephones_pair_of_pictures_the_first_is_read(save):
    file = save(Image.new("RGB", (4, 6), "red"), "a.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (2, 2))])
    assert size_of(file) == (6, 4) == read_photo(file).shape[:2] and read_photo(file)[0, 0, 0] > 250


def test_size_of_decodes_nothing(save, monkeypatch):
    file = save(Image.new("RGB", (300, 200)), "a.jpg")
    file.write_bytes(file.read_bytes()[:700])  # only the header
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    assert size_of(file) == (200, 300)


@pytest.mark.parametrize(("name", "options"), [("a.jpg", {}), ("a.jpg", {"progressive": True}), ("a.png", {}), ("a.webp", {})])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_photo_is_an_error(save, name, options, share):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    file = save(Image.fromarray(noise), name, **options)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"{name} cannot be read as a picture"):
        read_photo(file)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "PPM"])
def test_other_formats_are_refused(tmp_path, kind):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", kind)
    for read in (read_photo, size_of):
        with pytest.raises(ValueError, match=r"a\.jpg cannot be read"):
            read(tmp_path / "a.jpg")


def test_a_missing_photo_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        read_photo(tmp_path / "gone.jpg")


def test_only_label_maps_are_read_as_labels(save, rgb):
    labels = rgb[..., 0] % 21
    palette = Image.fromarray(labels)
    palette.putpalette(bytes(range(63)))
    for image in (Image.fromarray(labels), palette):
        np.testing.assert_array_equal(read_labels(save(image)), labels)
    for image in (Image.fromarray(rgb), Image.fromarray(labels > 3), Image.fromarray(labels.astype(np.uint16))):
        with pytest.raises(ValueError, match=r"a\.png is a picture of mode .*, not a label map"):
            read_labels(save(image))
    with pytest.raises(ValueError, match="is missing"):
        read_labels("gone.png")


# --- lazily -------------------------------------------------------------------------------------------------------------------


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
    assert [image[0, 0, 0] for image in in_order(operator.getitem, [(Lazy(read_photo, [tmp_path / "a.png"]), 0)] * 3, workers=2)] == [7, 7, 7]


# --- choosing -----------------------------------------------------------------------------------------------------------------


def item(name, *labels):
    return Item(name, photos.Path(f"{name}.jpg"), photos.Path(f"{name}.png"), frozenset(labels))


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
    two = {tuple(found.id for found in choose(items, ("cat", "dog"), 2, seed)) for seed in range(30)}
    assert two == {("a", "b"), ("a", "d"), ("b", "d")}
    assert choose(items, ("cat",), 9, 0) == choose(items[::-1], ("cat",), 0, 5)
    for limit, classes in ((-1, ("cat",)), (0, ("bird",))):
        with pytest.raises(ValueError, match=r"limit: -1|no picture has one of bird"):
            choose(items, classes, limit, 0)


def test_kept_classes_stay_in_their_order_and_unknown_ones_are_named():
    known = ("bird", "cat", "dog")
    assert kept((), known) == known and kept(("dog", "bird"), known) == ("bird", "dog") and kept("cat", known) == ("cat",)
    with pytest.raises(ValueError, match=r"'dgo' is unknown \(did you mean 'dog'\?\).*there are bird, cat, dog"):
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


# --- faults -------------------------------------------------------------------------------------------------------------------


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
    assert [name in line for name, line in zip(("a.jpg", "a.png is missing"), faults(photo, mask, 3), strict=True)] == [True, True]
    photo.unlink()
    assert faults(photo, None, 3) == [f"{photo} is missing"]
