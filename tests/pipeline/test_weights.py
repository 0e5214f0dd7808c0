"""aelib.pipeline.weights against torchvision's networks, VGG's own layers, and hostile files."""

import hashlib
import io
import json
import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save, save_file
from torch.nn import functional as F
from torchvision.models import mobilenet_v2, resnet50

from aelib.datasets.base import to_tensor
from aelib.models import LargeFOV
from aelib.pipeline import weights
from aelib.pipeline.weights import load_pretrained, reduced_fc
from aelib.support.files import ROOT

SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """torchvision's MobileNetV2 with random weights, classifier and all."""
    torch.manual_seed(5)
    return {name: value.clone() for name, value in mobilenet_v2(weights=None).state_dict().items()}


@pytest.fixture
def model() -> LargeFOV:
    torch.manual_seed(6)
    return LargeFOV(3, "mobilenet_v2")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_files_features_are_taken_and_nothing_else(state, model, tmp_path, suffix):
    file = tmp_path / f"weights.{suffix}"
    save_file(state, file) if suffix == "safetensors" else torch.save(state, file)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    record = load_pretrained(model, file)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name] if name.startswith("features.") else before[name])
    convolutions = 51  # 1 + 2 + 16 * 3, each with batch norm's scale, shift, mean and variance
    assert json.loads(json.dumps(record)) == {
        "backbone": "mobilenet_v2",
        "source": "file",
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "fc": "random",
        "tensors": 5 * convolutions,
    }


def test_resnets_names_are_torchvisions(tmp_path):
    torch.manual_seed(5)
    theirs = {name: value.clone() for name, value in resnet50(weights=None).state_dict().items()}
    save_file(theirs, tmp_path / "w.safetensors")
    network = LargeFOV(3, "resnet50")
    record = load_pretrained(network, tmp_path / "w.safetensors")
    assert record["tensors"] == 5 * 53  # 1 + 3 * 16 + 4 convolutions, each with batch norm
    for name, value in network.features.state_dict().items():
        assert torch.equal(value, theirs[name])


def test_weights_of_the_wrong_shape_are_listed_and_none_is_taken(state, model, tmp_path):
    wrong = dict(state)
    del wrong["features.17.conv.2.weight"]
    wrong["features.0.0.weight"] = torch.zeros(32, 1, 3, 3)
    wrong["features.1.conv.0.1.bias"] = torch.full((32,), torch.nan)
    save_file(wrong, tmp_path / "w.safetensors")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load_pretrained(model, tmp_path / "w.safetensors")
    text = str(error.value)
    assert "3 tensor(s) of" in text and "w.safetensors do not fit mobilenet_v2" in text
    assert "features.0.0.weight is (32, 1, 3, 3), (32, 3, 3, 3) is needed" in text
    assert "features.17.conv.2.weight is missing, (320, 960, 1, 1) is needed" in text
    assert "features.1.conv.0.1.bias holds" in text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_of_many_misfits_twenty_are_listed(model, tmp_path):
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet.safetensors")
    with pytest.raises(ValueError, match=r"255 tensor\(s\) of .* do not fit") as error:
        load_pretrained(model, tmp_path / "resnet.safetensors")
    assert str(error.value).count(" is missing") == 20 and str(error.value).endswith("and 235 more")
    assert "the file's names are such as conv1.weight" in str(error.value)


class Bomb:
    def __reduce__(self):
        return (open, (str(ROOT / "exploded"), "w"))


@pytest.mark.parametrize(
    "write",
    [
        lambda f: torch.save({"features.0.0.weight": Bomb()}, f),
        lambda f: f.write_bytes(pickle.dumps(Bomb(), protocol=2)),
    ],
)
def test_code_in_a_pickle_is_refused_and_not_run(model, tmp_path, write):
    file = tmp_path / "bomb.pth"
    write(file)
    with pytest.raises(ValueError, match=r"bomb\.pth .*not unpickled"):
        load_pretrained(model, file)
    assert not (ROOT / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.pth", None, "no such file"),
        ("half.safetensors", b"\x40\0\0\0\0\0\0\0{", "cannot be read as weights"),
        ("empty.pth", b"", "cannot be read as weights"),
        (
            "nested.pth",
            {"model": {"features.0.0.weight": [0.0]}, "epoch": 3},
            "something other than tensors by name",
        ),
    ],
)
def test_other_files_are_refused_by_name(model, tmp_path, name, content, said):
    if isinstance(content, dict):
        stream = io.BytesIO()
        torch.save(content, stream)
        content = stream.getvalue()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        load_pretrained(model, tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("backbone", "fc", "said"),
    [
        ("small", "random", "'small' has no ImageNet weights"),
        ("mobilenet_v2", "vgg", "mobilenet_v2 has none"),
        ("mobilenet_v2", "deep", "vgg, random"),
    ],
)
def test_what_does_not_exist_cannot_be_loaded(backbone, fc, said):
    with torch.device("meta"):
        network = LargeFOV(1, backbone)
    with pytest.raises(ValueError, match=said):
        load_pretrained(network, "nowhere.pth", fc)


