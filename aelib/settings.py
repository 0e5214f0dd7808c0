"""Every setting of a run: its type, range, unit, default and meaning, in one place; and the profiles."""

from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from .files import nearest


def setting(default: Any, meaning: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field with what a check and a help text need; low and high are allowed values themselves."""
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """The settings of one run. Make them with `make`, which checks them; `describe()` prints them all.

    The defaults are the classroom's: for 96-pixel creatures all values are our choice. RECIPE has the paper's.
    """

    profile: str = "classroom"
    # data
    dataset: str = setting("creatures", "data set: the embedded world, PASCAL VOC 2012's layout, or your own", choices=("creatures", "voc", "folder"))
    data_root: str = setting("data", "photographs: the folder (from the project's) that holds VOCdevkit, or images and labels.csv")
    train_list: str = setting("train_aug", "voc: the list to train on")
    val_list: str = setting("val", "voc: the list to validate on")
    classes: str = setting("", "photographs: the classes to keep, with commas between; empty keeps all")
    longest_side: int = setting(500, "photographs: larger ones are reduced to it on reading, pixels (VOC's: 500)", 32, 10_000)
    seed: int = setting(0, "of the world, the choice of photographs, the weights, the order of samples", 0, 1_000_000)
    train_images: int = setting(1200, "pictures of the training split, at random if there are more", 8, 100_000)
    val_images: int = setting(200, "pictures of the validation split, at random if there are more", 8, 100_000)
    # network
    backbone: str = setting("small", "features of LargeFOV", choices=("small", "vgg16", "mobilenet_v2"))
    weights: str = setting(
        "random", "the backbone's first weights: random, torchvision (its ImageNet download), or a file (from the project's folder)"
    )
    fc_weights: str = setting("random", "fc6 and fc7: random, or sub-sampled from VGG16's own (with vgg16)", choices=("random", "vgg"))
    frozen: int = setting(0, "leading layers of the backbone that do not learn", 0, 31)
    dropout: float = setting(0.0, "probability after fc6 and fc7 (the paper: 0.5, from ImageNet weights)", 0.0, 0.95)
    # training, both jobs
    classifier_epochs: int = setting(8, "passes over the training split, each classifier", 1, 1000)
    network_epochs: int = setting(6, "passes over the training split, each segmentation network: every pixel teaches it", 1, 1000)
    batch_size: int = setting(16, "pictures a step", 1, 4096)
    crop: int = setting(0, "side of the random crops, pixels; 0: whole pictures, all of one size, mirrored only", 0, 2000)
    scale_low: float = setting(1.0, "least factor of the scale jitter, with crops", 0.1, 10.0)
    scale_high: float = setting(1.0, "greatest factor of the scale jitter", 0.1, 10.0)
    optimiser: str = setting("adamw", "adamw: one-cycle schedule; sgd: with momentum, and a drop", choices=("adamw", "sgd"))
    learning_rate: float = setting(5e-3, "peak of the one-cycle schedule, or where sgd begins", 1e-7, 1.0)
    last_layer_factor: float = setting(10.0, "how much faster the classifiers' last layer learns (the paper: 10)", 0.1, 1000.0)
    network_last_layer_factor: float = setting(1.0, "the same for the segmentation networks, where every pixel teaches", 0.1, 1000.0)
    features_factor: float = setting(1.0, "how much faster the backbone learns than fc6 and fc7, in both", 0.0, 100.0)
    weight_decay: float = setting(1e-2, "adamw's is decoupled, sgd's is part of the gradient", 0.0, 1.0)
    momentum: float = setting(0.9, "sgd's", 0.0, 0.999)
    drop_epoch: int = setting(6, "sgd: the rate is a tenth after so many epochs", 1, 1000)
    precision: str = setting("float32", "of the network's arithmetic in training", choices=("float32", "bfloat16"))
    loaders: int = setting(0, "processes that read and crop pictures for training, with crops; changes no number; not on Windows", 0, 256)
    # mining
    classification_loss: str = setting("sigmoid", "sigmoid cross-entropy, or the paper's squared error", choices=("sigmoid", "squared"))
    delta: float = setting(0.2, "threshold of the discriminative region, between 0 and 1, both excluded", 1e-6, 1 - 1e-6)
    delta_rule: str = setting("max", "delta as a fraction of the map's maximum, or as the top share of pixels", choices=("max", "share"))
    erase_steps: int = setting(4, "classifiers trained one after the other; one more than is useful, to see it go wrong", 1, 10)
    object_steps: int = setting(3, "steps whose regions make the object (the paper: 3)", 1, 10)
    start: str = setting("fresh", "weights of steps 2 and later: the first ones again, or those of the step before", choices=("fresh", "warm"))
    stop_evidence: float = setting(0.5, "share of the labels a step's classifier must still see for its regions to be trusted", 0.0, 1.0)
    cam_scale: float = setting(1.0, "factor a picture is seen at for its CAMs and its confidences v", 0.1, 10.0)
    # background and S
    saliency_maps: str = setting("", "folder (from the project's) of maps ID.png made elsewhere (DRFI's), white salient; empty: computed")
    superpixels: int = setting(250, "SLIC superpixels a picture, for the computed saliency", 10, 5000)
    background_threshold: float = setting(0.4, "saliency below it is background", 0.0, 1.0)
    # PSL
    psl_warmup: float = setting(0.5, "share of a PSL training before S-hat joins: from random weights it says background everywhere", 0.0, 1.0)
    prohibit_threshold: float = setting(0.1, "classes with a smaller image-level confidence are removed at test", 0.0, 1.0)
    # prediction and CRF
    test_scales: str = setting("1", "factors a picture is seen at, with commas between; the answers are averaged")
    test_flip: str = setting("no", "whether it is seen in the mirror, too", choices=("no", "yes"))
    crf_engine: str = setting("auto", "pydensecrf (lattice), our exact mean field, or whichever is there", choices=("auto", "lattice", "exact"))
    crf_iterations: int = setting(10, "mean-field updates", 1, 100)
    gaussian_weight: float = setting(3.0, "of the smoothness kernel", 0.0, 100.0)
    gaussian_sxy: float = setting(1.0, "pixels", 0.1, 1000.0)
    bilateral_weight: float = setting(10.0, "of the appearance kernel", 0.0, 100.0)
    bilateral_sxy: float = setting(20.0, "pixels", 0.1, 1000.0)
    bilateral_srgb: float = setting(13.0, "grey levels of 0..255", 0.1, 1000.0)
    workers: int = setting(2, "processes for saliency and CRF; changes no number", 1, 256)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes to keep; none for all."""
        return tuple(name.strip() for name in self.classes.split(",") if name.strip())

    @property
    def scales(self) -> tuple[float, ...]:
        """test_scales as numbers. Raises ValueError if they are none."""
        return tuple(float(text.replace("_", "?")) for text in self.test_scales.split(","))  # Python reads 1_0 as ten

    def to_json(self) -> dict[str, Any]:
        """All settings, by name."""
        return asdict(self)


#: The paper's experiment: setting -> (value, mark). Marks: sure (abstract, captions, public code); likely (commonly reported); ours (not told).
RECIPE: dict[str, tuple[Any, str]] = {
    "dataset": ("voc", "sure"),
    "train_list": ("train_aug", "sure"),
    "train_images": (10_582, "sure"),
    "val_images": (1_449, "sure"),
    "backbone": ("vgg16", "sure"),
    "weights": ("torchvision", "likely"),  # ImageNet's
    "fc_weights": ("vgg", "likely"),  # as DeepLab's
    "dropout": (0.5, "likely"),
    "classifier_epochs": (15, "likely"),
    "network_epochs": (15, "likely"),
    "batch_size": (30, "likely"),
    "crop": (321, "likely"),
    "scale_low": (1.0, "ours"),  # DeepLab v1 crops and mirrors only
    "scale_high": (1.0, "ours"),
    "optimiser": ("sgd", "likely"),
    "learning_rate": (1e-3, "likely"),
    "last_layer_factor": (10.0, "likely"),
    "network_last_layer_factor": (10.0, "likely"),
    "weight_decay": (5e-4, "likely"),
    "momentum": (0.9, "likely"),
    "drop_epoch": (6, "likely"),
    "classification_loss": ("squared", "likely"),  # ours is the mean over the classes, Caffe's their sum: a gradient 10 times as large at 20
    "delta": (0.2, "ours"),  # "top 20 % of the largest value", read as CAM and SEC do
    "delta_rule": ("max", "ours"),
    "object_steps": (3, "sure"),
    "start": ("fresh", "ours"),
    "superpixels": (400, "ours"),  # our saliency; the paper's is likely DRFI's: saliency_maps
    "background_threshold": (0.06, "likely"),  # of DRFI's maps; for computed ones nobody has reported any
    "psl_warmup": (0.0, "ours"),  # the loss as it is written
    "prohibit_threshold": (0.1, "ours"),  # 0.1 and 0.2 are in circulation
    "bilateral_weight": (10.0, "ours"),  # SEC's and pydensecrf's README's
    "bilateral_sxy": (80.0, "ours"),
    "bilateral_srgb": (13.0, "ours"),
    "gaussian_weight": (3.0, "ours"),
    "gaussian_sxy": (3.0, "ours"),
}
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"train_images": 64, "val_images": 16, "classifier_epochs": 5, "network_epochs": 3},
    "classroom": {},
    "voc_lite": {  # the paper's stages in the time a laptop has: all numbers but object_steps are our choice, none of them made on val
        "dataset": "voc",
        "classes": "cat,cow,dog,horse,person,sheep",
        "train_images": 1800,
        "val_images": 150,
        "backbone": "mobilenet_v2",
        "weights": "torchvision",
        "frozen": 14,
        "features_factor": 0.1,
        "batch_size": 8,
        "crop": 161,
        "scale_low": 0.5,
        "scale_high": 0.9,
        "learning_rate": 1e-3,
        "classifier_epochs": 3,
        "network_epochs": 4,
        "delta": 0.6,
        "cam_scale": 0.75,
        "test_scales": "0.75",
        "superpixels": 200,
        "background_threshold": 0.5,
        "bilateral_weight": 4.0,  # DeepLab v2's, EPS's
        "bilateral_sxy": 67.0,
        "bilateral_srgb": 3.0,
    },
    "voc": {name: value for name, (value, _) in RECIPE.items()},
}
_FIELDS = {f.name: f for f in fields(Settings) if f.name != "profile"}


