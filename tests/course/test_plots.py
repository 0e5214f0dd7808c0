"""Every figure draws what it is given, changes none of it, and is left to the caller alone."""

import io
from base64 import b64decode
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from matplotlib.figure import Figure
from matplotlib.text import Text

from aelib.course import plots
from aelib.course.plots import style
from aelib.datasets.creatures import CLASSES, PARTS, creature

METHODS = ["CAM", "AE-step3", "AE+PSL"]
PAPER = {"AE-step1": 44.9, "AE-step3": 50.9, "AE+PSL": 54.1}
ROWS = [
    {
        "method": method,
        "crf": crf,
        "miou": miou,
        "per_class": {"background": 0.9, "hare": 0.2 + miou, "stag": None},
    }
    for method, crf, miou in [
        ("AE+PSL", True, 0.62),
        ("CAM", False, 0.3),
        ("AE+PSL", False, 0.6),
        ("AE-step3", False, 0.4),
    ]
]


#: A study of two cells and their coverage, of three seeds.
LINES = [
    {
        "cell": cell,
        "measure": "mIoU",
        "crf": crf,
        "prohibited": True,
        "n": 3,
        "mean": 0.6 + crf / 10,
        "std": 0.01,
        "against": against,
        "difference": 0.02 if against else None,
        "low": -0.01 if against else None,
        "high": 0.05 if against else None,
    }
    for crf in (False, True)
    for cell, against in (("AE, x", None), ("PSL, x", "AE, x"))
]
LINES.append(
    {"cell": "coverage, x", "measure": "coverage", "mean": 0.4}
    | dict.fromkeys(("crf", "prohibited", "difference"))
)


@pytest.fixture(scope="module")
def world() -> dict:
    """A picture with two classes, its maps, and an S with ignored pixels."""
    first = next(
        c
        for c in (creature(0, "train", i) for i in range(50))
        if c.labels.sum() == 2 and not c.mask[:8].any()
    )
    S = np.where(first.parts == 3, 255, first.mask).astype(np.uint8)
    head, body = first.parts == 1, first.parts == 2
    return {
        "image": first.image,
        "mask": first.mask,
        "parts": first.parts,
        "S": S,
        "head": head,
        "body": body,
        "saliency": (first.mask > 0).astype(np.float32),
        "maps": np.stack([head * 1.0, body * 0.5]),
        "v": np.linspace(0.1, 0.9, 6),
        "names": [CLASSES[c] for c in np.flatnonzero(first.labels)],
    }


def every_figure(w: dict) -> dict[str, Figure]:
    return {
        "gallery": plots.gallery([w["image"]] * 3, ["a", "b", "c"], columns=2),
        "sample": plots.sample(
            w["image"], ", ".join(w["names"]), w["mask"], w["parts"], CLASSES, PARTS
        ),
        "numbers": plots.numbers(
            {"CAM": np.array([[0.5, 2.0]]), "S": np.array([[1, 255]])}, labels={"S"}
        ),
        "heat": plots.heat(w["image"], w["maps"], w["names"], delta=0.2),
        "steps": plots.steps(w["image"], [w["image"]] * 2, [w["head"], w["body"]]),
        "parts_by_step": plots.parts_by_step(
            np.array([[0.5, 0.1], [0.5, 0.6]]), ["head", "body"], np.array([100, 200])
        ),
        "stop_signal": plots.stop_signal([0.9, 0.1], 0.2, [[0.7, 0.5], [0.7, 0.6]]),
        "pseudo_mask": plots.pseudo_mask(
            w["image"], w["saliency"], w["head"], w["S"], CLASSES, 0.06
        ),
        "masks": plots.masks(w["image"], {"truth": w["mask"], "S": w["S"]}, CLASSES),
        "prohibition": plots.prohibition(w["image"], w["mask"], w["mask"], w["S"], w["v"], CLASSES),
        "curves": plots.curves({"S only": [0.5, 0.4], "S and S-hat": [0.9, 0.6, 0.5]}),
        "differences": plots.differences(LINES),
        "gain_by_coverage": plots.gain_by_coverage(LINES),
        "ladder": plots.ladder(ROWS, PAPER, "creatures"),
        "per_class": plots.per_class(ROWS, ["CAM", "AE+PSL, CRF"]),
        "confusion_chart": plots.confusion_chart(
            np.array([[90, 10], [0, 0]]), ["background", "hare"]
        ),
        "superpixels": plots.superpixels(
            w["image"], np.arange(96 * 96).reshape(96, 96) // 1152, {"w": np.linspace(0, 1, 8)}
        ),
        "sweep": plots.sweep(
            {"delta": ([0.1, 0.5], {"precision": [0.4, 0.6], "recall": [0.5, np.nan]})},
            {"delta": 0.2},
        ),
        "answers": plots.answers([w["image"]] * 2, [w["mask"], w["S"]], CLASSES),
        "extremes": plots.extremes(
            [w["image"]] * 2, [w["mask"]] * 2, [w["mask"], w["S"]], [0.91, 0.07], CLASSES
        ),
    }


