"""What fit() trains on: whole pictures, or random crops of photographs, erased on the fly.

A crop has one geometry for the picture, its label map and its bit masks. torchvision's transforms
v2 are not used: a joint transform there scales masks by the legacy nearest rule, up to half a pixel
off the bilinear image. All that is needed beside torch's own interpolation is an index, and every
worker process would have to import torchvision.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from ..erasing import erase
from ..masks import IGNORE
from ..models import THINNEST
from .base import Pictures, to_tensor


@dataclass(frozen=True)
class Geometry:
    """Where a square crop lies in a picture.

    Attributes:
        height, width: what the whole picture is scaled to, pixels.
        top, left: the crop's first pixel in the scaled picture; negative where the crop begins
            with padding.
        flip: mirrored left to right, last of all.
        size: side of the crop, pixels.
    """

    height: int
    width: int
    top: int
    left: int
    flip: bool
    size: int


def draw(
    shape: tuple[int, int], size: int, scales: tuple[float, float], rng: np.random.Generator
) -> Geometry:
    """A random geometry: scale uniform in `scales`, then a uniform place, then flipped or not.

    A side longer than the crop is cut at a random place; a shorter one is padded, with the picture
    at a random place in the crop.

    Args:
        shape: (H, W) of the picture, at least 1.
        size: side of the crop, pixels; DeepLab's is 321.
        scales: least and greatest factor. DeepLab v2's range is 0.5 to 1.5 (in steps of 0.25 in
            github.com/kazuto1011/deeplab-pytorch); DeepLab v1, the code that the paper builds on,
            crops and mirrors only, which is (1, 1).
        rng: four numbers are drawn from it.
    """
    factor = rng.uniform(*scales)
    height, width = (max(THINNEST, round(side * factor)) for side in shape)
    top, left = (
        int(rng.integers(min(0, side - size), max(0, side - size), endpoint=True))
        for side in (height, width)
    )
    return Geometry(height, width, top, left, bool(rng.random() < 0.5), size)


def crop_image(image: Tensor, g: Geometry, fill: Tensor) -> Tensor:
    """The picture, bilinear (antialiased where it shrinks, as Pillow does), `fill` in the padding.

    Args:
        image: (3, H, W) float, at least 2 pixels wide (see models.THINNEST).
        fill: (3,), in the image's range: the training set's mean pixel.

    Returns:
        (3, size, size), the image's type.
    """
    if (g.height, g.width) != image.shape[-2:]:
        size = (g.height, g.width)
        image = F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]
    return _window(image, g, fill.to(image.dtype)[:, None, None])


def crop_labels(labels: Tensor, g: Geometry, fill: int | bool) -> Tensor:
    """Label maps or bit masks: each pixel takes the nearest value; `fill` in the padding.

    Args:
        labels: (..., H, W), any type.
        fill: 255 for label maps, False for bit masks.

    Returns:
        (..., size, size), the same type.
    """
    # pixel k's centre, (k + 1/2) old / new, in whole numbers: no rounding decides
    rows, columns = (
        (2 * torch.arange(new) + 1) * old // (2 * new)
        for old, new in zip(labels.shape[-2:], (g.height, g.width), strict=True)
    )
    return _window(labels[..., rows[:, None], columns], g, torch.tensor(fill))


def _window(scaled: Tensor, g: Geometry, fill: Tensor) -> Tensor:
    rows = slice(max(0, g.top), max(0, g.top + g.size))
    columns = slice(max(0, g.left), max(0, g.left + g.size))
    part = scaled[..., rows, columns]
    y, x = max(0, -g.top), max(0, -g.left)
    crop = scaled.new_empty(*scaled.shape[:-2], g.size, g.size)
    crop[...] = fill
    crop[..., y : y + part.shape[-2], x : x + part.shape[-1]] = part
    return crop.flip(-1) if g.flip else crop


class Samples(Dataset):
    """Pictures for fit(): the image, its label map with it, and whatever else belongs to it.

    Whole pictures (crop = 0) must be of one size; they are mirrored by torch's random stream.

    A crop is random by (torch.initial_seed(), i) alone: fit() seeds torch anew each epoch, also in
    the DataLoader's processes, so the numbers are the same for any number of workers and any order.
    Under another loop, call torch.manual_seed every epoch.

    Regions are erased from the whole picture before it is scaled, so that no pixel of a crop mixes
    in what was erased. Nothing erased is ever written to a file.

    Args:
        pictures: the split; its images may be read from disk one at a time.
        target: target(i) -> tensors of picture i without geometry (image-level labels, v).
        fill: mean pixel of the training set, (3,) in [0, 1]: for erased regions and the padding.
        crop: side of the crops, pixels; 0 takes whole pictures.
        scales: range of the scale jitter of crops, see `draw`.
        regions: regions(i) -> what to erase from picture i, (C, H, W) bool; None erases nothing.
        paint: paint(image, i) -> what the picture becomes where it is erased, (3, H, W); None fills
            with the mean pixel.
        masks: label maps, each (H, W) uint8, 255 ignored; None where nothing is to segment.

    Raises:
        ValueError: a crop below 0, or scales that are no range; at item i, a mask or region of
            another size than the picture, naming it.
    """

    def __init__(
        self,
        pictures: Pictures,
        target: Callable[[int], tuple[Tensor, ...]],
        *,
        fill: Tensor,
        crop: int = 0,
        scales: tuple[float, float] = (1.0, 1.0),
        regions: Callable[[int], Tensor] | None = None,
        paint: Callable[[Tensor, int], Tensor] | None = None,
        masks: Sequence[np.ndarray] | None = None,
    ) -> None:
        if crop < 0:
            raise ValueError(f"crop: a crop of {crop} pixels was asked for; 0 takes whole pictures")
        if not 0 < scales[0] <= scales[1] < float("inf"):
            rule = "is no range of factors above 0, the smaller one first"
            raise ValueError(f"scales: {scales} {rule}")
        self.pictures = pictures
        self.target = target
        self.fill = fill
        self.crop = crop
        self.scales = scales
        self.regions = regions
        self.paint = paint
        self.masks = masks

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        image = self.erased(i)
        mask = self._mask(i, image.shape[-2:])
        if self.crop:
            rng = np.random.default_rng((torch.initial_seed(), i))
            g = draw(image.shape[-2:], self.crop, self.scales, rng)
            image = crop_image(image, g, self.fill)
            mask = None if mask is None else crop_labels(mask, g, IGNORE)
        elif torch.rand(()) < 0.5:
            image = image.flip(-1)
            mask = None if mask is None else mask.flip(-1)
        seen = (image,) if mask is None else (image, mask)
        return *seen, *self.target(i)

    def erased(self, i: int) -> Tensor:
        """Picture i, whole, its regions filled: (3, H, W) in [0, 1]."""
        image = to_tensor(self.pictures.images[i])
        if self.regions is None:
            return image
        regions = self.regions(i)
        self._same_size(regions, image.shape[-2:], i, "the regions to erase")
        # torch's own `any` over a first dimension, and its `where` on interleaved colours, are slow
        hole = torch.from_numpy(regions.numpy().any(axis=0))
        if self.paint:
            return torch.where(hole, self.paint(image, i), image)
        return erase(image.contiguous(), hole[None], self.fill)

    def _mask(self, i: int, size: tuple[int, int]) -> Tensor | None:
        if self.masks is None:
            return None
        mask = torch.from_numpy(np.ascontiguousarray(self.masks[i]))
        self._same_size(mask, size, i, "the mask")
        return mask

    def _same_size(self, found: Tensor, size: tuple[int, int], i: int, what: str) -> None:
        if found.shape[-2:] != size:
            both = " and ".join(f"{w} x {h} pixels" for h, w in (found.shape[-2:], size))
            name = self.pictures.ids[i]
            rule = "(width x height); they must agree"
            raise ValueError(f"{name}: {what} and the picture have {both} {rule}")
