"""Random scale, crop and flip of photos: one geometry for the picture, its label map and its bit masks.

Not torchvision's transforms v2: a joint transform there scales masks by the legacy nearest rule, up to half a pixel off the bilinear
image. What is needed beside torch's own interpolation is an index, and torchvision is not imported in every worker process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from .data import Pictures, to_tensor
from .erasing import erase
from .masks import IGNORE
from .models import THINNEST


@dataclass(frozen=True)
class Geometry:
    """Where a square crop lies in a picture.

    Attributes:
        height, width: what the whole picture is scaled to, pixels.
        top, left: the crop's first pixel in the scaled picture; negative where the crop begins with padding.
        flip: mirrored left to right, last of all.
        size: side of the crop, pixels.
    """

    height: int
    width: int
    top: int
    left: int
    flip: bool
    size: int


def draw(shape: tuple[int, int], size: int, scales: tuple[float, float], rng: np.random.Generator) -> Geometry:
    """A random geometry: the scale uniform in `scales`, the place uniform among those that lose nothing needlessly, flipped or not.

    A side longer than the crop is cut at a random place; a shorter one is padded, with the picture at a random place in the crop.

    Args:
        shape: (H, W) of the picture, at least 1.
        size: side of the crop, pixels; DeepLab's is 321.
        scales: least and greatest factor. DeepLab v2's range is 0.5 to 1.5 (in steps of 0.25 in github.com/kazuto1011/deeplab-pytorch);
            DeepLab v1, the code that the paper builds on, crops and mirrors only, which is (1, 1).
        rng: gives the four numbers.
    """
    factor = rng.uniform(*scales)
    height, width = (max(THINNEST, round(side * factor)) for side in shape)
    top, left = (int(rng.integers(min(0, side - size), max(0, side - size), endpoint=True)) for side in (height, width))
    return Geometry(height, width, top, left, bool(rng.random() < 0.5), size)


def crop_image(image: Tensor, g: Geometry, fill: Tensor) -> Tensor:
    """The picture, bilinear (antialiased where it shrinks, as Pillow does), with `fill` in the padding.

    Args:
        image: (3, H, W) float, at least 2 pixels wide (see models.THINNEST).
        fill: (3,), in the image's range: the training set's mean pixel.

    Returns:
        (3, size, size), the image's type.
    """
    if (g.height, g.width) != image.shape[-2:]:
        image = F.interpolate(image[None], size=(g.height, g.width), mode="bilinear", antialias=True)[0]
    return _window(image, g, fill.to(image.dtype)[:, None, None])


def crop_labels(labels: Tensor, g: Geometry, fill: int | bool) -> Tensor:
    """Label maps or bit masks: each pixel takes its nearest neighbour's value, and `fill` (255; False) in the padding.

    Args:
        labels: (..., H, W), any type.

    Returns:
        (..., size, size), the same type.
    """
    # pixel k's centre, (k + 1/2) old / new, in whole numbers: no rounding decides
    rows, columns = ((2 * torch.arange(new) + 1) * old // (2 * new) for old, new in zip(labels.shape[-2:], (g.height, g.width), strict=True))
    return _window(labels[..., rows[:, None], columns], g, torch.tensor(fill))


def _window(scaled: Tensor, g: Geometry, fill: Tensor) -> Tensor:
    part = scaled[..., max(0, g.top) : max(0, g.top + g.size), max(0, g.left) : max(0, g.left + g.size)]
    y, x = max(0, -g.top), max(0, -g.left)
    crop = scaled.new_empty(*scaled.shape[:-2], g.size, g.size)
    crop[...] = fill
    crop[..., y : y + part.shape[-2], x : x + part.shape[-1]] = part
    return crop.flip(-1) if g.flip else crop


class CropSet(Dataset):
    """Photos for fit(): a random crop of each, of the label map with it, and whatever else belongs to the picture.

    Item i is random by (torch.initial_seed(), i) alone: fit() seeds torch anew each epoch, and in the DataLoader's
    processes, so the numbers are the same for any number of workers and any order. Under another loop, call torch.manual_seed every epoch.

    Regions are erased from the whole picture, before it is scaled: a crop's pixel then mixes nothing of what was erased. (A mask scaled
    with the crop and applied afterwards would leave a rim, where bilinear pixels still hold it.) Nothing erased is ever written to a file.

    Args:
        pictures: the split; its images may be read from disk one at a time.
        target: target(i) -> tensors of picture i that need no geometry (image-level labels, confidences).
        fill: mean pixel of the training set, (3,) in [0, 1]: in the padding and in erased regions.
        size: side of the crops, pixels.
        scales: range of the scale jitter, see `draw`.
        gone: gone(i) -> regions to erase from picture i, (C, H, W) bool; None where nothing is.
        masks: label maps, each (H, W) uint8, 255 ignored; None where there is nothing to segment.

    Raises:
        ValueError: a crop or a scale that is none; at item i, a mask or region of another size than the picture, naming it.
    """

    def __init__(
        self,
        pictures: Pictures,
        target: Callable[[int], tuple[Tensor, ...]],
        *,
        fill: Tensor,
        size: int = 321,
        scales: tuple[float, float] = (0.5, 1.5),
        gone: Callable[[int], Tensor] | None = None,
        masks: Sequence[np.ndarray] | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"size: a crop of {size} pixels was asked for; at least 1 is needed")
        if not 0 < scales[0] <= scales[1] < float("inf"):
            raise ValueError(f"scales: {scales} is no range of factors above 0, the smaller one first")
        self.pictures, self.target, self.fill, self.size, self.scales, self.gone, self.masks = pictures, target, fill, size, scales, gone, masks

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        image = to_tensor(self.pictures.images[i])
        if self.gone is not None:
            image = erase(image, self._fits(self.gone(i), image, i, "the regions to erase"), self.fill)
        g = draw(image.shape[-2:], self.size, self.scales, np.random.default_rng((torch.initial_seed(), i)))
        crops = [crop_image(image, g, self.fill)]
        if self.masks is not None:
            mask = torch.from_numpy(np.ascontiguousarray(self.masks[i]))
            crops.append(crop_labels(self._fits(mask, image, i, "the mask"), g, IGNORE))
        return *crops, *self.target(i)

    def _fits(self, map: Tensor, image: Tensor, i: int, what: str) -> Tensor:
        if map.shape[-2:] != image.shape[-2:]:
            sizes = " and ".join(f"{w} x {h} pixels" for h, w in (map.shape[-2:], image.shape[-2:]))
            raise ValueError(f"{self.pictures.ids[i]}: {what} and the picture have {sizes} (width x height); they must agree")
        return map
