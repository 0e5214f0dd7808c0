"""ImageNet weights for LargeFOV: torchvision's download, or a file. Only tensors are unpickled."""

from collections.abc import Collection
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from ..models import LargeFOV
from ..support.files import refuse, sha256
from ..support.kinds import kind_of

FC = ("vgg", "random")
_USUAL = ("state_dict", "model_state_dict", "model", "net", "module", "network", "state_dict_ema")
_VGG_FC = {
    "classifier.0.weight": (4096, 512 * 7 * 7),
    "classifier.0.bias": (4096,),
    "classifier.3.weight": (4096, 4096),
    "classifier.3.bias": (4096,),
}


def load_pretrained(model: LargeFOV, source: str | Path, fc: str = "random") -> dict[str, Any]:
    """Fill `model.features`, and with fc="vgg" fc6 and fc7, too; an error leaves it untouched.

    Args:
        model: a LargeFOV with backbone "vgg16", "mobilenet_v2" or "resnet50".
        source: "torchvision", which downloads once to torch.hub's folder, or a file of safetensors
            or of torch with torchvision's names, perhaps with one prefix before all of them
            (`module.`), or in a checkpoint under `state_dict`.
        fc: "random": fc6 and fc7 stay as they are; "vgg": they come from VGG16, see `reduced_fc`.

    Returns:
        For results.json: {"backbone", "source": "torchvision" or "file", "file": its name,
        "sha256", "fc", "tensors": how many were filled}.

    Raises:
        ValueError: this backbone has no such weights; the file cannot be downloaded or read, holds
            code, or does not fit. Names the file and all tensors that are missing, of another
            shape, or not finite.
    """
    _refuse_impossible(model.backbone, fc)
    file = download(model.backbone) if source == "torchvision" else Path(source)
    tensors = read_tensors(file)
    if model.backbone == "resnet50":  # torchvision's has no part named features
        tensors = {f"features.{name}": value for name, value in tensors.items()}
    shapes = {
        name: tuple(value.shape)
        for name, value in model.state_dict().items()
        if name.startswith("features.") and not name.endswith("num_batches_tracked")
    }
    wanted = shapes | (_VGG_FC if fc == "vgg" else {})
    tensors = fitted(tensors, wanted)
    rule = "torchvision's names and shapes are needed"
    what = f"do not fit {model.backbone} ({rule}{_strangers(tensors, wanted)})"
    refuse(f"tensor(s) of {file} {what}", misfits(tensors, wanted))
    filled = {name: tensors[name] for name in shapes}
    if fc == "vgg":
        filled |= reduced_fc(tensors)
    model.load_state_dict(filled, strict=False)  # ImageNet's file has no weights for the rest
    return {
        "backbone": model.backbone,
        "source": "torchvision" if source == "torchvision" else "file",
        "file": file.name,
        "sha256": sha256(file),
        "fc": fc,
        "tensors": len(filled),
    }


def _strangers(tensors: dict[str, Tensor], wanted: Collection[str]) -> str:
    """Says which names are in the file, where hardly any of the wanted ones is."""
    there = sum(name in tensors for name in wanted)
    if 2 * there > len(wanted):
        return ""
    return f"; the file's names are such as {', '.join([*tensors][:3]) or 'none'}"


def _refuse_impossible(backbone: str, fc: str) -> None:
    if backbone == "small":
        raise ValueError(
            f"backbone: {backbone!r} has no ImageNet weights; it starts from random ones"
        )
    if fc not in FC:
        raise ValueError(f"fc: {fc!r} is unknown; choose one of {', '.join(FC)}")
    if fc == "vgg" and backbone != "vgg16":
        what = f"sub-samples VGG16's fully connected layers, {backbone} has none"
        raise ValueError(f"fc: 'vgg' {what}; choose 'random'")


