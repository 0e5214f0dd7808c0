"""Sliders over photographs, the reader's own among them."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np

from ...crf import CRF, refine_present
from ...datasets.photos import read_photo
from ...masks import as_prediction, merge
from ...pipeline import stages
from ...pipeline.run import Run
from ...saliency import robust_background
from ..follow import at_test, background_threshold, labels_of, mined
from ..photographs import networks
from .crf import parameter
from .skin import Shown, bars, legend, live_only, paint, skin, slider


@live_only
def photographs(run: Run, images: Mapping[str, np.ndarray]) -> ipywidgets.Widget | None:
    """Move delta and the CRF's parameters on photographs, also on one of your own, and see all
    stages.

    Args:
        run: with the networks, as `follow.follow` asks for.
        images: name -> (H, W, 3) uint8.
    """
    s, shown = run.settings, dict(images)
    controls = {
        "picture": ipywidgets.Dropdown(options=list(shown), description="picture (name)"),
        "delta": slider("delta (fraction, 0 to 1)", s.delta, 0.05, 0.95, continuous=False),
    }
    for field in fields(CRF):
        controls[field.name] = parameter(field.name, getattr(stages.crf_of(s), field.name))
    below = skin(shower(run, shown), controls, legend(stages.classes_of(run)))

    def take(name: str, image: np.ndarray) -> None:
        shown[name] = image
        controls["picture"].options = list(shown)
        controls["picture"].value = name

    return ipywidgets.VBox([_upload(take, s.longest_side), below])


def shower(run: Run, shown: Mapping[str, np.ndarray]) -> Callable[..., Shown]:
    """Returns show(picture, delta, **CRF's parameters); what a slider cannot change is kept."""
    s, name = run.settings, networks(run.settings)[-1]
    classes, threshold = stages.classes_of(run), background_threshold(run)

    @cache
    def seen(picture: str) -> tuple[Any, ...]:
        image = shown[picture]
        v = stages.confidences(run, [image])
        return v, *at_test(run, image, name, v), robust_background(image, s.superpixels)

    @cache
    def found(picture: str, delta: float) -> np.ndarray:
        labels = labels_of(seen(picture)[0][0])
        return list(mined(run, shown[picture], labels, delta))[s.object_steps - 1].found

    def show(picture: str, delta: float, **values: float) -> Shown:
        image, (v, f, allowed, saliency) = shown[picture], seen(picture)
        regions = found(picture, delta)
        refined = refine_present(image, f, allowed, CRF(**values), s.crf_engine)
        maps = {
            f"mined by {s.object_steps} steps": as_prediction(regions),
            "S (hatched: ignored)": merge(regions, saliency, threshold),
            name: (f * allowed[:, None, None]).argmax(axis=0).astype(np.uint8),
            "with CRF": refined.argmax(axis=0).astype(np.uint8),
        }
        panels = {picture: image} | {title: paint(image, m) for title, m in maps.items()}
        rows = {c: (float(share), "") for c, share in zip(classes, v[0], strict=True)}
        return panels, bars("v: how sure the classifier of step 1 is of each class", rows)

    return show


def _upload(take: Callable[[str, np.ndarray], None], longest: int) -> ipywidgets.Widget:
    """Returns a button that reads a photograph for take(name, image), or says what is wrong."""
    words = "your photograph"
    wide = {"width": "max-content"}
    button = ipywidgets.FileUpload(accept="image/*", multiple=False, description=words, layout=wide)
    said = ipywidgets.HTML("JPEG, PNG or WebP; it stays on the machine that runs this notebook.")

    def chosen(change: Any) -> None:
        for file in change.new:
            try:
                image = uploaded(bytes(file["content"]), longest)
            except ValueError as error:
                said.value = escape(f"{file['name']}: {error}")
            else:
                said.value = ""
                take(file["name"], image)

    button.observe(chosen, "value")
    return ipywidgets.HBox([button, said])


def uploaded(content: bytes, longest: int) -> np.ndarray:
    """Returns the photograph in these bytes, (H, W, 3) uint8. Raises ValueError: it is none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photograph"
        file.write_bytes(content)
        try:
            return read_photo(file, longest)
        except ValueError as error:
            raise ValueError(str(error).replace(f"{folder}/", "")) from error
