"""aelib.pipeline.profiles: the paper's numbers, and what the profiles differ in."""

from dataclasses import fields

import pytest

from aelib.datasets import voc
from aelib.pipeline.profiles import PROFILES, RECIPE
from aelib.pipeline.settings import Settings, make

DEFAULTS = {f.name: f.default for f in fields(Settings) if f.name != "profile"}
#: Written out from the paper (sure) and from what is commonly reported (likely).
PAPER = {
    "dataset": "voc",
    "train_list": "train_aug",
    "train_images": 10_582,
    "val_images": 1_449,
    "backbone": "vgg16",
    "object_steps": 3,
    "optimiser": "sgd",
    "learning_rate": 1e-3,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "drop_epoch": 6,
    "batch_size": 30,
    "crop": 321,
    "classifier_epochs": 15,
    "network_epochs": 15,
    "dropout": 0.5,
    "last_layer_factor": 10,
}


def test_profiles_differ_from_the_defaults_only_where_they_say_so():
    for profile, special in PROFILES.items():
        assert make(profile).to_json() == {"profile": profile} | DEFAULTS | special


def test_the_voc_profile_is_the_papers_recipe_and_every_value_of_it_is_marked():
    settings = make("voc")
    assert {name: getattr(settings, name) for name in PAPER} == PAPER
    for name, (value, mark) in RECIPE.items():
        assert getattr(settings, name) == value
        assert mark in ("sure", "likely", "ours")
    assert {mark for _, mark in RECIPE.values()} == {"sure", "likely", "ours"}
    assert RECIPE["delta"][1] == "ours"


def test_profiles_of_photographs_crop_them_and_start_from_imagenet():
    for profile in ("voc", "voc_lite"):
        s = make(profile)
        assert s.dataset == "voc" and s.weights == "torchvision" and s.crop > 0, profile
        assert s.val_list != s.train_list and {*s.class_names} <= {*voc.CLASSES}, profile


def test_an_unknown_profile_names_the_known_ones():
    known = "profile: 'clasroom' is unknown.*did you mean 'classroom'"
    with pytest.raises(ValueError, match=known) as error:
        make("clasroom")
    assert all(profile in str(error.value) for profile in PROFILES)


def test_overrides_win_over_the_profile():
    settings = make("smoke", network_epochs=3, delta=0.25)
    assert (settings.network_epochs, settings.delta, settings.profile) == (3, 0.25, "smoke")
