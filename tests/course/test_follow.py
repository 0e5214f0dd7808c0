"""A new picture through all stages, against what the stages make of training and val pictures."""

from copy import copy
from dataclasses import replace
from datetime import datetime
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import PHOTOS, TINY, make_everything, make_folder

from aelib.course import follow, kept, lesson
from aelib.course.widgets import photographs as widget
from aelib.course.widgets import skin
from aelib.course.widgets.photographs import shower, uploaded
from aelib.datasets.photos import read_photo
from aelib.pipeline import stages
from aelib.pipeline.run import Run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A finished run on a dozen photographs."""
    folder = tmp_path_factory.mktemp("photos")
    make_folder(folder / "photos")
    more = {"dataset": "folder", "data_root": str(folder / "photos")}
    run = Run(folder / "run", "smoke", **TINY | PHOTOS | more)
    make_everything(run)
    return run


@pytest.mark.parametrize("kind", ["creatures", "photos"])
def test_a_training_picture_is_mined_as_the_stages_mined_it(kind, photos, tiny_runs):
    run = photos if kind == "photos" else tiny_runs[0]
    train = stages.pictures(run, "train")
    for i in (0, 5):
        labels = torch.from_numpy(train.labels[i])
        steps = list(follow.mined(run, train.images[i], labels, run.settings.delta))
        assert len(steps) == 2
        for k, step in enumerate(steps, start=1):
            alone = stages.regions(run, k, first=k)[i]
            np.testing.assert_array_equal(step.region, alone.any(axis=0))
            np.testing.assert_array_equal(step.found, stages.regions(run, k)[i])
        np.testing.assert_array_equal(steps[0].maps, next(stages.cams(run, [train.images[i]])))


def test_the_answers_are_the_runs(photos):
    image = stages.pictures(photos, "val").images[1]
    one = follow.follow(photos, image)
    q = next(stages.answer(photos, [image], "AE+PSL++"))
    np.testing.assert_array_equal(one.answers["AE+PSL++, CRF"], q.argmax(axis=0))
    assert list(one.answers) == ["AE-step2", "AE+PSL", "AE+PSL++", "AE+PSL++, CRF"]
    f = next(stages.probabilities(photos, stages.network(photos, "AE-step2"), [image]))
    np.testing.assert_array_equal(one.answers["AE-step2"], f.numpy().argmax(axis=0))
    low = one.saliency < photos.settings.background_threshold
    assert (one.S[low & ~one.steps[1].found.any(axis=0)] == 0).all()


def test_a_run_that_weighs_weighs_what_learned_by_psl(photos):
    weighing = copy(photos)
    weighing.settings = replace(photos.settings, prohibition="weigh", prohibit_threshold=1.0)
    image, v = stages.pictures(photos, "val").images[1], torch.tensor([[0.3, 0.9]])
    answers = follow.answers_of(weighing, image, v)
    for name in ("AE-step2", "AE+PSL"):
        f = next(stages.probabilities(photos, stages.network(photos, name), [image])).numpy()
        weights = np.array([1, 0.3, 0.9] if "PSL" in name else [1, 1, 1], np.float32)
        np.testing.assert_array_equal(
            answers[name], (f * weights[:, None, None]).argmax(axis=0), err_msg=name
        )
    q = next(stages.answer(weighing, [image], "AE+PSL++", v))
    np.testing.assert_array_equal(answers["AE+PSL++, CRF"], q.argmax(axis=0))


def test_a_network_is_loaded_once_and_anew_when_it_is_another(photos, monkeypatch):
    loaded = []

    def load(run, which):
        loaded.append(which)
        return object()

    monkeypatch.setattr(stages, "network", load)
    first = kept.network(photos, "AE+PSL")
    assert kept.network(photos, "AE+PSL") is first and loaded == ["AE+PSL"]
    assert kept.network(photos, "AE+PSL++") is not first and len(loaded) == 2
    monkeypatch.setattr(photos, "files", lambda stage: {"weights.safetensors": "another"})
    assert kept.network(photos, "AE+PSL") is not first and len(loaded) == 3


@pytest.mark.parametrize(
    ("v", "labels"),
    [
        ([0.7, 0.5, 0.49], [True, True, False]),
        ([0.1, 0.3, 0.2], [False, True, False]),
        ([0.0, 0.0, 0.0], [True, True, True]),
    ],
)
def test_labels_are_the_sure_classes_or_the_surest(v, labels):
    assert follow.labels_of(torch.tensor(v)).tolist() == labels


def test_a_run_with_learned_saliency_takes_the_profiles_threshold_for_computed(tmp_path):
    more = {"saliency_maps": "maps", "background_threshold": 0.3}
    assert follow.background_threshold(Run(tmp_path / "a", "voc_lite", **more)) == 0.5
    assert (
        follow.background_threshold(Run(tmp_path / "b", "smoke", background_threshold=0.3)) == 0.3
    )


def test_a_run_on_photographs_shows_its_own_and_the_readers_first(photos, tmp_path):
    Image.new("RGB", (900, 30), "red").save(tmp_path / "mine.png")
    networks, shown = follow.pictures(photos, str(tmp_path / "mine.png"))
    val = stages.pictures(photos, "val")
    assert networks is photos and list(shown) == ["mine.png", *val.ids[:3]]
    assert shown["mine.png"].shape == (17, 500, 3)
    np.testing.assert_array_equal(shown[val.ids[2]], val.images[2])
    for file, message in (("gone.png", "is missing"), (".", "cannot be read")):
        with pytest.raises(ValueError, match=message):
            follow.pictures(photos, str(tmp_path / file))


def test_the_failures_of_a_run_are_its_worst_pictures(photos):
    val, truth = stages.pictures(photos, "val"), stages.truth(photos, "val")
    answers = [q.argmax(axis=0) for q in stages.answer(photos, val.images, "AE+PSL++")]
    right = [(a == t)[t != 255].mean() for a, t in zip(answers, truth.masks, strict=True)]
    assert list(follow.failures(photos)) == [val.ids[i] for i in np.argsort(right)[:3]]


def test_the_librarys_pictures_are_installed_and_a_creature_is_beside(
    photos, tiny_runs, monkeypatch
):
    for name in (*follow.SHOWN, *follow.FAILING):
        assert max(read_photo(follow.bundled(name), 500).shape) <= 500
    assert follow.creature(tiny_runs[0])[0] is tiny_runs[0]
    monkeypatch.setattr(lesson, "unpack", lambda: pytest.fail("not for creatures"))
    follow.creature(tiny_runs[1])


# --- the widget -----------------------------------------------------------------------------------


def test_the_widget_shows_what_the_stages_answer(photos):
    image = stages.pictures(photos, "val").images[1]
    show, crf = shower(photos, {"a": image}), vars(stages.crf_of(photos.settings))
    panels, html = show("a", photos.settings.delta, **crf)
    one = follow.follow(photos, image)
    np.testing.assert_array_equal(
        panels["with CRF"], skin.paint(image, one.answers["AE+PSL++, CRF"])
    )
    np.testing.assert_array_equal(panels["S (hatched: ignored)"], skin.paint(image, one.S))
    assert "disc" in html and f"{100 * one.v[0]:.1f} %" in html
    other, _ = show("a", 0.9, **crf)
    assert (other["mined by 2 steps"] != panels["mined by 2 steps"]).any()


def test_an_uploaded_photograph_joins_the_others_and_a_bad_one_is_named(photos, monkeypatch):
    monkeypatch.setattr(skin, "live", lambda: True)
    val = stages.pictures(photos, "val")
    made = widget(photos, dict(zip(val.ids, val.images, strict=True)))
    (button, said), controls = made.children[0].children, made.children[1].children[0]
    picture = controls.children[0]
    content = BytesIO()
    Image.fromarray(val.images[0]).save(content, "PNG")
    file = {"name": "mine.png", "type": "", "size": 1, "last_modified": datetime.now()}
    button.set_trait("value", ({**file, "content": memoryview(content.getvalue())},))
    assert picture.value == "mine.png" and picture.options[-1] == "mine.png"
    bad = {**file, "name": "<b>.txt", "content": memoryview(b"text")}
    button.set_trait("value", (bad,))
    assert "&lt;b&gt;.txt: photograph cannot be read" in said.value
    assert picture.value == "mine.png"


def test_what_is_uploaded_is_read_as_a_file_is(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 4), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    found = uploaded((tmp_path / "a.png").read_bytes(), 50)
    np.testing.assert_array_equal(found, read_photo(tmp_path / "a.png", 50))
    with pytest.raises(ValueError, match=r"^photograph cannot be read") as error:
        uploaded(b"", 50)
    assert "/tmp" not in str(error.value)
