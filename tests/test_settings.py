"""aelib.settings: every setting's limits, and messages that help."""

import json
import math
import re
from dataclasses import FrozenInstanceError, fields

import pytest
import yaml
from papermill.cli import _resolve_type

from aelib import voc
from aelib.settings import PROFILES, RECIPE, Settings, check, describe, make, parse

FIELDS = [f for f in fields(Settings) if f.name != "profile"]
NUMBERS = [f for f in FIELDS if f.type in (int, float)]
INTS, FLOATS = [f for f in FIELDS if f.type is int], [f for f in FIELDS if f.type is float]
FREE = {"data_root", "train_list", "val_list", "classes", "weights", "saliency_maps", "test_scales"}  # texts of no fixed choice
TEXTS = [f for f in FIELDS if f.type is str and f.name not in FREE]


def name_of(field):
    return field.name


def refused(match: str, profile: str = "classroom", **overrides) -> str:
    with pytest.raises(ValueError, match=match) as error:
        make(profile, **overrides)
    return str(error.value)


def test_every_setting_is_a_number_with_a_range_or_a_choice_or_one_of_the_few_free_texts():
    assert {f.name for f in NUMBERS} | {f.name for f in TEXTS} | FREE == {f.name for f in FIELDS}
    assert all(not f.metadata["choices"] and f.type is str for f in FIELDS if f.name in FREE)
    assert all(f.metadata["low"] < f.metadata["high"] and not f.metadata["choices"] for f in NUMBERS)
    assert all(f.metadata["choices"] and f.metadata["low"] is f.metadata["high"] is None for f in TEXTS)
    assert all(f.metadata["meaning"] for f in FIELDS)


def test_defaults_are_allowed():
    for field in FIELDS:
        assert check(field.name, field.default) == field.default
        assert type(field.default) is field.type


@pytest.mark.parametrize("field", NUMBERS, ids=name_of)
def test_range_includes_its_ends_and_nothing_beyond(field):
    low, high = field.type(field.metadata["low"]), field.type(field.metadata["high"])
    assert check(field.name, low) == low and check(field.name, high) == high
    below, above = (low - 1, high + 1) if field.type is int else (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
    for value in (below, above):
        with pytest.raises(ValueError, match=f"^{field.name}: .*outside"):
            check(field.name, value)


@pytest.mark.parametrize("field", FLOATS, ids=name_of)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_are_no_numbers_are_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field.name}: {value} is outside"):
        check(field.name, value)


@pytest.mark.parametrize("field", FIELDS, ids=name_of)
def test_other_types_are_refused_by_name(field):
    wrong = {int: [1.0, "1", True, [1]], float: ["0.5", False, {}], str: [1, True, 0.5, ["small"]]}[field.type]
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{field.name}: .*{type(value).__name__}.*{field.type.__name__}"):
            check(field.name, value)


@pytest.mark.parametrize("field", FLOATS, ids=name_of)
def test_an_int_will_do_for_a_float_and_becomes_one(field):
    whole = 1 if field.metadata["low"] <= 1 <= field.metadata["high"] else 0
    if field.metadata["low"] <= whole <= field.metadata["high"]:
        assert type(check(field.name, whole)) is float
    else:
        with pytest.raises(ValueError, match="outside"):
            check(field.name, whole)


@pytest.mark.parametrize("field", TEXTS, ids=name_of)
def test_choices(field):
    for choice in field.metadata["choices"]:
        assert check(field.name, choice) == choice
        with pytest.raises(ValueError, match=f"^{field.name}: .*did you mean '{choice}'.*choose one of"):
            check(field.name, choice + "x")
    with pytest.raises(ValueError, match=f"^{field.name}: ''"):
        check(field.name, "")


NEAR = {"erase_step": "erase_steps", "learning_rates": "learning_rate", "network_epoch": "network_epochs", "Delta": "delta"}


@pytest.mark.parametrize(("wrong", "right"), NEAR.items())
def test_an_unknown_name_suggests_the_nearest(wrong, right):
    refused(f"{wrong}: there is no such setting .*'{right}'", **{wrong: 1})


def test_an_unknown_name_far_from_all_suggests_nothing():
    assert "did you mean" not in refused("zzzz: there is no such setting", zzzz=1)


def test_an_unknown_profile_names_the_known_ones():
    message = refused("profile: 'clasroom' is unknown.*did you mean 'classroom'", "clasroom")
    assert all(profile in message for profile in PROFILES)


def test_all_problems_come_in_one_message():
    message = refused("settings: ", "smok", network_epochs=0, learning_rate="fast", deltta=0.5, backbone="resnet")
    assert all(part in message for part in ("'smok'", "network_epochs: 0", "learning_rate: 'fast'", "deltta", "backbone: 'resnet'"))