def make(profile: str, **overrides: Any) -> Settings:
    """The settings of a profile, some of them overridden. None leaves a setting at the profile's value.

    Raises:
        ValueError: one message for all that is wrong: an unknown profile or name (with the nearest known one), a wrong type, a value out of range.
    """
    problems = []
    if not isinstance(profile, str) or profile not in PROFILES:
        problems.append(f"profile: {profile!r} is unknown{nearest(profile, PROFILES)}; there are {', '.join(PROFILES)}")
    values = dict(PROFILES[profile]) if not problems else {}
    for name, value in overrides.items():
        if name not in _FIELDS:
            problems.append(f"{name}: there is no such setting{nearest(name, _FIELDS)}")
        elif value is not None:
            try:
                values[name] = check(name, value)
            except ValueError as error:
                problems.append(str(error))
    settings = Settings(profile, **values)
    problems += _contradictions(settings)
    if problems:
        raise ValueError("settings: " + "; ".join(problems))
    return settings


def _contradictions(s: Settings) -> list[str]:
    """What is wrong with values that are right one by one."""
    problems = []
    if s.object_steps > s.erase_steps:
        problems.append(f"object_steps: {s.object_steps} is more than erase_steps, {s.erase_steps}: regions that were never mined")
    if s.scale_low > s.scale_high:
        problems.append(f"scale_low: {s.scale_low} is more than scale_high, {s.scale_high}")
    if s.dataset != "creatures" and not s.crop:
        problems.append(f"crop: 0 takes pictures of one size, and dataset {s.dataset!r} has photographs: 321 is the paper's")
    if s.backbone == "small" and (s.weights, s.frozen) != ("random", 0):
        problems.append("weights, frozen: the small backbone has no ImageNet weights; it starts from random ones and learns as a whole")
    if s.loaders and not s.crop:
        problems.append("loaders: whole pictures (crop: 0) are mirrored by one stream of random numbers, which several processes cannot share")
    if s.frozen and s.weights == "random":
        problems.append(f"frozen: {s.frozen} layers of random weights would never learn")
    if s.fc_weights == "vgg" and (s.backbone != "vgg16" or s.weights == "random"):
        problems.append("fc_weights: 'vgg' needs the backbone vgg16 and its weights")
    try:
        fit = all(0.1 <= scale <= 10 for scale in s.scales)
    except ValueError:
        fit = False
    if not fit:
        problems.append(f"test_scales: {s.test_scales!r} must be factors from 0.1 to 10, with commas between, such as 0.75,1,1.25")
    return problems


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
        hint = " (papermill's -r gives it as text)" if kind is str else hint
        raise ValueError(f"{name}: {value!r} is {type(value).__name__}, a value of type {kind.__name__} is needed{hint}")
    if meta["choices"] and value not in meta["choices"]:
        raise ValueError(f"{name}: {value!r} is unknown{nearest(value, meta['choices'])}; choose one of {', '.join(meta['choices'])}")
    if meta["low"] is not None and not meta["low"] <= value <= meta["high"]:  # NaN fails this too
        raise ValueError(f"{name}: {value} is outside {meta['low']:g} to {meta['high']:g} ({meta['meaning']})")
    return value


