"""Photographs as they come from cameras, scanners and drawing programs; label maps."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from aelib.datasets.photos import read_labels, read_photo, size_of


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.fixture
def save(tmp_path):
    def save(image, name="a.png", **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_rgb_is_read_as_it_is(save, rgb, name):
    read = read_photo(save(Image.fromarray(rgb), name, lossless=True))
    np.testing.assert_array_equal(read, rgb)
    assert read.dtype == np.uint8 and read.flags.writeable


def test_grey_is_repeated(save, rgb):
    grey = rgb[..., 0]
    for name, most in (("a.png", 0), ("a.jpg", 12)):
        read = read_photo(
            save(Image.fromarray(grey), name, quality=100)
            if most
            else save(Image.fromarray(grey), name)
        )
        assert abs(read.astype(int) - grey[..., None]).max() <= most
    black_and_white = read_photo(save(Image.fromarray(grey > 127)))
    np.testing.assert_array_equal(
        black_and_white, np.where(grey > 127, 255, 0)[..., None].repeat(3, 2)
    )


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
    assert (
        abs(read_photo(save(Image.fromarray(np.concatenate([rgb, alpha], 2)))) - wanted).max() <= 1
    )
    assert (
        abs(
            read_photo(save(Image.fromarray(np.concatenate([rgb[..., :1], alpha], 2))))
            - wanted[..., :1]
        ).max()
        <= 1
    )
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
    np.testing.assert_array_equal(
        read_photo(save(Image.fromarray(values), exif=exif))[..., 0], [[0], [1], [2]]
    )


def test_of_a_telephones_pair_of_pictures_the_first_is_read(save):
    file = save(
        Image.new("RGB", (4, 6), "red"),
        "a.jpg",
        format="MPO",
        save_all=True,
        append_images=[Image.new("RGB", (2, 2))],
    )
    assert size_of(file) == (6, 4) == read_photo(file).shape[:2] and read_photo(file)[0, 0, 0] > 250


def test_size_of_decodes_nothing(save, monkeypatch):
    file = save(Image.new("RGB", (300, 200)), "a.jpg")
    file.write_bytes(file.read_bytes()[:700])  # only the header
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    assert size_of(file) == (200, 300)


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jpg", {}), ("a.jpg", {"progressive": True}), ("a.png", {}), ("a.webp", {})],
)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_photo_is_an_error(save, name, options, share):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    file = save(Image.fromarray(noise), name, **options)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"{name} cannot be read as a picture"):
        read_photo(file)


@pytest.mark.parametrize("kind", ["GIF", "PPM"])
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
    wrong = {
        "a picture of mode RGB, not a label map": rgb,
        "a grey PNG of 1 bits": labels > 3,
        "a picture of mode I;16, not a label map": labels.astype(np.uint16),
    }
    for what, values in wrong.items():
        with pytest.raises(ValueError, match=rf"a\.png is {what}"):
            read_labels(save(Image.fromarray(values)))
    with pytest.raises(ValueError, match="is missing"):
        read_labels("gone.png")