def test_none_leaves_the_profiles_value():
    assert make("smoke", network_epochs=None, seed=None) == make("smoke")
    refused("no such setting", nonsense=None)


def test_profiles_differ_from_the_defaults_only_where_they_say_so():
    for profile, special in PROFILES.items():
        values = make(profile).to_json()
        assert values == {"profile": profile} | {f.name: f.default for f in FIELDS} | special


def test_the_voc_profile_is_the_papers_recipe_and_every_value_of_it_is_marked():
    """The paper's numbers, written out from the paper (sure) and from what is commonly reported (likely)."""
    s = make("voc")
    assert (s.dataset, s.train_list, s.train_images, s.val_images, s.backbone, s.object_steps) == ("voc", "train_aug", 10_582, 1_449, "vgg16", 3)
    assert (s.optimiser, s.learning_rate, s.momentum, s.weight_decay, s.drop_epoch) == ("sgd", 1e-3, 0.9, 5e-4, 6)
    assert (s.batch_size, s.crop, s.classifier_epochs, s.network_epochs, s.dropout, s.last_layer_factor) == (30, 321, 15, 15, 0.5, 10)
    assert {name: getattr(s, name) for name in RECIPE} == {name: value for name, (value, _) in RECIPE.items()}
    assert {mark for _, mark in RECIPE.values()} == {"sure", "likely", "ours"} and RECIPE["delta"][1] == "ours"


def test_profiles_of_photographs_crop_them_and_start_from_imagenet():
    for profile in ("voc", "voc_lite"):
        s = make(profile)
        assert s.dataset == "voc" and s.weights == "torchvision" and s.crop > 0, profile
        assert s.val_list != s.train_list and {*s.class_names} <= {*voc.CLASSES}, profile


CONTRADICTIONS = [
    ({"scale_low": 1.5}, "scale_low: 1.5 is more than scale_high, 1.0"),
    ({"dataset": "folder"}, "crop: 0 takes pictures of one size, and dataset 'folder' has photographs"),
    ({"dataset": "voc"}, "crop: 0 .*dataset 'voc'"),
    ({"weights": "torchvision"}, "weights, frozen: the small backbone"),
    ({"frozen": 3}, "frozen: 3 layers of random weights would never learn"),
    ({"backbone": "vgg16", "frozen": 10}, "frozen: 10 layers of random weights"),
    ({"backbone": "vgg16", "fc_weights": "vgg"}, "fc_weights: 'vgg' needs the backbone vgg16 and its weights"),
    ({"backbone": "mobilenet_v2", "weights": "torchvision", "fc_weights": "vgg"}, "fc_weights: 'vgg' needs"),
    ({"loaders": 2}, r"loaders: whole pictures \(crop: 0\)"),
]


@pytest.mark.parametrize(("values", "message"), CONTRADICTIONS)
def test_values_that_contradict_each_other_are_refused_by_name(values, message):
    refused(message, **values)


def test_all_contradictions_come_in_one_message_and_each_cure_works():
    message = refused("settings: ", dataset="voc", scale_low=2.0, frozen=1, fc_weights="vgg", test_scales="", deltta=1)
    assert all(f"{name}: " in message for name in ("crop", "scale_low", "frozen", "fc_weights", "test_scales", "deltta"))
    cured = {"dataset": "voc", "crop": 33, "scale_low": 2.0, "scale_high": 2.0, "backbone": "vgg16", "weights": "a.safetensors", "loaders": 2}
    assert make("smoke", **cured, frozen=1, fc_weights="vgg", test_scales="0.5, 1").scales == (0.5, 1.0)


@pytest.mark.parametrize("text", ["", "1,", "0.75;1", "0", "-1", "1,nan", "inf", "11", "0.05", "1_0", "one"])
def test_test_scales_that_are_none_are_refused(text):
    refused("test_scales: .*such as 0.75,1,1.25", test_scales=text)


def test_class_names():
    assert make("smoke").class_names == make("smoke", classes=" , ").class_names == ()
    assert make("smoke", classes="cat, my dog,sheep").class_names == ("cat", "my dog", "sheep")


def test_overrides_win_over_the_profile():
    settings = make("smoke", network_epochs=3, delta=0.25)
    assert (settings.network_epochs, settings.delta, settings.profile) == (3, 0.25, "smoke")


def test_object_steps_beyond_erase_steps_are_refused():
    refused("object_steps: 5 is more than erase_steps, 4", object_steps=5, erase_steps=4)
    refused("object_steps", erase_steps=make("classroom").object_steps - 1)
    assert make("classroom", object_steps=4, erase_steps=4).object_steps == 4


@pytest.mark.parametrize(("name", "value"), [("learning_rate", "1e-3"), ("network_epochs", "true"), ("seed", "1"), ("delta", "0.5")])
def test_text_from_yaml_is_refused_with_the_setting_and_the_type_needed(name, value):
    """papermill's YAML parameters read 1e-3 as text."""
    needed = "int" if name in ("network_epochs", "seed") else "float"
    assert needed in refused(f"{name}: '{value}' is str", **{name: value})


