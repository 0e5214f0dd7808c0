"""Figures of answers: pictures with what a network says of them, and with the truth."""

from collections.abc import Sequence

from .panels import explain_ignored, in_words, label_map, picture_grid, rgb, show
from .style import Figure, styled


@styled
def answers(images: Sequence, predictions: Sequence, classes: Sequence[str]) -> Figure:
    """Draw pictures in rows of six, a network's answer below each."""
    columns = max(1, min(6, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure, axes = picture_grid(2 * rows, columns, images, higher=-0.5 * rows)
    listed = []
    for i, (image, prediction) in enumerate(zip(images, predictions, strict=True)):
        row, column = divmod(i, columns)
        show(axes[2 * row, column], rgb(image))
        label_map(axes[2 * row + 1, column], image, prediction, classes)
        listed.append(in_words(prediction, classes))
    figure.alt = (
        f"{len(listed)} pictures, the network's answer below each, in share of the pixels. "
        f"{'; '.join(listed)}."
    )
    return figure


@styled
def extremes(
    images: Sequence,
    truths: Sequence,
    predictions: Sequence,
    scores: Sequence[float],
    classes: Sequence[str],
) -> Figure:
    """Draw a column for each picture, in the order given: the picture, truth, prediction.

    scores: each picture's own mean IoU, in [0, 1]: its title.
    """
    figure, axes = picture_grid(3, len(images), images, higher=-0.4)
    listed = []
    columns = zip(axes.T, images, truths, predictions, scores, strict=True)
    for (top, middle, bottom), image, truth, prediction, score in columns:
        show(top, rgb(image), f"mIoU {score:.0%}")
        label_map(middle, image, truth, classes)
        label_map(bottom, image, prediction, classes)
        labels = f"truth {in_words(truth, classes)}; predicted {in_words(prediction, classes)}"
        listed.append(f"mIoU {score:.0%}: {labels}.")
    for ax, name in zip(axes[:, 0], ("image", "truth", "prediction"), strict=True):
        placed = {"rotation": 90, "ha": "right", "va": "center", "transform": ax.transAxes}
        ax.text(-0.06, 0.5, name, **placed)
    explain_ignored(figure, *truths, *predictions)
    words = "Columns of picture, truth and prediction, in share of the pixels."
    figure.alt = f"{words} {' '.join(listed)}"
    return figure