@pytest.fixture(scope="module")
def figures(world) -> dict[str, Figure]:
    return every_figure(world)


def titles(figure: Figure) -> list[str]:
    return [" ".join(ax.get_title().split()) for ax in figure.axes]


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def apart(boxes) -> bool:
    return not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def hatched(ax) -> bool:
    return any(hatch for drawn in ax.collections for hatch in getattr(drawn, "hatches", None) or [])


def test_figures_are_closed_and_inputs_and_style_untouched(world):
    before = {key: np.copy(value) for key, value in world.items()}
    open_figures, parameters = plt.get_fignums(), dict(plt.rcParams)
    for value in world.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    drawn = every_figure(world)
    studies = {"differences", "gain_by_coverage"}  # drawn in test_studies_page
    public = {name for name, thing in vars(plots).items() if hasattr(thing, "__wrapped__")}
    assert public == set(drawn) | studies
    assert all(isinstance(figure, Figure) for figure in drawn.values())
    assert plt.get_fignums() == open_figures
    assert dict(plt.rcParams) == parameters
    for key, value in before.items():
        np.testing.assert_array_equal(world[key], value)


@pytest.mark.parametrize("name", ["masks", "ladder", "numbers"])
def test_a_figure_can_be_saved_on_white_and_fits_a_page(figures, name):
    figure = figures[name]
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    picture.seek(0)
    pixels = plt.imread(picture)
    assert pixels.shape[1] <= 1000
    np.testing.assert_array_equal(pixels[0, 0], 1)  # white and opaque, on a dark page too
    boxes = [ax.title.get_window_extent() for ax in figure.axes]
    assert all(
        box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        for box in boxes
    )
    assert apart(boxes)


def test_jupyter_gets_one_picture_that_says_what_it_shows(figures, monkeypatch):
    """As HTML: JupyterLab draws a bare PNG without its alt text."""
    shown = []
    monkeypatch.setattr(style, "display", lambda data, raw: shown.append((data, raw)))
    shell = InteractiveShell.instance()
    select_figure_formats(shell, {"png"})  # as Jupyter's kernel does
    for name, figure in figures.items():
        assert shell.display_formatter.format(figure) == ({}, {}), name
        data, raw = shown.pop()
        assert raw and set(data) == {"text/html", "text/plain"} and not shown, name
        (image,) = Images(data["text/html"]).found
        assert image["alt"] == figure.alt == data["text/plain"], name
        kind, content = image["src"].split(",")
        assert kind == "data:image/png;base64" and b64decode(content).startswith(b"\x89PNG")
        assert 15 < len(figure.alt) < 1000 and figure.alt.endswith("."), name