def test_the_message_on_scientific_notation_says_how_to_write_it():
    refused(r"1\.0e-3", learning_rate="1e-3")


PARSED = [
    ("network_epochs", "3", 3),
    ("seed", "-1", -1),
    ("delta", "0.25", 0.25),
    ("learning_rate", "1e-3", 0.001),
    ("gaussian_weight", "3", 3.0),
]


@pytest.mark.parametrize(("name", "text", "value"), [*PARSED, ("backbone", "vgg16", "vgg16")])
def test_parse(name, text, value):
    got = parse(name, text)
    assert got == value and type(got) is type(value)


NOTHING = [
    ("network_epochs", "3.0"),
    ("network_epochs", "three"),
    ("network_epochs", ""),
    ("delta", "half"),
    ("delta", "0,5"),
    ("seed", "True"),
    ("seed", "1_000"),
    ("delta", "0_0.2"),
]


@pytest.mark.parametrize(("name", "text"), NOTHING)
def test_parse_refuses_what_is_no_value_of_the_type(name, text):
    with pytest.raises(ValueError, match=f"^{name}: {text!r} is no"):
        parse(name, text)


def test_parse_suggests_the_nearest_name():
    with pytest.raises(ValueError, match=r"^batchsize: .*'batch_size'"):
        parse("batchsize", "3")


def test_what_parse_lets_through_make_still_checks():
    refused("delta: nan", delta=parse("delta", "nan"))
    refused("backbone: 'resnet'", backbone=parse("backbone", "resnet"))
    refused("seed: -1", seed=parse("seed", "-1"))


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
        assert line.split()[2] == str(getattr(settings, field.name)) or getattr(settings, field.name) == ""
        assert line.endswith(field.metadata["meaning"])
        assert all(choice in line for choice in field.metadata["choices"])
        marks = [mark for mark in ("[sure]", "[likely]", "[ours]") if mark in line]
        assert marks == ([f"[{RECIPE[field.name][1] if field.name in RECIPE else 'ours'}]"] if profile == "voc" else [])


def test_describe_of_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'voc_light' is unknown.*'voc_lite'"):
        describe("voc_light")


# --- papermill: -p goes through _resolve_type, -y and -f through YAML -----------------------------------------------------------

CONVERTED = ["true", "True", "yes", "null_", "1e-3", "1_0", "2007_000032", "0x10", "", "[1]", "1,5", "nan", "-inf", "1e400", "10**3"]


def fitting(name: str) -> dict[str, int]:
    """What else to set so that only the range of `name` limits it: object_steps may not be more than erase_steps, and so on."""
    pairs = {"object_steps": {"erase_steps": 10}, "erase_steps": {"object_steps": 1}, "scale_low": {"scale_high": 10.0}}
    pairs |= {"scale_high": {"scale_low": 0.1}, "weights": {"backbone": "vgg16"}, "loaders": {"crop": 32}}
    return (pairs | {"frozen": {"backbone": "vgg16", "weights": "torchvision"}}).get(name, {})


def factors(text: str) -> bool:
    """Whether a reader would say that these are factors from 0.1 to 10."""
    return all(re.fullmatch(r"\d+(\.\d+)?", part.strip()) and 0.1 <= float(part) <= 10 for part in text.split(","))


@pytest.mark.parametrize("field", FIELDS, ids=name_of)
@pytest.mark.parametrize("convert", [_resolve_type, yaml.safe_load], ids=["papermill -p", "papermill -y"])
def test_what_papermill_makes_of_a_text_is_the_value_meant_or_refused_by_name(field, convert):
    """Independent of our own parsing: a text is a number where a reader would say so, underscores apart, and within the range."""
    for text in CONVERTED:
        value = convert(text)
        if value is None:  # the same as not given
            continue
        right = type(value) is field.type or (field.type is float and type(value) is int)
        inside = right and field.type is not str and field.metadata["low"] <= value <= field.metadata["high"]
        free = right and field.name in FREE and (field.name != "test_scales" or factors(value))
        if inside or free or (right and value in field.metadata["choices"]):
            assert make("smoke", **fitting(field.name) | {field.name: value}) is not None
        else:
            refused(f"{field.name}: ", **{field.name: value})


@pytest.mark.parametrize("field", NUMBERS, ids=name_of)
def test_the_ends_of_a_range_typed_on_a_command_line_reach_the_settings_whole(field):
    for end in (field.metadata["low"], field.metadata["high"]):
        end = field.type(end)
        for value in (parse(field.name, repr(end)), _resolve_type(repr(end))):
            assert getattr(make("smoke", **fitting(field.name) | {field.name: value}), field.name) == end
