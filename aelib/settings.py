"""Every setting of a run: its type, range, unit, default and meaning, in one place; and the profiles."""

import difflib
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any


def setting(default: Any, meaning: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field with what a check and a help text need; low and high are allowed values themselves."""
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """The settings of one run. Make them with `make`, which checks them; `describe()` prints them all.

    Where the paper says a value it is in `../notebooks` beside its use; for 96-pixel creatures all values are our choice.
    """

    profile: str = "classroom"
    dataset: str = setting("creatures", "data set", choices=("creatures",))
    seed: int = setting(0, "of the world, the weights, the order of samples", 0, 1_000_000)
    train_images: int = setting(1200, "pictures of the training split", 8, 100_000)
    val_images: int = setting(200, "pictures of the validation split", 8, 100_000)
    backbone: str = setting("small", "features of LargeFOV", choices=("small", "vgg16"))
    # training, both jobs
    classifier_epochs: int = setting(8, "passes over the training split, each classifier", 1, 1000)
    network_epochs: int = setting(6, "passes over the training split, each segmentation network: every pixel teaches it", 1, 1000)
    batch_size: int = setting(16, "pictures a step", 1, 4096)
    learning_rate: float = setting(5e-3, "peak of the one-cycle schedule", 1e-7, 1.0)
    last_layer_factor: float = setting(10.0, "how much faster the classifiers' last layer learns (the paper: 10)", 0.1, 1000.0)
    weight_decay: float = setting(1e-2, "AdamW's, decoupled", 0.0, 1.0)
    dropout: float = setting(0.0, "probability after fc6 and fc7 (the paper: 0.5, from ImageNet weights)", 0.0, 0.95)
    # mining
    classification_loss: str = setting("sigmoid", "sigmoid cross-entropy, or the paper's squared error", choices=("sigmoid", "squared"))
    delta: float = setting(0.2, "threshold of the discriminative region, between 0 and 1, both excluded", 1e-6, 1 - 1e-6)
    delta_rule: str = setting("max", "delta as a fraction of the map's maximum, or as the top share of pixels", choices=("max", "share"))
    erase_steps: int = setting(4, "classifiers trained one after the other; one more than is useful, to see it go wrong", 1, 10)
    object_steps: int = setting(3, "steps whose regions make the object (the paper: 3)", 1, 10)
    start: str = setting("fresh", "weights of steps 2 and later: random again, or those of the step before", choices=("fresh", "warm"))
    stop_evidence: float = setting(0.5, "share of the labels a step's classifier must still see for its regions to be trusted", 0.0, 1.0)
    # background and S
    superpixels: int = setting(250, "SLIC superpixels a picture, for the saliency", 10, 5000)
    background_threshold: float = setting(0.4, "saliency below it is background", 0.0, 1.0)
    # PSL
    psl_warmup: float = setting(0.5, "share of a PSL training before S-hat joins: from random weights it says background everywhere", 0.0, 1.0)
    prohibit_threshold: float = setting(0.1, "classes with a smaller image-level confidence are removed at test", 0.0, 1.0)
    # CRF
    crf_engine: str = setting("auto", "pydensecrf (lattice), our exact mean field, or whichever is there", choices=("auto", "lattice", "exact"))
    crf_iterations: int = setting(10, "mean-field updates", 1, 100)
    gaussian_weight: float = setting(3.0, "of the smoothness kernel", 0.0, 100.0)
    gaussian_sxy: float = setting(1.0, "pixels", 0.1, 1000.0)
    bilateral_weight: float = setting(10.0, "of the appearance kernel", 0.0, 100.0)
    bilateral_sxy: float = setting(20.0, "pixels", 0.1, 1000.0)
    bilateral_srgb: float = setting(13.0, "grey levels of 0..255", 0.1, 1000.0)
    workers: int = setting(2, "processes for saliency and CRF; changes no number", 1, 256)

    def to_json(self) -> dict[str, Any]:
        """All settings, by name."""
        return asdict(self)


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"train_images": 64, "val_images": 16, "classifier_epochs": 5, "network_epochs": 3},
    "classroom": {},
}
_FIELDS = {f.name: f for f in fields(Settings) if f.name != "profile"}


def make(profile: str, **overrides: Any) -> Settings:
    """The settings of a profile, some of them overridden. None leaves a setting at the profile's value.

    Raises:
        ValueError: one message for all that is wrong: an unknown profile or name (with the nearest known one), a wrong type, a value out of range.
    """
    problems = []
    if not isinstance(profile, str) or profile not in PROFILES:
        problems.append(f"profile: {profile!r} is unknown{_nearest(profile, PROFILES)}; there are {', '.join(PROFILES)}")
    values = dict(PROFILES[profile]) if not problems else {}
    for name, value in overrides.items():
        if name not in _FIELDS:
            problems.append(f"{name}: there is no such setting{_nearest(name, _FIELDS)}")
        elif value is not None:
            try:
                values[name] = check(name, value)
            except ValueError as error:
                problems.append(str(error))
    settings = Settings(profile, **values)
    if settings.object_steps > settings.erase_steps:
        problems.append(f"object_steps: {settings.object_steps} is more than erase_steps, {settings.erase_steps}: regions that were never mined")
    if problems:
        raise ValueError("settings: " + "; ".join(problems))
    return settings


def check(name: str, value: Any) -> Any:
    """The value of the setting `name`, of the right type; an int is accepted for a float.

    Raises:
        ValueError: naming the setting, the value and what is allowed.
    """
    spec = _FIELDS[name]
    kind, meta = spec.type, spec.metadata
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind:
        hint = " (YAML reads 1e-3 as text: write 1.0e-3)" if isinstance(value, str) and kind is float else ""
        raise ValueError(f"{name}: {value!r} is {type(value).__name__}, a value of type {kind.__name__} is needed{hint}")
    if meta["choices"] and value not in meta["choices"]:
        raise ValueError(f"{name}: {value!r} is unknown{_nearest(value, meta['choices'])}; choose one of {', '.join(meta['choices'])}")
    if meta["low"] is not None and not meta["low"] <= value <= meta["high"]:  # NaN fails this too
        raise ValueError(f"{name}: {value} is outside {meta['low']:g} to {meta['high']:g} ({meta['meaning']})")
    return value


def parse(name: str, text: str) -> Any:
    """A setting's value from the command line's text.

    Raises:
        ValueError: an unknown name, or a text that is no value of the setting's type.
    """
    if name not in _FIELDS:
        raise ValueError(f"{name}: there is no such setting{_nearest(name, _FIELDS)}")
    kind = _FIELDS[name].type
    try:
        if kind is not str and "_" in text:  # Python reads 1_0 as ten
            raise ValueError
        return kind(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no {kind.__name__}") from None


def describe() -> str:
    """All settings, a line each: name, type, default, range, meaning."""
    lines = []
    for spec in _FIELDS.values():
        meta = spec.metadata
        allowed = " | ".join(meta["choices"]) or f"{meta['low']:g} to {meta['high']:g}"
        lines.append(f"{spec.name:22} {spec.type.__name__:6} {spec.default!s:10} {allowed:22} {meta['meaning']}")
    return "\n".join(lines)


def _nearest(name: object, known: Any) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


assert all(spec.default is not MISSING for spec in _FIELDS.values())
