"""The profiles that a run starts from, and the paper's recipe with a mark on every value."""

from typing import Any

#: The paper's experiment: setting -> (value, mark).
#: Marks: sure (abstract, captions, public code); likely (commonly reported); ours (not told).
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
    # ours is the mean over the classes, Caffe's their sum: a gradient 10 times as large at 20
    "classification_loss": ("squared", "likely"),
    "delta": (0.2, "ours"),  # "top 20 % of the largest value", read as CAM and SEC do
    "delta_rule": ("max", "ours"),
    "object_steps": (3, "sure"),
    "start": ("fresh", "ours"),
    "pooling": ("mean", "sure"),
    "fill": ("mean", "sure"),
    "superpixels": (400, "ours"),  # our saliency; the paper's is likely DRFI's: saliency_maps
    "background_threshold": (0.06, "likely"),  # for DRFI's maps; not reported for computed ones
    "background_cue": ("saliency", "sure"),
    "merge_rule": ("doubt", "likely"),
    "network_loss": ("psl", "sure"),
    "confidence": ("sigmoid", "ours"),  # of squared error's scores it is a cut to [0, 1]
    "prohibition": ("remove", "sure"),
    "psl_warmup": (0.0, "ours"),  # the loss as it is written
    "prohibit_threshold": (0.1, "ours"),  # 0.1 and 0.2 are in circulation
    "crf_temperature": (1.0, "ours"),  # none is reported
    "bilateral_weight": (10.0, "ours"),  # SEC's and pydensecrf's README's
    "bilateral_sxy": (80.0, "ours"),
    "bilateral_srgb": (13.0, "ours"),
    "gaussian_weight": (3.0, "ours"),
    "gaussian_sxy": (3.0, "ours"),
}

#: The paper's stages in the time a laptop has. All numbers but object_steps are our choice; none
#: was chosen on val.
_VOC_LITE: dict[str, Any] = {
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
}

#: Profile -> the settings in which it differs from the defaults.
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"train_images": 64, "val_images": 16, "classifier_epochs": 5, "network_epochs": 3},
    "classroom": {},
    "study": {"train_images": 600},  # half the classroom's: a study trains dozens of networks
    "voc_lite": _VOC_LITE,
    "voc": {name: value for name, (value, _) in RECIPE.items()},
}
