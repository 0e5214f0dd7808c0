"""Saliency maps from a folder: read at their scale, and refused with the file and the cure."""

import numpy as np
import pytest
from PIL import Image

from aelib.datasets.creatures import creature
from aelib.datasets.saliency_maps import check_maps, inverted, map_file, read_map
from aelib.saliency import robust_background

GREY, RED = (128, 128, 128), (200, 30, 30)


def disc(size: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def paint(mask: np.ndarray, inside: tuple = RED, outside: tuple = GREY) -> np.ndarray:
    return np.where(mask[..., None], np.uint8(inside), np.uint8(outside)).astype(np.uint8)


@pytest.mark.parametrize(("dtype", "greatest"), [(np.uint8, 255), (np.uint16, 65535)])
def test_read_map_scales_by_the_type(tmp_path, dtype, greatest):
    values = np.array([[0, greatest // 3], [greatest, 7], [1, 2]], dtype)
    Image.fromarray(values).save(tmp_path / "a.png")
    found = read_map(tmp_path / "a.png", (3, 2))
    assert found.dtype == np.float32 and np.allclose(found, values / greatest, atol=1e-7)


def test_read_map_takes_grey_in_other_clothes(tmp_path):
    values = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    grey = Image.fromarray(values)
    grey.convert("RGB").save(tmp_path / "rgb.png")
    grey.convert("P").save(tmp_path / "palette.png")
    grey.save(tmp_path / "a.jpg", quality=100)
    Image.fromarray(values > 100).save(tmp_path / "bits.png")
    for name in ("rgb.png", "palette.png"):
        assert np.allclose(read_map(tmp_path / name, (4, 6)), values / 255)
    assert np.allclose(read_map(tmp_path / "a.jpg", (4, 6)), values / 255, atol=0.02)
    assert (read_map(str(tmp_path / "bits.png"), (4, 6)) == (values > 100)).all()


def test_read_map_names_the_file_and_the_cure(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lost\.png.*for each image"):
        read_map(tmp_path / "lost.png", (4, 6))
    (tmp_path / "text.png").write_text("not a picture")
    noise = np.random.default_rng(5).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    for name in ("text.png", "half.png", "."):
        with pytest.raises(ValueError, match="cannot be read") as caught:
            read_map(tmp_path / name, (64, 64))
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(ValueError, match=r"whole\.png: the map is 64x64 .*, its picture 50x40"):
        read_map(tmp_path / "whole.png", (40, 50))
    Image.fromarray(paint(disc(8, 4, 4, 2))).save(tmp_path / "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png: a colour picture"):
        read_map(tmp_path / "photo.png", (8, 8))
    Image.fromarray(paint(disc(8, 4, 4, 2))).convert("RGBA").save(tmp_path / "alpha.png")
    with pytest.raises(ValueError, match=r"alpha\.png: pixels of mode RGBA"):
        read_map(tmp_path / "alpha.png", (8, 8))


def test_inverted():
    maps = [robust_background(creature(0, "train", i).image) for i in range(6)]
    assert not inverted(maps) and inverted(1 - m for m in maps)
    right, wrong = np.float32(disc(20, 10, 10, 5)), np.float32(~disc(20, 10, 10, 5))
    assert inverted([wrong, wrong, right]) and not inverted([right[:15], right, wrong])
    assert not inverted(
        [np.zeros((5, 5)), np.ones((1, 3))]
    )  # flat maps, and thin ones, take no side
    with pytest.raises(ValueError, match="maps: none"):
        inverted([])


@pytest.mark.parametrize("workers", [1, 2])
def test_check_maps_names_all_that_is_wrong(tmp_path, workers):
    shape = disc(20, 10, 10, 5)
    for i in range(24):
        Image.fromarray(np.where(shape, 250, 5).astype(np.uint8)).save(tmp_path / f"p{i}.png")
    (tmp_path / "p0.png").rename(tmp_path / "other.png")
    Image.fromarray(np.uint8(shape) * 255).save(
        tmp_path / "p1.jpg"
    )  # beside p1.png: that one is taken
    (tmp_path / "p2.png").unlink()
    Image.fromarray(np.uint8(shape) * 255).save(tmp_path / "p2.jpg")
    names, seen = [f"p{i}" for i in range(24)], []
    check_maps(
        tmp_path, dict.fromkeys(names[1:], (20, 20)), workers, lambda *counts: seen.append(counts)
    )
    assert seen == [(n, 23) for n in range(1, 24)]
    assert map_file(tmp_path, "p1").suffix == ".png" and map_file(tmp_path, "p2").suffix == ".jpg"
    (tmp_path / "p3.png").write_bytes(b"")
    with pytest.raises(ValueError) as caught:
        check_maps(tmp_path, dict.fromkeys(names, (20, 20)) | {"p4": (20, 30)}, workers)
    lines = str(caught.value).splitlines()
    assert [
        any(what in line for line in lines)
        for what in ("p0.png: no such", "p3.png cannot be read", "p4.png: the map is 20x20")
    ] == [True] * 3
    assert lines[0].startswith("3 problem(s)") and len(lines) == 4


def test_check_maps_finds_maps_that_are_inverted_from_20_on(tmp_path):
    for i in range(20):
        Image.fromarray(np.where(disc(20, 10, 10, 5), 5, 250).astype(np.uint8)).save(
            tmp_path / f"p{i}.png"
        )
    sizes = dict.fromkeys([f"p{i}" for i in range(20)], (20, 20))
    with pytest.raises(ValueError, match=r"the maps are inverted.*white must be salient"):
        check_maps(tmp_path, sizes)
    del sizes["p0"]
    check_maps(
        tmp_path, sizes
    )  # too few to tell: a picture or two may well have a border that stands out