class Images(HTMLParser):
    """The attributes of every img in a text."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def test_the_words_hold_the_numbers_that_are_drawn(figures, world):
    alt = {name: figure.alt for name, figure in figures.items()}
    for name in ("masks", "pseudo_mask", "prohibition"):
        assert f"ignored {(world['S'] == 255).mean():.0%}" in alt[name]
    for name in world["names"]:
        assert f"{name} {(world['mask'] == CLASSES.index(name) + 1).mean():.0%}" in alt["sample"]
    assert "AE+PSL: 60.0 without CRF, 62.0 with CRF, the paper 54.1" in alt["ladder"]
    assert "AE-step1: the paper 44.9" in alt["ladder"] and "CAM: 30.0 without CRF;" in alt["ladder"]
    assert "AE+PSL, CRF: background 90, hare 82, stag none" in alt["per_class"]
    assert "step 1 0.90 kept, step 2 0.10 dropped" in alt["stop_signal"]
    assert "background taken for hare, 10%" in alt["confusion_chart"]
    assert "S only 0.50 to 0.40 in 2 epochs" in alt["curves"]
    assert "precision 40 at 0.1, 60 at 0.5, recall 50 at 0.1, none at 0.5" in alt["sweep"]
    assert alt["numbers"] == "Grids of numbers, row by row. CAM: 0.50 2.00. S: 1 ?."


def test_gallery(figures, world):
    axes = figures["gallery"].axes
    assert titles(figures["gallery"])[:3] == ["a", "b", "c"]
    assert [len(ax.images) for ax in axes] == [1, 1, 1, 0]  # two rows of two
    np.testing.assert_allclose(axes[2].images[0].get_array(), world["image"] / 255)
    assert axes[0].images[0].get_interpolation() == "nearest"


def test_images_and_masks_may_be_laid_out_as_torch_has_them(world):
    class Tensor:  # what a torch tensor is to numpy, without the seconds that its import takes
        def __init__(self, values):
            self.values = values

        def __array__(self, dtype=None, copy=None):
            return np.array(self.values, dtype)

    image = Tensor(world["image"].transpose(2, 0, 1).astype(np.float32) / 255)
    figure = plots.masks(image, {"truth": Tensor(world["mask"].astype(np.int64))}, CLASSES)
    np.testing.assert_allclose(
        figure.axes[0].images[0].get_array(), world["image"] / 255, atol=1e-6
    )
    assert sorted(words(figure.axes[1])) == sorted(world["names"])


def test_sample_names_classes_and_parts(figures, world):
    image, mask, parts = figures["sample"].axes
    assert titles(figures["sample"])[0] == "image-level labels: " + ", ".join(world["names"])
    assert sorted(words(mask)) == sorted(world["names"])
    assert set(words(parts)) == {PARTS[p] for p in np.unique(world["parts"]) if p}
    assert [text.get_text() for text in figures["sample"].legends[0].get_texts()] == list(PARTS[1:])
    assert not image.texts


def test_label_map_colours_the_classes_and_leaves_the_background_grey(figures, world):
    shown = figures["masks"].axes[1].images[0].get_array()
    grey = np.ptp(shown, axis=2) < 1e-9
    np.testing.assert_array_equal(grey, world["mask"] == 0)
    assert len(figures["masks"].axes[1].collections) == 2  # an outline a class


def test_names_stand_inside_the_picture_and_apart():
    labels = np.zeros((40, 40), np.uint8)
    labels[:3, :3], labels[3:6, :3], labels[38:, 38:] = 1, 2, 3
    figure = plots.masks(np.zeros((40, 40, 3)), {"corners": labels}, CLASSES)
    ax = figure.axes[1]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert apart(boxes)
    assert all(
        ax.bbox.x0 <= box.x0
        and box.x1 <= ax.bbox.x1
        and ax.bbox.y0 <= box.y0
        and box.y1 <= ax.bbox.y1
        for box in boxes
    )


def test_only_ignored_pixels_are_hatched_and_explained(figures, world):
    assert [hatched(ax) for ax in figures["masks"].axes] == [False, False, True]
    assert [hatched(ax) for ax in figures["pseudo_mask"].axes] == [False, False, False, True]
    assert [text.get_text() for text in figures["masks"].legends[0].get_texts()] == [
        "ignored (255)"
    ]
    plain = plots.masks(world["image"], {"truth": world["mask"]}, CLASSES)
    assert not plain.legends and not any(map(hatched, plain.axes))
    nothing = plots.masks(
        world["image"], {"all ignored": np.full((96, 96), 255, np.uint8)}, CLASSES
    )
    assert hatched(nothing.axes[1]) and not nothing.axes[1].texts


def test_twenty_classes_have_colours_of_their_own():
    assert len({tuple(style.colour(i).round(3)) for i in range(21)}) == 21


def test_numbers_stand_in_their_cells():
    region = np.array([[False, True], [False, True], [False, False]])
    grids = {
        "pixels": np.array([[0, 7], [255, 8], [9, 10]], np.uint8),
        "loss": np.array([[0.126, np.nan]]),
        "region": region,
        "S": region * 254 + 1,
    }
    axes = plots.numbers(grids, labels={"S"}, outline={"pixels": region}, columns=3).axes
    assert words(axes[0]) == ["0", "7", "255", "8", "9", "10"] and not any(
        cell.get_hatch() for cell in axes[0].patches
    )
    assert words(axes[1]) == ["0.13", ""]
    assert words(axes[2]) == ["0", "1", "0", "1", "0", "0"]
    assert words(axes[3]) == ["1", "?", "1", "?", "1", "1"]
    assert [bool(cell.get_hatch()) for cell in axes[3].patches] == [
        word == "?" for word in words(axes[3])
    ]
    for ax in axes[:4]:
        for cell, text in zip(ax.patches, ax.texts, strict=True):
            assert text.get_position() == (cell.get_x() + 0.5, cell.get_y() + 0.5)
            assert (
                text.get_size() >= 9 and luminance(cell.get_facecolor()[:3]) > 0.18
            )  # contrast with black over 4.5
    sides = {
        tuple(map(tuple, segment))
        for lines in axes[0].collections
        for segment in lines.get_segments()
    }
    around = {
        ((1, 0), (2, 0)),
        ((1, 2), (2, 2)),
        ((1, 0), (1, 1)),
        ((1, 1), (1, 2)),
        ((2, 0), (2, 1)),
        ((2, 1), (2, 2)),
    }
    assert sides == around  # of the two cells together, not of each
    assert not any(len(lines.get_segments()) for ax in axes[1:4] for lines in ax.collections)


def luminance(rgb) -> float:
    """WCAG 2's relative luminance L.

    The contrast with black is (L + 0.05) / 0.05, with white 1.05 / (L + 0.05).
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_numbers_fit_their_cells_and_the_page():
    grids = {f"grid {i}": np.full((4, 4), -12.345) for i in range(7)}
    figure = plots.numbers(grids)
    figure.draw_without_rendering()
    assert figure.get_figwidth() <= style.WIDTH
    columns = len({round(ax.get_position().x0, 3) for ax in figure.axes})
    assert 1 < columns <= 5 and len(figure.axes) >= 7
    for ax in figure.axes[:7]:
        for cell, text in zip(ax.patches, ax.texts, strict=True):
            box, word = cell.get_window_extent(), text.get_window_extent()
            assert (
                box.x0 <= word.x0 and word.x1 <= box.x1 and box.y0 <= word.y0 and word.y1 <= box.y1
            )