def test_offline_it_says_what_to_place_where(model, tmp_path, monkeypatch, state):
    def no_network(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(ValueError, match=r"mobilenet_v2 cannot be downloaded .*not known") as error:
        load_pretrained(model, "torchvision")
    place = tmp_path / "hub" / "checkpoints" / "mobilenet_v2-b0353104.pth"
    assert f"place it at {place}" in str(error.value)
    torch.save(state, place)
    with pytest.raises(ValueError, match=r"b0353104\.pth is damaged: .*b0353104 is needed"):
        load_pretrained(model, "torchvision")


def test_fc6_is_vggs_where_only_its_taps_see_anything():
    """VGG's fc6 on a 7x7 map that is 0 except at the taps equals fc6 on the taps alone."""
    torch.manual_seed(0)
    vgg = {
        "classifier.0.weight": torch.randint(-9, 10, (4096, 25088), dtype=torch.int8),
        "classifier.0.bias": torch.arange(4096.0),
        "classifier.3.weight": torch.randint(-9, 10, (4096, 4096), dtype=torch.int8),
        "classifier.3.bias": -torch.arange(4096.0),
    }
    reduced = reduced_fc(vgg)
    taps = torch.randint(-9, 10, (512, 3, 3)).float()
    pool5 = torch.zeros(512, 7, 7)
    pool5[:, ::3, ::3] = taps
    for ours, theirs in [(0, 0), (1, 4), (1023, 4092)]:
        wanted = vgg["classifier.0.weight"][theirs].float() @ pool5.flatten() + theirs
        weight = reduced["fc6.weight"][ours : ours + 1].float()
        bias = reduced["fc6.bias"][ours : ours + 1]
        assert F.conv2d(taps[None], weight, bias).item() == wanted
        row = [int(vgg["classifier.3.weight"][theirs, 4 * k]) for k in range(1024)]
        assert reduced["fc7.weight"][ours, :, 0, 0].tolist() == row
        assert reduced["fc7.bias"][ours] == -theirs
    assert {name: tuple(value.shape) for name, value in reduced.items()} == {
        "fc6.weight": (1024, 512, 3, 3),
        "fc6.bias": (1024,),
        "fc7.weight": (1024, 1024, 1, 1),
        "fc7.bias": (1024,),
    }


@pytest.mark.parametrize(("fc", "tensors"), [("vgg", 30), ("random", 26)])
def test_vgg16_with_and_without_its_fully_connected_layers(monkeypatch, tmp_path, fc, tensors):
    network = LargeFOV(2, "vgg16")
    features = network.features.state_dict(prefix="features.")
    file = {name: torch.full(value.shape, 0.5) for name, value in features.items()}
    one = torch.ones(1, 1)  # expanded: no 400 MB for a test
    file |= {"classifier.0.weight": one.expand(4096, 25088), "classifier.0.bias": torch.ones(4096)}
    file |= {"classifier.3.weight": one.expand(4096, 4096), "classifier.3.bias": torch.ones(4096)}
    monkeypatch.setattr(weights, "read_tensors", lambda _: file)
    (tmp_path / "vgg16.pth").write_bytes(b"read above")
    record = load_pretrained(network, tmp_path / "vgg16.pth", fc)
    assert (record["fc"], record["tensors"]) == (fc, tensors)
    assert all((value == 0.5).all() for value in network.features.state_dict().values())
    for layer in (network.fc6, network.fc7):
        assert bool((layer.weight == 1).all() and (layer.bias == 1).all()) == (fc == "vgg")


@pytest.mark.skipif(
    not (SHARED / "weights").is_dir() or not (SHARED / "voc").is_dir(),
    reason="needs ../shared/weights and ../shared/voc",
)
@torch.no_grad()
def test_imagenet_recognises_cats_and_dogs():
    """torchvision's last layers on our features. ImageNet's 151..268 are dogs, 281..285 cats."""
    file = SHARED / "weights" / "mobilenet_v2_imagenet.safetensors"
    voc = SHARED / "voc" / "VOCdevkit" / "VOC2012"
    model = LargeFOV(1, "mobilenet_v2").eval()
    load_pretrained(model, file)
    whole = mobilenet_v2(weights=None).eval()
    whole.load_state_dict(load_file(file))
    labels = json.loads((voc / "image_labels.json").read_text())
    names = (voc / "ImageSets" / "Segmentation" / "val.txt").read_text().split()
    right = []
    for kind, (low, high) in {"dog": (151, 268), "cat": (281, 285)}.items():
        for name in [n for n in names if labels[n] == [kind]][:12]:
            with Image.open(voc / "JPEGImages" / f"{name}.jpg") as photo:
                small = photo.convert("RGB").resize((225, 225), Image.Resampling.BILINEAR)
            image = to_tensor(np.array(small))
            features = whole.features[-1](model.features(model.preprocess(image[None])))
            answer = whole.classifier(features.mean(dim=(2, 3))).argmax().item()
            right.append(low <= answer <= high)
    assert len(right) >= 20 and np.mean(right) > 0.6


CHECKPOINTS = {
    "module.pth": lambda tensors: {f"module.{name}": value for name, value in tensors.items()},
    "lightning.ckpt": lambda tensors: {
        "state_dict": {f"model.{name}": value for name, value in tensors.items()},
        "epoch": 3,
        "optimizer": {},
    },
    "backbone.pth": lambda tensors: {
        "model": {f"backbone.{name}": value for name, value in tensors.items()}
        | {"head.weight": torch.zeros(2)}
    },
    "torch_named.safetensors": dict,
}


@pytest.mark.parametrize("name", [*CHECKPOINTS, "safetensors_named.pth"])
def test_checkpoints_are_unwrapped_and_known_by_their_first_bytes(name, tmp_path):
    torch.manual_seed(1)
    features = LargeFOV(3, "mobilenet_v2").state_dict()
    tensors = {key: value for key, value in features.items() if key.startswith("features.")}
    if name in CHECKPOINTS:
        torch.save(CHECKPOINTS[name](tensors), tmp_path / name)
    else:
        (tmp_path / name).write_bytes(save({k: v.contiguous() for k, v in tensors.items()}))
    torch.manual_seed(2)
    filled = LargeFOV(3, "mobilenet_v2")
    load_pretrained(filled, tmp_path / name)
    assert all(torch.equal(filled.state_dict()[key], value) for key, value in tensors.items())
