"""aelib.pipeline.settings: every setting's limits, and messages that help."""

import json
import math
import re
from dataclasses import FrozenInstanceError, fields

import pytest

from aelib.pipeline.profiles import PROFILES, RECIPE
from aelib.pipeline.settings import Settings, checked, describe, make

FIELDS = [f for f in fields(Settings) if f.name != "profile"]
NUMBERS = [f for f in FIELDS if f.type in (int, float)]
FLOATS = [f for f in FIELDS if f.type is float]
FREE = {  # texts of no fixed choice
    *("data_root", "train_list", "val_list", "classes"),
    *("weights", "saliency_maps", "test_scales"),
}
TEXTS = [f for f in FIELDS if f.type is str and f.name not in FREE]


def name_of(field):
    return field.name


def refused(match: str, profile: str = "classroom", **overrides) -> str:
    with pytest.raises(ValueError, match=match) as error:
        make(profile, **overrides)
    return str(error.value)


def test_every_setting_is_a_number_with_a_range_or_a_choice_or_one_of_the_few_free_texts():
    assert {f.name for f in NUMBERS} | {f.name for f in TEXTS} | FREE == {f.name for f in FIELDS}
    for field in FIELDS:
        low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
        assert field.metadata["meaning"]
        if field in NUMBERS:
            assert low < high and not choices
        elif field in TEXTS:
            assert choices and low is high is None
        else:
            assert field.type is str and not choices


def test_defaults_are_allowed():
    for field in FIELDS:
        assert checked(field.name, field.default) == field.default
        assert type(field.default) is field.type


@pytest.mark.parametrize("field", NUMBERS, ids=name_of)
def test_range_includes_its_ends_and_nothing_beyond(field):
    low, high = field.type(field.metadata["low"]), field.type(field.metadata["high"])
    assert checked(field.name, low) == low and checked(field.name, high) == high
    if field.type is int:
        beyond = (low - 1, high + 1)
    else:
        beyond = (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
    for value in beyond:
        with pytest.raises(ValueError, match=f"^{field.name}: .*outside"):
            checked(field.name, value)


@pytest.mark.parametrize("field", FLOATS, ids=name_of)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_are_no_numbers_are_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field.name}: {value} is outside"):
        checked(field.name, value)


WRONG = {
    int: [1.0, "1", True, [1]],
    float: ["0.5", False, {}],
    str: [1, True, 0.5, ["small"]],
}


@pytest.mark.parametrize("field", FIELDS, ids=name_of)
def test_other_types_are_refused_by_name(field):
    for value in WRONG[field.type]:
        types = f"{type(value).__name__}.*{field.type.__name__}"
        with pytest.raises(ValueError, match=f"^{field.name}: .*{types}"):
            checked(field.name, value)


@pytest.mark.parametrize("field", FLOATS, ids=name_of)
def test_an_int_will_do_for_a_float_and_becomes_one(field):
    whole = 1 if field.metadata["low"] <= 1 <= field.metadata["high"] else 0
    if field.metadata["low"] <= whole <= field.metadata["high"]:
        assert type(checked(field.name, whole)) is float
    else:
        with pytest.raises(ValueError, match="outside"):
            checked(field.name, whole)


@pytest.mark.parametrize("field", TEXTS, ids=name_of)
def test_choices(field):
    for choice in field.metadata["choices"]:
        assert checked(field.name, choice) == choice
        hint = f"did you mean '{re.escape(choice)}'.*choose one of"
        with pytest.raises(ValueError, match=f"^{field.name}: .*{hint}"):
            checked(field.name, choice + "x")
    with pytest.raises(ValueError, match=f"^{field.name}: ''"):
        checked(field.name, "")


NEAR = {
    "erase_step": "erase_steps",
    "learning_rates": "learning_rate",
    "network_epoch": "network_epochs",
    "Delta": "delta",
}


@pytest.mark.parametrize(("wrong", "right"), NEAR.items())
def test_an_unknown_name_suggests_the_nearest(wrong, right):
    refused(f"{wrong}: there is no such setting .*'{right}'", **{wrong: 1})


def test_an_unknown_name_far_from_all_suggests_nothing():
    assert "did you mean" not in refused("zzzz: there is no such setting", zzzz=1)