def test_numbers_refuse_what_they_cannot_draw():
    grid = {"a": np.zeros((2, 2))}
    for wrong in (
        {"labels": {"b"}},
        {"outline": {"b": np.ones((2, 2))}},
        {"outline": {"a": np.ones((2, 3))}},
    ):
        with pytest.raises(ValueError, match="numbers: "):
            plots.numbers(grid, **wrong)
    with pytest.raises(ValueError, match=r"\(h, w\)"):
        plots.numbers({"a": np.zeros(3)})


def test_heat_draws_the_maps_and_the_threshold(figures, world):
    figure = figures["heat"]
    assert titles(figure)[:3] == ["image", *world["names"]]
    for ax, values in zip(figure.axes[1:3], world["maps"], strict=True):
        np.testing.assert_array_equal(ax.images[-1].get_array(), values)
        assert ax.images[-1].get_clim() == (0, 1)
        assert ax.collections[0].levels == [pytest.approx(0.2 * values.max())]
    assert figure.axes[3].get_ylabel().endswith("line: 0.2")
    assert not plots.heat(world["image"], world["maps"], world["names"]).axes[1].collections


def test_steps_count_what_is_new_and_accumulate(world):
    regions = [world["head"], world["head"] | world["body"], world["body"]]
    figure = plots.steps(
        world["image"], [world["image"], np.zeros_like(world["image"]), world["image"]], regions
    )
    assert titles(figure)[:3] == ["step 1 saw", "step 2 saw", "step 3 saw"]
    assert not figure.axes[1].images[0].get_array().any()
    share = [world["head"].mean(), world["body"].mean(), 0]
    assert titles(figure)[3:] == [f"step {t + 1} adds {share[t]:.1%} of pixels" for t in range(3)]
    assert [sorted(words(ax)) for ax in figure.axes[3:]] == [["1"], ["1", "2"], ["1", "2"]]


