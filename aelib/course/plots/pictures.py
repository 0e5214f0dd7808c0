"""Figures of pictures and of what lies over them: maps, regions, masks."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Patch
from skimage.segmentation import mark_boundaries

from .panels import (
    explain_ignored,
    grey,
    in_words,
    label_map,
    outline,
    picture_grid,
    rgb,
    share,
    show,
)
from .style import INK, PARTS, REGION, STEPS, Figure, colour, set_title, styled


@styled
def gallery(images: Sequence, titles: Sequence[str] | None = None, columns: int = 6) -> Figure:
    """Draw pictures in rows of `columns`, each under its title."""
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure, axes = picture_grid(rows, columns, images)
    for ax, image, title in zip(axes.flat, images, titles or [""] * len(images), strict=False):
        show(ax, rgb(image), title)
    listed = f": {'; '.join(titles)}" if titles else ""
    figure.alt = f"{len(images)} pictures{listed}."
    return figure


@styled
def sample(
    image, labels_text: str, mask, parts, classes: Sequence[str], part_names: Sequence[str]
) -> Figure:
    """Draw a creature: picture and image-level labels (all that training sees), mask, parts.

    parts: (H, W), an index into part_names.
    """
    figure, (axes,) = picture_grid(1, 3, [image], wider=0.9, higher=0.15)
    names = part_names[1:]  # without the background
    show(axes[0], rgb(image), f"image-level labels: {labels_text}")
    label_map(axes[1], image, mask, classes, "mask, for evaluation only")
    label_map(axes[2], image, parts, names, "parts, for evaluation only", PARTS)
    handles = [Patch(color=colour(i, PARTS), alpha=0.7, label=name) for i, name in enumerate(names)]
    figure.legend(handles=handles, title="parts", loc="outside right center")
    explain_ignored(figure, mask)
    figure.alt = (
        f"A picture with the image-level labels {labels_text}, its mask and its parts, in share of "
        f"the pixels. Mask: {in_words(mask, classes)}. Parts: {in_words(parts, names)}."
    )
    return figure


@styled
def heat(image, maps, names: Sequence[str], delta: float | None = None) -> Figure:
    """Draw the image, then class activation maps over it in grey.

    Args:
        maps: normalised CAMs, (n, H, W) in [0, 1].
        delta: where a map is above this share of its own maximum, it is outlined.
    """
    maps = np.asarray(maps)
    figure, (axes,) = picture_grid(1, len(maps) + 1, [image], wider=0.9)
    show(axes[0], rgb(image), "image")
    for ax, values, name in zip(axes[1:], maps, names, strict=True):
        show(ax, grey(image, darkest=0))
        shown = show(ax, values, name, cmap="YlOrBr", vmin=0, vmax=1, alpha=0.6)
        if delta is not None:
            outline(ax, values, delta * values.max(), INK)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    bar = figure.colorbar(shown, ax=list(axes), shrink=0.8, pad=0.02, ticks=ticks)
    explained = "" if delta is None else f"\nline: {delta:g}"
    bar.set_label(f"share of the map's maximum{explained}")
    figure.alt = f"A picture, and over it the class activation map of {', '.join(names)}."
    if delta is not None:
        above = ", ".join(share(values > delta * values.max()) for values in maps)
        figure.alt += f" Above {delta:g} of its maximum: {above} of the pixels."
    return figure


@styled
def steps(image, erased_images: Sequence, regions_by_step: Sequence) -> Figure:
    """Draw adversarial erasing: above, what each step's classifier saw; below, what was found.

    Args:
        erased_images: what each step saw; the first is the image itself.
        regions_by_step: (H, W) bool, mined by each step. Pixels of an earlier step are not new.
    """
    step_names = [str(t + 1) for t in range(len(regions_by_step))]
    figure, axes = picture_grid(2, len(step_names), [image])
    found, gains = np.zeros(np.shape(regions_by_step[0]), np.uint8), []
    for t, (seen, region) in enumerate(zip(erased_images, regions_by_step, strict=True)):
        added = np.asarray(region, bool) & (found == 0)
        found[added] = t + 1
        gains.append(f"step {t + 1} adds {added.mean():.1%} of pixels")
        show(axes[0, t], rgb(seen), f"step {t + 1} saw")
        label_map(axes[1, t], image, found, step_names, gains[-1], STEPS)
    figure.alt = (
        "Above, the picture as each step's classifier saw it, what was found before erased; "
        f"below, what was found: {', '.join(gains)}."
    )
    return figure


@styled
def pseudo_mask(
    image,
    saliency,
    regions_any,
    S,
    classes: Sequence[str],
    background_threshold: float | None = None,
) -> Figure:
    """Draw where S comes from: image, saliency, mined regions, S.

    Args:
        saliency: (H, W) in [0, 1], outlined where it reaches `background_threshold`.
        regions_any: (H, W) bool, mined for any class.
        S: the pseudo-mask, a label map.
    """
    figure, (axes,) = picture_grid(1, 4, [image])
    saliency, threshold = np.asarray(saliency), background_threshold
    explained = "" if threshold is None else f" (line: {threshold:g})"
    show(axes[0], rgb(image), "image")
    show(axes[1], saliency, f"saliency{explained}", cmap="gray", vmin=0, vmax=1)
    salient = ""
    if threshold is not None:
        outline(axes[1], saliency, threshold, REGION[0])
        salient = f", {threshold:g} or more on {share(saliency >= threshold)} of the pixels"
    mined = np.asarray(regions_any, np.uint8)
    label_map(axes[2], image, mined, ["mined"], "mined, all classes", REGION)
    label_map(axes[3], image, S, classes, "S, the mask to learn from")
    explain_ignored(figure, S)
    figure.alt = (
        f"A picture; its saliency{salient}; mined of all classes: {share(regions_any)}; "
        f"the mask S: {in_words(S, classes)}."
    )
    return figure


@styled
def superpixels(image, labels, maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw a picture cut into superpixels, and maps that have one value for each of them.

    Args:
        labels: which superpixel a pixel is in, (H, W) in 0 ... N - 1.
        maps: name -> (N,) in [0, 1]: black is 0, white 1.
    """
    figure, (axes,) = picture_grid(1, 1 + len(maps), [image])
    labels = np.asarray(labels)
    large = [np.asarray(x).repeat(5, axis=0).repeat(5, axis=1) for x in (rgb(image), labels)]
    cut = mark_boundaries(*large, color=(1, 1, 1), mode="inner")
    show(axes[0], cut, "superpixels")
    for ax, (name, values) in zip(axes[1:], maps.items(), strict=True):
        show(ax, np.asarray(values)[labels], name, cmap="gray", vmin=0, vmax=1)
    means = ", ".join(f"{name} {np.mean(v[labels]):.2f}" for name, v in maps.items())
    figure.alt = (
        f"A picture cut into {labels.max() + 1} superpixels, and maps of them. "
        f"Mean of each map: {means}."
    )
    return figure


