"""Every setting of a run: its type, range, unit, default and meaning, in one place."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..support.errors import InputError
from ..support.files import nearest
from .contradictions import contradictions
from .profiles import PROFILES, RECIPE

#: Settings that change no number of a run: what is asked for holds, whatever it was made with.
NUMBER_FREE = ("loaders", "workers")


def setting(default: Any, meaning: str, low: float | None = None, high: float | None = None) -> Any:
    """Returns a field for `checked` and `describe`; low and high are allowed values themselves."""
    limits = {"low": low, "high": high, "choices": ()}
    return field(default=default, metadata={"meaning": meaning} | limits)


def choice(meaning: str, *choices: str) -> Any:
    """Returns a field that takes one of these texts; the first is the default."""
    limits = {"low": None, "high": None, "choices": choices}
    return field(default=choices[0], metadata={"meaning": meaning} | limits)


@dataclass(frozen=True)
class Settings:
    """The settings of one run: `make` makes and checks them. The defaults are the classroom's."""

    profile: str = "classroom"
    # data
    dataset: str = choice("embedded world, VOC's layout or your own", "creatures", "voc", "folder")
    data_root: str = setting(
        "data", "folder (relative to the project) of VOCdevkit, or of images and labels.csv"
    )
    train_list: str = setting("train_aug", "voc: the list to train on")
    val_list: str = setting("val", "voc: the list to validate on")
    classes: str = setting("", "photographs: classes to keep, with commas between; empty keeps all")
    longest_side: int = setting(500, "photographs: reduced to it, pixels (VOC: 500)", 32, 10_000)
    seed: int = setting(0, "of the world, the photographs, the weights, the order", 0, 1_000_000)
    train_images: int = setting(1200, "training pictures, at random if there are more", 8, 100_000)
    val_images: int = setting(200, "validation pictures, at random if there are more", 8, 100_000)
    # network
    backbone: str = choice("features of LargeFOV", "small", "vgg16", "mobilenet_v2", "resnet50")
    weights: str = setting("random", "backbone's: random, torchvision, or a file (as data_root)")
    fc_weights: str = choice("fc6 and fc7: random, or VGG16's own sub-sampled", "random", "vgg")
    frozen: int = setting(0, "leading layers of the backbone that do not learn", 0, 31)
    dropout: float = setting(0.0, "probability after fc6 and fc7 (the paper: 0.5)", 0.0, 0.95)
    # training, both jobs
    classifier_epochs: int = setting(8, "passes over the training split, classifiers", 1, 1000)
    network_epochs: int = setting(6, "passes over it, segmentation networks", 1, 1000)
    batch_size: int = setting(16, "pictures a step", 1, 4096)
    crop: int = setting(0, "side of random crops, pixels; 0: whole pictures of one size", 0, 2000)
    scale_low: float = setting(1.0, "least factor of the scale jitter, with crops", 0.1, 10.0)
    scale_high: float = setting(1.0, "greatest factor of the scale jitter", 0.1, 10.0)
    optimiser: str = choice("adamw: one-cycle schedule; sgd: momentum and a drop", "adamw", "sgd")
    learning_rate: float = setting(5e-3, "peak of one cycle, or where sgd begins", 1e-7, 1.0)
    last_layer_factor: float = setting(
        10.0, "how much faster the classifiers' last layer learns (the paper: 10)", 0.1, 1000.0
    )
    network_last_layer_factor: float = setting(1.0, "the same, segmentation networks", 0.1, 1000.0)
    features_factor: float = setting(1.0, "the same, the backbone (both networks)", 0.0, 100.0)
    weight_decay: float = setting(1e-2, "adamw: decoupled; sgd: part of the gradient", 0.0, 1.0)
    momentum: float = setting(0.9, "sgd's", 0.0, 0.999)
    drop_epoch: int = setting(6, "sgd: the rate is a tenth after so many epochs", 1, 1000)
    precision: str = choice("of the network's arithmetic in training", "float32", "bfloat16")
    loaders: int = setting(
        -1, "processes reading photographs ahead; change no number; -1: by the machine", -1, 256
    )
    # mining
    classification_loss: str = choice(
        "sigmoid cross-entropy, or the paper's squared error", "sigmoid", "squared"
    )
    delta: float = setting(0.2, "threshold of the region, above 0 and below 1", 1e-6, 1 - 1e-6)
    delta_rule: str = choice("delta: a fraction of the maximum, or the top share", "max", "share")
    erase_steps: int = setting(4, "classifiers in turn; one too many, to see it go wrong", 1, 10)
    object_steps: int = setting(3, "steps whose regions make the object (the paper: 3)", 1, 10)
    start: str = choice("steps 2 and later: first weights, or the last step's", "fresh", "warm")
    stop_evidence: float = setting(
        0.5, "share of the labels that a step's classifier must still see to be trusted", 0.0, 1.0
    )
    cam_scale: float = setting(1.0, "factor of pictures for CAMs and confidences v", 0.1, 10.0)
    pooling: str = choice("of score maps to image scores: log-sum-exp with r = 5", "mean", "lse")
    fill: str = choice("what erased pixels become", "mean", "zero", "noise", "blur")
    # background and S
    saliency_maps: str = setting(
        "", "folder (as data_root) of maps ID.png, white is salient; empty: computed"
    )
    superpixels: int = setting(250, "SLIC superpixels a picture, for computed saliency", 10, 5000)
    background_threshold: float = setting(0.4, "saliency below it is background", 0.0, 1.0)
    background_cue: str = choice("or low CAM of step 1, without saliency", "saliency", "cam")
    merge_rule: str = choice(
        "doubtful pixels of S are ignored (doubt), or one kind of them gets a label",
        *("doubt", "region", "saliency", "smallest", "near"),
    )
    # PSL: S-hat joins late, as a network with random weights predicts background everywhere
    psl_warmup: float = setting(0.5, "share of a PSL training before S-hat joins", 0.0, 1.0)
    network_loss: str = choice(
        "after the warm-up, of AE+PSL and AE+PSL++",
        *("psl", "S", "S-hat", "kl", "reverse-kl", "literal"),
        *("sec", "psl+sec", "expand", "constrain"),
    )
    confidence: str = choice(
        "v of that loss: the sigmoid, v = 1, the true labels, v / max v, ...",
        *("sigmoid", "softmax", "one", "labels", "normalised"),
    )
    prohibition: str = choice(
        "at test: classes below prohibit_threshold go, or [1, v] weighs f", "remove", "weigh"
    )
    prohibit_threshold: float = setting(
        0.1, "classes with a smaller image-level confidence are removed at test", 0.0, 1.0
    )
    # prediction and CRF
    test_scales: str = setting("1", "factors seen at, with commas between; answers are averaged")
    test_flip: str = choice("whether it is seen in the mirror, too", "no", "yes")
    crf_temperature: float = setting(1.0, "f^(1/T) enters the CRF; above 1: flatter", 0.1, 20.0)
    crf_engine: str = choice("pydensecrf, exact, or whichever is there", "auto", "lattice", "exact")
    crf_iterations: int = setting(10, "mean-field updates", 1, 100)
    gaussian_weight: float = setting(3.0, "of the smoothness kernel", 0.0, 100.0)
    gaussian_sxy: float = setting(1.0, "pixels", 0.1, 1000.0)
    bilateral_weight: float = setting(10.0, "of the appearance kernel", 0.0, 100.0)
    bilateral_sxy: float = setting(20.0, "pixels", 0.1, 1000.0)
    bilateral_srgb: float = setting(13.0, "grey levels of 0..255", 0.1, 1000.0)
    workers: int = setting(2, "processes for saliency and CRF; changes no number", 1, 256)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes to keep; empty for all."""
        return tuple(name.strip() for name in self.classes.split(",") if name.strip())

    @property
    def scales(self) -> tuple[float, ...]:
        """test_scales as numbers. Raises ValueError if they are none."""
        texts = self.test_scales.replace("_", "?").split(",")  # Python reads 1_0 as ten
        return tuple(float(text) for text in texts)

    def to_json(self) -> dict[str, Any]:
        """Returns all settings by name."""
        return asdict(self)

    def numbers(self) -> dict[str, Any]:
        """Returns those that can change a number of a run, by name."""
        return {name: value for name, value in self.to_json().items() if name not in NUMBER_FREE}


_FIELDS = {f.name: f for f in fields(Settings) if f.name != "profile"}


def make(profile: str, **overrides: Any) -> Settings:
    """Returns a profile's settings with some overridden; None keeps the profile's value.

    Raises:
        InputError: one message for everything wrong: an unknown profile or name (with the nearest
            known one), a wrong type, a value out of range, values that contradict each other.
    """
    values, problems = {}, []
    if isinstance(profile, str) and profile in PROFILES:
        values = dict(PROFILES[profile])
    else:
        hint = f"{nearest(profile, PROFILES)}; there are {', '.join(PROFILES)}"
        problems.append(f"profile: {profile!r} is unknown{hint}")
    for name, value in overrides.items():
        try:
            _known(name)
            if value is not None:
                values[name] = checked(name, value)
        except ValueError as error:
            problems.append(str(error))
    settings = Settings(profile, **values)
    problems += contradictions(settings)
    if problems:
        raise InputError("settings: " + "; ".join(problems))
    return settings


def _known(name: str) -> None:
    if name not in _FIELDS:
        raise InputError(f"{name}: there is no such setting{nearest(name, _FIELDS)}")


def checked(name: str, value: Any) -> Any:
    """Returns the value of the setting `name` in the right type; an int will do for a float.

    Raises:
        InputError: naming the setting, the value and what is allowed.
    """
    kind, meta = _FIELDS[name].type, _FIELDS[name].metadata
    low, high, choices = meta["low"], meta["high"], meta["choices"]
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind:
        got = f"{value!r} is {type(value).__name__}"
        hint = " (papermill's -r gives it as text)" if kind is str else ""
        if kind is float and isinstance(value, str):
            hint = " (YAML reads 1e-3 as text: write 1.0e-3)"
        raise InputError(f"{name}: {got}, a value of type {kind.__name__} is needed{hint}")
    if choices and value not in choices:
        hint = f"{nearest(value, choices)}; choose one of {', '.join(choices)}"
        raise InputError(f"{name}: {value!r} is unknown{hint}")
    if low is not None and not low <= value <= high:  # NaN fails this too
        raise InputError(f"{name}: {value} is outside {low:g} to {high:g} ({meta['meaning']})")
    return value


def parse(name: str, text: str) -> Any:
    """Returns a setting's value from the command line's text.

    Raises:
        InputError: an unknown name, or a text that is no value of the setting's type.
    """
    _known(name)
    kind = _FIELDS[name].type
    try:
        if kind is not str and "_" in text:  # Python reads 1_0 as ten
            raise ValueError
        return kind(text)
    except ValueError:
        raise InputError(f"{name}: {text!r} is no {kind.__name__}") from None


def describe(profile: str = "classroom") -> str:
    """Returns all settings, a line each. For voc a mark says how sure the paper's value is.

    Raises:
        InputError: there is no such profile.
    """
    values = make(profile).to_json()
    return "\n".join(_line(name, values[name], profile == "voc") for name in _FIELDS)


def _line(name: str, value: Any, marked: bool) -> str:
    meta = _FIELDS[name].metadata
    span = "text" if meta["low"] is None else f"{meta['low']:g} to {meta['high']:g}"
    allowed = " | ".join(meta["choices"]) or span
    mark = f"[{RECIPE.get(name, (None, 'ours'))[1]}]".ljust(9) if marked else ""
    kind = _FIELDS[name].type.__name__
    return f"{name:25} {kind:6} {value!s:12} {mark}{allowed:22} {meta['meaning']}"