def test_a_pseudo_mask_comes_with_its_saliency(figures, world):
    saliency = figures["pseudo_mask"].axes[1]
    np.testing.assert_array_equal(saliency.images[0].get_array(), world["saliency"])
    assert saliency.collections[0].levels == [0.06]
    assert words(figures["pseudo_mask"].axes[2]) == ["mined"]


def test_prohibition_bars_are_v(figures, world):
    bars = figures["prohibition"].axes[4]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], world["v"])
    assert [tick.get_text() for tick in bars.get_yticklabels()] == list(CLASSES)
    many = plots.prohibition(
        world["image"], world["mask"], world["mask"], world["S"], world["v"], CLASSES, most=2
    ).axes[4]
    assert [tick.get_text() for tick in many.get_yticklabels()] == list(CLASSES[-2:])


def test_parts_by_step_lines_and_shares(figures):
    left, right = figures["parts_by_step"].axes
    np.testing.assert_allclose([line.get_ydata() for line in left.lines], [[50, 50], [10, 60]])
    heights = np.array([[bar.get_height() for bar in bars] for bars in right.containers])
    np.testing.assert_allclose(
        heights, [[100 * 50 / 70, 0], [100 * 20 / 70, 100]]
    )  # parts x steps, in pixels added
    assert {"head\n71%", "body\n29%", "body\n100%"} <= set(words(right))
    assert sorted(words(left)) == ["body", "head"]


def test_parts_by_step_without_gain_and_with_loss():
    idle = plots.parts_by_step([[0.5], [0.5]], ["head"], [10])
    assert "nothing" in words(idle.axes[1])
    with pytest.raises(ValueError, match="falls"):
        plots.parts_by_step([[0.5], [0.4]], ["head"], [10])


@pytest.mark.parametrize(
    ("evidences", "verdicts"),
    [
        ([0.9, 0.1, 0.8], ["kept", "dropped", "dropped"]),
        ([0.1, 0.1], ["kept", "dropped"]),
        ([0.9, 0.2], ["kept", "kept"]),
    ],
)
def test_stop_signal_marks_the_steps_kept(evidences, verdicts):
    left, right = plots.stop_signal(evidences, 0.2, [[0.7, 0.3], [0.6]]).axes
    assert words(left) == [
        "threshold 0.2",
        *(f"{value:.2f}\n{verdict}" for value, verdict in zip(evidences, verdicts, strict=True)),
    ]
    threshold, line = left.lines
    assert set(threshold.get_ydata()) == {0.2}
    np.testing.assert_allclose(line.get_ydata(), evidences)
    assert [len(dots.get_offsets()) for dots in left.collections] == [
        verdicts.count("kept"),
        verdicts.count("dropped"),
    ]
    assert sorted(words(right)) == ["step 1", "step 2"]