def reduced_fc(vgg: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns fc6 and fc7 of LargeFOV, sub-sampled from VGG16's fully connected layers.

    VGG's fc6 is a 7x7 convolution of 4096 channels: every fourth channel and the taps 0, 3, 6 of
    each side are kept. Three places of VGG's pool5 (stride 32) are 12 places of ours (stride 8):
    hence fc6's dilation of 12. fc7 keeps every fourth channel of both sides.

    DeepLab's own reduced VGG16 was made this way ("subsample the parameters",
    github.com/weiliu89/caffe, issue 258), but which taps and channels is not published. Public
    converters take every 4th and every 3rd from the first (`decimate` in
    github.com/sgrvinod/a-PyTorch-Tutorial-to-Object-Detection).

    Args:
        vgg: torchvision's VGG16: classifier.0.weight (4096, 25088), classifier.3.weight
            (4096, 4096), and their biases.

    Returns:
        fc6.weight (1024, 512, 3, 3), fc6.bias (1024,), fc7.weight (1024, 1024, 1, 1),
        fc7.bias (1024,).
    """
    return {
        "fc6.weight": vgg["classifier.0.weight"].view(4096, 512, 7, 7)[::4, :, ::3, ::3],
        "fc6.bias": vgg["classifier.0.bias"][::4],
        "fc7.weight": vgg["classifier.3.weight"][::4, ::4, None, None],
        "fc7.bias": vgg["classifier.3.bias"][::4],
    }


def misfits(tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Returns what is wrong with `tensors`, one line each: missing, another shape, not finite."""
    problems = []
    for name, shape in shapes.items():
        value = tensors.get(name)
        if value is None:
            problems.append(f"{name} is missing, {shape} is needed")
        elif tuple(value.shape) != shape:
            problems.append(f"{name} is {tuple(value.shape)}, {shape} is needed")
        elif not (value.is_floating_point() and value.isfinite().all()):
            problems.append(f"{name} holds {value.dtype} values that are not all finite numbers")
    return problems


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors or torch file, told by its first bytes, on the CPU.

    A checkpoint that holds the tensors under one name ("state_dict", "model") is unwrapped.

    Raises:
        ValueError: it is missing, damaged, holds anything but tensors by name, or a pickle with
            code in it; names the file.
    """
    if not file.is_file():
        raise ValueError(f"{file}: there is no such file of weights")
    try:
        content = _content(file)
    except Exception as error:  # a damaged file raises nearly anything
        if isinstance(error, UnpicklingError) and _pickled(file):
            raise ValueError(
                f"{file} is no torch file of plain tensors: it holds other objects, perhaps code, "
                "and was not unpickled. If you trust it, save its state_dict() anew as safetensors"
            ) from error
        kind = kind_of(file)
        what = f"it is {kind}" if kind else "it is damaged, or of another format"
        raise ValueError(f"{file} cannot be read as weights; {what} ({error})") from error
    tensors = content if _by_name(content) else _nested(content)
    if tensors is None:
        what = "something other than tensors by name"
        if isinstance(content, dict) and content:
            what += f" (under {', '.join(map(repr, [*content][:5]))})"
        raise ValueError(f"{file} holds {what}; a plain state_dict is needed")
    return tensors


def _pickled(file: Path) -> bool:
    """Whether it begins as a torch file does: a ZIP archive, or a pickle of protocol 2 or later."""
    with open(file, "rb") as content:
        return content.read(2)[:1] in (b"P", b"\x80")


def _by_name(content: Any) -> bool:
    """Whether it is a dict of tensors by name."""
    named = isinstance(content, dict) and all(isinstance(name, str) for name in content)
    return named and all(isinstance(value, Tensor) for value in content.values())


def _nested(content: Any) -> dict[str, Tensor] | None:
    """The tensors by name within a training checkpoint: under a usual name, or the only ones."""
    if not isinstance(content, dict):
        return None
    inner = {name: value for name, value in content.items() if value and _by_name(value)}
    usual = [inner[name] for name in _USUAL if name in inner]
    if usual:
        return usual[0]
    return next(iter(inner.values())) if len(inner) == 1 else None


def fitted(tensors: dict[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Returns the tensors without the prefix (`module.`, `backbone.`) that all wanted ones have.

    As they are, if there is no such prefix, or more than one.
    """
    first = next(iter(wanted), "")
    if not first or all(name in tensors for name in wanted):
        return tensors
    prefixes = [name.removesuffix(first) for name in tensors if name.endswith(f".{first}")]
    whole = [p for p in prefixes if all(p + name in tensors for name in wanted)]
    if len(whole) != 1:
        return tensors
    return {
        name.removeprefix(whole[0]): t for name, t in tensors.items() if name.startswith(whole[0])
    }


def _content(file: Path) -> Any:
    with open(file, "rb") as stream:
        head = stream.read(9)
    if head[8:9] == b"{":  # safetensors: the header's length, then JSON
        from safetensors.torch import load_file

        return load_file(file)
    with open(file, "rb") as stream:  # given a name, torch goes by its suffix
        return torch.load(stream, map_location="cpu", weights_only=True)


def download(backbone: str) -> Path:
    """Returns the file of torchvision's ImageNet weights, downloaded if missing, its hash checked.

    Raises:
        ValueError: they cannot be downloaded (says which file to place where), or the file that
            is there has another hash.
    """
    from torchvision.models import get_model_weights  # takes seconds to import

    url = get_model_weights(backbone)["IMAGENET1K_V1"].url
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    prefix = file.stem.rsplit("-", 1)[1]  # torchvision's names end in the first digits of the hash
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), hash_prefix=prefix)
        except (OSError, RuntimeError) as error:  # no network, or the download has another hash
            raise ValueError(
                f"the ImageNet weights of {backbone} cannot be downloaded ({error}). Where there "
                f"is a network, fetch {url} and place it at {file}, or give the path of a local "
                "safetensors or torch file instead of 'torchvision'"
            ) from error
    found = sha256(file)
    if not found.startswith(prefix):
        start = f"its SHA-256 begins with {found[: len(prefix)]}, {prefix} is needed"
        raise ValueError(f"{file} is damaged: {start}. Delete it: it is downloaded anew")
    return file
