"""Settings typed on a command line, through `parse` or through papermill."""

import re
from dataclasses import fields

import pytest
import yaml
from papermill.cli import _resolve_type

from aelib.pipeline.settings import Settings, make, parse

FIELDS = [f for f in fields(Settings) if f.name != "profile"]
NUMBERS = [f for f in FIELDS if f.type in (int, float)]


def name_of(field):
    return field.name


def refused(match: str, **overrides) -> str:
    with pytest.raises(ValueError, match=match) as error:
        make("classroom", **overrides)
    return str(error.value)


# --- python -m aelib run -p NAME VALUE ------------------------------------------------------------

PARSED = [
    ("network_epochs", "3", 3),
    ("seed", "-1", -1),
    ("delta", "0.25", 0.25),
    ("learning_rate", "1e-3", 0.001),
    ("gaussian_weight", "3", 3.0),
    ("backbone", "vgg16", "vgg16"),
]


@pytest.mark.parametrize(("name", "text", "value"), PARSED)
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


# --- papermill: -p goes through _resolve_type, -y and -f through YAML -----------------------------

TEXTS = [("learning_rate", "1e-3"), ("network_epochs", "true"), ("seed", "1"), ("delta", "0.5")]


@pytest.mark.parametrize(("name", "value"), TEXTS)
def test_text_from_yaml_is_refused_with_the_setting_and_the_type_needed(name, value):
    """papermill's YAML parameters read 1e-3 as text."""
    needed = "int" if name in ("network_epochs", "seed") else "float"
    assert needed in refused(f"{name}: '{value}' is str", **{name: value})


def test_the_message_on_scientific_notation_says_how_to_write_it():
    refused(r"1\.0e-3", learning_rate="1e-3")


CONVERTED = [
    *("true", "True", "yes", "null_", "1e-3", "1_0", "2007_000032", "0x10"),
    *("", "[1]", "1,5", "nan", "-inf", "1e400", "10**3"),
]
FREE = {  # texts of no fixed choice; test_scales are factors
    *("data_root", "train_list", "val_list", "classes"),
    *("weights", "saliency_maps", "test_scales"),
}
#: What else to set so that only a setting's own range limits it.
COMPANIONS = {
    "object_steps": {"erase_steps": 10},
    "erase_steps": {"object_steps": 1},
    "scale_low": {"scale_high": 10.0},
    "scale_high": {"scale_low": 0.1},
    "weights": {"backbone": "vgg16"},
    "loaders": {"crop": 32},
    "frozen": {"backbone": "vgg16", "weights": "torchvision"},
}


def made(name: str, value: object) -> object:
    """The setting `name` after `make`."""
    return getattr(make("smoke", **COMPANIONS.get(name, {}) | {name: value}), name)


def factors(text: str) -> bool:
    """Whether a reader would say that these are factors from 0.1 to 10."""
    parts = [part.strip() for part in text.split(",")]
    return all(re.fullmatch(r"\d+(\.\d+)?", part) and 0.1 <= float(part) <= 10 for part in parts)


def meant(field, value: object) -> bool:
    """Whether a reader would say that this is a value of the setting."""
    if field.type is str:
        if field.name == "test_scales":
            return type(value) is str and factors(value)
        return type(value) is str and (field.name in FREE or value in field.metadata["choices"])
    number = type(value) is field.type or (field.type is float and type(value) is int)
    return number and field.metadata["low"] <= value <= field.metadata["high"]


@pytest.mark.parametrize("field", FIELDS, ids=name_of)
@pytest.mark.parametrize(
    "convert", [_resolve_type, yaml.safe_load], ids=["papermill -p", "papermill -y"]
)
def test_what_papermill_makes_of_a_text_is_the_value_meant_or_refused_by_name(field, convert):
    """Independent of our own parsing: a number is what a reader would call one, no underscores."""
    for text in CONVERTED:
        value = convert(text)
        if value is None:  # the same as not given
            continue
        if meant(field, value):
            assert made(field.name, value) == value
        else:
            refused(f"{field.name}: ", **{field.name: value})


@pytest.mark.parametrize("field", NUMBERS, ids=name_of)
def test_the_ends_of_a_range_typed_on_a_command_line_reach_the_settings_whole(field):
    for bound in (field.metadata["low"], field.metadata["high"]):
        end = field.type(bound)
        for value in (parse(field.name, repr(end)), _resolve_type(repr(end))):
            assert made(field.name, value) == end