def test_curves_are_labelled_apart():
    losses = {"one": [0.9, 0.5], "two": [0.9, 0.5001], "three": [0.9, 0.5, 0.5]}
    ax = plots.curves(losses, "a title").axes[0]
    assert ax.get_title() == "a title"
    for line, values in zip(ax.lines, losses.values(), strict=True):
        np.testing.assert_array_equal(
            line.get_xydata(), np.column_stack([range(1, len(values) + 1), values])
        )
    assert sorted(words(ax)) == sorted(losses)
    ax.figure.draw_without_rendering()
    assert apart(
        [Text.get_window_extent(text) for text in ax.texts]
    )  # without the lines that lead to them


def test_ladder_orders_the_rungs_and_keeps_the_paper_apart(figures):
    left, right = figures["ladder"].axes
    rungs = ["CAM", "AE-step1", "AE-step3", "AE+PSL"]
    assert [tick.get_text() for tick in left.get_yticklabels()] == rungs
    without, crf = left.collections
    np.testing.assert_allclose(
        sorted(map(tuple, without.get_offsets())), [(30, 0), (40, 2), (60, 3)]
    )
    np.testing.assert_allclose(crf.get_offsets(), [(62, 3)])
    np.testing.assert_allclose(left.lines[3].get_xdata(), [60, 62])
    np.testing.assert_allclose(
        np.concatenate([dot.get_offsets() for dot in right.collections]),
        [(44.9, 1), (50.9, 2), (54.1, 3)],
    )
    own, other = titles(figures["ladder"])
    assert (
        own == "creatures" and "PASCAL VOC 2012 val, 20 classes - not comparable in value" in other
    )
    with pytest.raises(ValueError, match="twice"):
        plots.ladder([ROWS[0], ROWS[0]], PAPER)
    assert plots.ladder([], PAPER).axes[1].collections  # before the first run: the paper alone


def test_per_class_bars(figures):
    ax = figures["per_class"].axes[0]
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    np.testing.assert_allclose(heights, [[90, 50, 0], [90, 82, 0]])
    assert words(ax) == ["90", "50", "none", "90", "82", "none"]
    assert [text.get_text() for text in figures["per_class"].legends[0].get_texts()] == [
        "CAM",
        "AE+PSL, CRF",
    ]
    with pytest.raises(ValueError, match="AE-step9"):
        plots.per_class(ROWS, ["AE-step9"])


def test_confusion_chart_is_normalised_by_row(figures):
    ax = figures["confusion_chart"].axes[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), [[90, 10], [0, 0]])
    assert words(ax) == ["90", "10", "", ""]  # no number for a class that never was
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")


def test_extremes_keep_their_order(figures, world):
    axes = np.reshape(figures["extremes"].axes, (3, 2))
    assert [ax.get_title() for ax in axes[0]] == ["mIoU 91%", "mIoU 7%"]
    assert sorted(words(axes[1, 1])) == sorted(world["names"])
    assert hatched(axes[2, 1]) and not hatched(axes[2, 0])


def test_a_study_has_its_differences_in_points_with_their_intervals(figures):
    figure = figures["differences"]
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["AE, x", "PSL, x"]
    dots = [x for drawn in right.collections for x in drawn.get_offsets()[:, 0]]
    assert dots == pytest.approx([2, 2])
    bars = [line.get_xdata() for line in right.lines if len({*line.get_xdata()}) == 2]
    assert [[*bar] for bar in bars] == [pytest.approx([-1, 5])] * 2
    assert "PSL, x with CRF 70.0, +2.0 (-1.0 to +5.0)" in figure.alt
    assert "PSL, x, with CRF: 40 %, +2.0" in figures["gain_by_coverage"].alt
    assert "no numbers yet" in plots.differences([]).alt
    assert "no numbers yet" in plots.gain_by_coverage([]).alt
