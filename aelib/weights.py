"""ImageNet weights for LargeFOV: torchvision's download, or a file. Nothing is unpickled but tensors.

fc6 and fc7 of VGG16 come from VGG's own fully connected layers, as DeepLab-LargeFOV's do, or stay random.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from .files import refuse, sha256
from .models import LargeFOV

FC = ("vgg", "random")


def load_pretrained(model: LargeFOV, source: str | Path, fc: str = "random") -> dict[str, Any]:
    """Fill `model.features`, and with fc="vgg" also fc6 and fc7, with ImageNet weights. All or nothing: on an error the model is as it was.

    Args:
        model: a LargeFOV with backbone "vgg16" or "mobilenet_v2".
        source: "torchvision", which downloads once to torch.hub's folder, or a file with torchvision's names: *.safetensors, or
            anything else as a torch file of tensors.
        fc: "random": fc6 and fc7 stay as they are; "vgg": from VGG16's fully connected layers, see `reduced_fc`.

    Returns:
        For results.json: {"backbone", "source": "torchvision" or "file", "file": its name, "sha256", "fc", "tensors": how many were filled}.

    Raises:
        ValueError: there is nothing to load for this backbone, the file cannot be had or read, holds code, or does not fit; names the
            file and all tensors that are missing, of another shape, or not finite numbers.
    """
    if model.backbone not in ("vgg16", "mobilenet_v2"):
        raise ValueError(f"backbone: {model.backbone!r} has no ImageNet weights; it starts from random ones")
    if fc not in FC:
        raise ValueError(f"fc: {fc!r} is unknown; choose one of {', '.join(FC)}")
    if fc == "vgg" and model.backbone != "vgg16":
        raise ValueError(f"fc: 'vgg' sub-samples VGG16's fully connected layers, {model.backbone} has none; choose 'random'")
    file = download(model.backbone) if source == "torchvision" else Path(source)
    tensors = read_tensors(file)
    ours = {name: value for name, value in model.state_dict().items() if name.startswith("features.") and not name.endswith("num_batches_tracked")}
    shapes = {name: tuple(value.shape) for name, value in ours.items()}
    if fc == "vgg":
        shapes |= {"classifier.0.weight": (4096, 512 * 7 * 7), "classifier.0.bias": (4096,)}
        shapes |= {"classifier.3.weight": (4096, 4096), "classifier.3.bias": (4096,)}
    refuse(f"tensor(s) of {file} do not fit {model.backbone} (torchvision's names and shapes are needed)", misfits(tensors, shapes))
    wanted = {name: tensors[name] for name in ours} | (reduced_fc(tensors) if fc == "vgg" else {})
    model.load_state_dict(wanted, strict=False)  # the rest of the model is not ImageNet's to say
    kind = "torchvision" if source == "torchvision" else "file"
    return {"backbone": model.backbone, "source": kind, "file": file.name, "sha256": sha256(file), "fc": fc, "tensors": len(wanted)}


def reduced_fc(vgg: dict[str, Tensor]) -> dict[str, Tensor]:
    """fc6 and fc7 of LargeFOV sub-sampled from VGG16's fully connected layers.

    fc6 is a 7x7 convolution of 4096 channels in disguise: every fourth channel and the taps 0, 3, 6 of each side are kept. Three places
    of VGG's pool5, of stride 32, are 12 places of ours, of stride 8: hence fc6's dilation of 12. fc7 keeps every fourth channel of both sides.

    DeepLab's own reduced VGG16 was made so ("subsample the parameters", github.com/weiliu89/caffe, issue 258); which taps and channels its
    authors took is not published. Every 4th and every 3rd from the first is what the public converters take (`decimate` in
    github.com/sgrvinod/a-PyTorch-Tutorial-to-Object-Detection).

    Args:
        vgg: torchvision's VGG16: classifier.0.weight (4096, 25088), classifier.3.weight (4096, 4096), and their biases.

    Returns:
        fc6.weight (1024, 512, 3, 3), fc6.bias (1024,), fc7.weight (1024, 1024, 1, 1), fc7.bias (1024,).
    """
    return {
        "fc6.weight": vgg["classifier.0.weight"].view(4096, 512, 7, 7)[::4, :, ::3, ::3],
        "fc6.bias": vgg["classifier.0.bias"][::4],
        "fc7.weight": vgg["classifier.3.weight"][::4, ::4, None, None],
        "fc7.bias": vgg["classifier.3.bias"][::4],
    }


def misfits(tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """What is wrong with `tensors` where `shapes` are needed, a line each: missing, of another shape, not finite numbers."""
    problems = []
    for name, shape in shapes.items():
        if name not in tensors:
            problems.append(f"{name} is missing, {shape} is needed")
        elif tuple(tensors[name].shape) != shape:
            problems.append(f"{name} is {tuple(tensors[name].shape)}, {shape} is needed")
        elif not (tensors[name].is_floating_point() and tensors[name].isfinite().all()):
            problems.append(f"{name} holds {tensors[name].dtype} values that are no finite numbers")
    return problems


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file (*.safetensors) or of a torch file (any other name), on the CPU.

    Raises:
        ValueError: it is missing, damaged, holds anything but tensors by name, or a pickle with code in it; names the file.
    """
    if not file.is_file():
        raise ValueError(f"{file}: there is no such file of weights")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            content = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f"{file} is no torch file of plain tensors: it holds other objects, perhaps code, and was not unpickled. "
            "Whoever trusts it can save its state_dict() anew as safetensors"
        ) from error
    except Exception as error:  # a damaged file raises nearly anything
        raise ValueError(f"{file} cannot be read as weights; it is damaged, or of another format ({error})") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        raise ValueError(f"{file} holds something other than tensors by name; a plain state_dict is needed")
    return content


def download(backbone: str) -> Path:
    """torchvision's ImageNet weights in torch.hub's folder, downloaded if they are not there; their hash is checked in any case.

    Raises:
        ValueError: they cannot be downloaded (says which file to place where), or the file there has another hash.
    """
    from torchvision.models import get_model_weights  # seconds to import: only where it is used

    url = get_model_weights(backbone)["IMAGENET1K_V1"].url
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    prefix = file.stem.rsplit("-", 1)[1]  # torchvision's names end in the first digits of the hash
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), hash_prefix=prefix)
        except (OSError, RuntimeError) as error:  # no network; what came has another hash
            raise ValueError(
                f"the ImageNet weights of {backbone} cannot be downloaded ({error}). Where there is a network, fetch {url} and place it at {file}, "
                "or give the path of a local safetensors or torch file instead of 'torchvision'"
            ) from error
    if not (found := sha256(file)).startswith(prefix):
        raise ValueError(f"{file} is damaged: its SHA-256 begins with {found[: len(prefix)]}, {prefix} is needed. Delete it: it is downloaded anew")
    return file