def parse(name: str, text: str) -> Any:
    """A setting's value from the command line's text.

    Raises:
        ValueError: an unknown name, or a text that is no value of the setting's type.
    """
    if name not in _FIELDS:
        raise ValueError(f"{name}: there is no such setting{nearest(name, _FIELDS)}")
    kind = _FIELDS[name].type
    try:
        if kind is not str and "_" in text:  # Python reads 1_0 as ten
            raise ValueError
        return kind(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no {kind.__name__}") from None


def describe(profile: str = "classroom") -> str:
    """All settings, a line each: name, type, the profile's value, how sure it is that it is the paper's (voc), range, meaning.

    Raises:
        ValueError: there is no such profile.
    """
    values, lines = make(profile).to_json(), []
    for spec in _FIELDS.values():
        meta = spec.metadata
        allowed = " | ".join(meta["choices"]) or ("text" if meta["low"] is None else f"{meta['low']:g} to {meta['high']:g}")
        mark = f"[{RECIPE[spec.name][1] if spec.name in RECIPE else 'ours'}]".ljust(9) if profile == "voc" else ""
        lines.append(f"{spec.name:25} {spec.type.__name__:6} {values[spec.name]!s:12} {mark}{allowed:22} {meta['meaning']}")
    return "\n".join(lines)


assert all(spec.default is not MISSING for spec in _FIELDS.values())