def test_all_problems_come_in_one_message():
    numbers = {"network_epochs": 0, "learning_rate": "fast", "deltta": 0.5}
    message = refused("settings: ", "smok", **numbers, backbone="resnet")
    for part in ("'smok'", "network_epochs: 0", "learning_rate: 'fast'", "deltta"):
        assert part in message
    assert "backbone: 'resnet'" in message


def test_none_leaves_the_profiles_value():
    assert make("smoke", network_epochs=None, seed=None) == make("smoke")
    refused("no such setting", nonsense=None)


CONTRADICTIONS = [
    ({"scale_low": 1.5}, "scale_low: 1.5 is more than scale_high, 1.0"),
    ({"dataset": "folder"}, "crop: 0 takes pictures of one size, and dataset 'folder' has photo"),
    ({"dataset": "voc"}, "crop: 0 .*dataset 'voc'"),
    ({"weights": "torchvision"}, "weights, frozen: the small backbone"),
    ({"frozen": 3}, "frozen: 3 layers of random weights would never learn"),
    ({"backbone": "vgg16", "frozen": 10}, "frozen: 10 layers of random weights"),
    (
        {"backbone": "vgg16", "fc_weights": "vgg"},
        "fc_weights: 'vgg' needs the backbone vgg16 and its weights",
    ),
    (
        {"backbone": "mobilenet_v2", "weights": "torchvision", "fc_weights": "vgg"},
        "fc_weights: 'vgg' needs",
    ),
    ({"loaders": 2}, r"loaders: whole pictures \(crop: 0\)"),
]


@pytest.mark.parametrize(("values", "message"), CONTRADICTIONS)
def test_values_that_contradict_each_other_are_refused_by_name(values, message):
    refused(message, **values)


def test_all_contradictions_come_in_one_message_and_each_cure_works():
    wrong = {"dataset": "voc", "scale_low": 2.0, "frozen": 1, "fc_weights": "vgg"}
    message = refused("settings: ", **wrong, test_scales="", deltta=1)
    for name in ("crop", "scale_low", "frozen", "fc_weights", "test_scales", "deltta"):
        assert f"{name}: " in message
    cure = {"crop": 33, "scale_high": 2.0, "backbone": "vgg16", "weights": "a.safetensors"}
    assert make("smoke", **wrong, **cure, loaders=2, test_scales="0.5, 1").scales == (0.5, 1.0)


NO_SCALES = ["", "1,", "0.75;1", "0", "-1", "1,nan", "inf", "11", "0.05", "1_0", "one"]


@pytest.mark.parametrize("text", NO_SCALES)
def test_test_scales_that_are_none_are_refused(text):
    refused("test_scales: .*such as 0.75,1,1.25", test_scales=text)


def test_class_names():
    assert make("smoke").class_names == make("smoke", classes=" , ").class_names == ()
    assert make("smoke", classes="cat, my dog,sheep").class_names == ("cat", "my dog", "sheep")


def test_object_steps_beyond_erase_steps_are_refused():
    refused("object_steps: 5 is more than erase_steps, 4", object_steps=5, erase_steps=4)
    refused("object_steps", erase_steps=make("classroom").object_steps - 1)
    assert make("classroom", object_steps=4, erase_steps=4).object_steps == 4


def test_settings_survive_json_and_cannot_be_changed():
    settings = make("smoke", delta=0.1 + 0.2, learning_rate=1e-3)
    stored = json.loads(json.dumps(settings.to_json()))
    assert make(stored.pop("profile"), **stored) == settings
    with pytest.raises(FrozenInstanceError):
        settings.network_epochs = 5


@pytest.mark.parametrize("profile", PROFILES)
def test_describe_has_a_line_for_each_setting_with_the_profiles_value(profile):
    lines, settings = describe(profile).splitlines(), make(profile)
    assert [line.split()[0] for line in lines] == [f.name for f in FIELDS]
    for line, field in zip(lines, FIELDS, strict=True):
        value = getattr(settings, field.name)
        assert value == "" or line.split()[2] == str(value)
        assert line.endswith(field.metadata["meaning"])
        assert all(choice in line for choice in field.metadata["choices"])
        marks = [mark for mark in ("[sure]", "[likely]", "[ours]") if mark in line]
        mark = RECIPE[field.name][1] if field.name in RECIPE else "ours"
        assert marks == ([f"[{mark}]"] if profile == "voc" else [])


def test_describe_of_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'voc_light' is unknown.*'voc_lite'"):
        describe("voc_light")