@styled
def masks(image, named_masks: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Draw the image and label maps of it under their names.

    One row; two from seven panels on.
    """
    panels = 1 + len(named_masks)
    rows = 1 if panels < 7 else 2
    figure, axes = picture_grid(rows, -(-panels // rows), [image])
    show(axes.flat[0], rgb(image), "image")
    for ax, (name, labels) in zip(axes.flat[1:], named_masks.items(), strict=False):
        label_map(ax, image, labels, classes, name)
    explain_ignored(figure, *named_masks.values())
    listed = _listed(named_masks, classes)
    figure.alt = f"A picture and label maps of it, in share of the pixels. {listed}."
    return figure


@styled
def prohibition(image, f_argmax, s_hat, S, v, classes: Sequence[str], most: int = 8) -> Figure:
    """Draw the image, S, the network's own answer, the same after prohibition, and v as bars.

    Args:
        f_argmax, s_hat, S: label maps.
        v: image-level confidences, (C,) in [0, 1]; the `most` highest get a bar.
    """
    v = np.asarray(v)
    highest = np.sort(np.argsort(-v, kind="stable")[:most])
    figure, ((first, *axes),) = picture_grid(1, 5, [image], higher=0.15)
    figure.set_figheight(max(figure.get_figheight(), 0.2 * len(highest) + 0.7))
    show(first, rgb(image), "image")
    named = {
        "S, the mined mask": S,
        "argmax f, the network's own": f_argmax,
        "Ŝ = argmax [1, v] f": s_hat,
    }
    for ax, (name, labels) in zip(axes, named.items(), strict=False):
        label_map(ax, image, labels, classes, name)
    _confidence_bars(axes[3], v, highest, classes)
    set_title(axes[3], f"v, the {most} highest" if most < len(v) else "v, image-level")
    explain_ignored(figure, *named.values())
    confident = ", ".join(f"{classes[c]} {v[c]:.2f}" for c in highest)
    figure.alt = (
        f"A picture and three label maps of it, in share of the pixels. {_listed(named, classes)}. "
        f"Bars: the classifier's confidences v: {confident}."
    )
    return figure


def _confidence_bars(ax, v, chosen, classes: Sequence[str]) -> None:
    colours = [colour(c) for c in chosen]
    bars = ax.barh([classes[c] for c in chosen], v[chosen], color=colours, height=0.7)
    ax.bar_label(bars, [f"{v[c]:.2f}" for c in chosen], padding=3)
    ax.set(xlim=(0, 1), xticks=[0, 0.5, 1])
    ax.axis("on")
    ax.invert_yaxis()


def _listed(named_masks: Mapping[str, np.ndarray], classes: Sequence[str]) -> str:
    return "; ".join(f"{name}: {in_words(m, classes)}" for name, m in named_masks.items())
