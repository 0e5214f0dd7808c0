"""aelib.models against layer tables, torchvision's networks and closed-form receptive fields."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2, resnet50, vgg16

from aelib.models import (
    BACKBONES,
    LargeFOV,
    classify,
    mobilenet_v2_features,
    resnet50_features,
)

# (kernel, stride, dilation) of every layer that looks at neighbours, from the papers' layer tables
CONV, POOL2 = (3, 1, 1), (3, 2, 1)
VGG_LAYERS = [
    *[CONV, CONV, POOL2],
    *[CONV, CONV, POOL2],
    *[CONV, CONV, CONV, POOL2],
    *[CONV, CONV, CONV, (3, 1, 1)],  # pool4 of stride 1
    *[(3, 1, 2), (3, 1, 2), (3, 1, 2), (3, 1, 1)],  # conv5 dilated, pool5 of stride 1
    *[(3, 1, 12), (1, 1, 1), (1, 1, 1)],  # fc6, fc7, score
]
FC6_DILATION = BACKBONES["small"][2]  # ours to tune
SMALL_LAYERS = [(3, 2, 1), CONV, POOL2, CONV, CONV, (3, 1, FC6_DILATION), (1, 1, 1), (1, 1, 1)]
# (repeats, stride) of the table of Sandler et al., then the dilation of the first 3x3 convolution
# and that of the others, at output stride 8
BOTTLENECKS = [
    (1, 1, 1, 1),
    (2, 2, 1, 1),
    (3, 2, 1, 1),
    (4, 1, 1, 2),
    (3, 1, 2, 2),
    (3, 1, 2, 4),
    (1, 1, 4, 4),
]
MOBILENET_LAYERS = [(3, 2, 1)]
for repeats, stride, first, others in BOTTLENECKS:
    MOBILENET_LAYERS += [(3, stride, first), *[(3, 1, others)] * (repeats - 1)]
MOBILENET_LAYERS += [(3, 1, BACKBONES["mobilenet_v2"][2])]
# conv1, the pool, the 3x3 convolutions of 3, 4, 6 and 3 bottlenecks (He et al., table 1), fc6
RESNET_LAYERS = [(7, 2, 1), POOL2, *[CONV] * 3, (3, 2, 1), *[CONV] * 3]
RESNET_LAYERS += [CONV, *[(3, 1, 2)] * 5, (3, 1, 2), *[(3, 1, 4)] * 2, (3, 1, 12)]
LAYERS = {"vgg16": VGG_LAYERS, "small": SMALL_LAYERS, "mobilenet_v2": MOBILENET_LAYERS}
LAYERS["resnet50"] = RESNET_LAYERS


def receptive_field(layers: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Width in pixels, and output stride."""
    width, stride = 1, 1
    for kernel, step, dilation in layers:
        width += (kernel - 1) * dilation * stride
        stride *= step
    return width, stride


def test_closed_form_of_the_receptive_fields():
    assert receptive_field(VGG_LAYERS) == (419, 8)
    assert receptive_field(SMALL_LAYERS) == (27 + 8 * FC6_DILATION, 4)
    assert receptive_field(MOBILENET_LAYERS) == (
        491 + 16 * BACKBONES["mobilenet_v2"][2],
        8,
    )  # 491 as without dilation


def on_meta(backbone: str, frozen: int = 0) -> LargeFOV:
    """Shapes without numbers: the meta device computes nothing, so this is fast."""
    with torch.device("meta"):
        return LargeFOV(21, backbone, frozen=frozen).eval()


@pytest.fixture(scope="module")
def vgg() -> LargeFOV:
    return on_meta("vgg16")


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenet_v2", "resnet50"])
def test_41_scores_for_321_pixels(backbone):
    network = on_meta(backbone)
    assert network(torch.rand(1, 3, 321, 321, device="meta")).shape == (1, 21, 41, 41)
    assert network.stride == 8


@pytest.mark.parametrize("backbone", LAYERS)
@pytest.mark.parametrize("size", [(33, 40), (1, 1), (96, 31)])
def test_output_is_the_size_over_the_stride_rounded_up(backbone, size):
    network = on_meta(backbone)
    stride = receptive_field(LAYERS[backbone])[1]
    assert network.stride == stride
    image = torch.rand(1, 3, *size, device=network.score.weight.device)
    assert network(image).shape[-2:] == tuple(-(-n // stride) for n in size)


@torch.no_grad()
def test_small_gives_24_scores_for_96_pixels():
    network = LargeFOV(6, "small").eval()
    image = torch.rand(2, 3, 96, 96)
    assert network(image).shape == (2, 6, 24, 24)
    features = network.embed(image)
    assert features.shape[-2:] == (24, 24) and features.min() >= 0
    by_hand = (
        torch.einsum("ck,nkhw->nchw", network.score.weight[:, :, 0, 0], features)
        + network.score.bias[:, None, None]
    )
    torch.testing.assert_close(network(image), by_hand)


def test_parameters_by_hand(vgg):
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = sum(9 * a * b + b for a, b in pairwise(widths))
    assert convolutions == 14_714_688  # VGG16's well-known number
    fc6, fc7, score = 9 * 512 * 1024 + 1024, 1024 * 1024 + 1024, 1024 * 21 + 21
    assert (fc6, fc7, score) == (4_719_616, 1_049_600, 21_525)
    assert convolutions + fc6 + fc7 + score == 20_505_429
    assert sum(p.numel() for p in vgg.parameters()) == 20_505_429


def test_imagenet_weights_load_by_name(vgg):
    with torch.device("meta"):
        features = vgg16(weights=None).features
    theirs = {
        f"features.{name}": tensor for name, tensor in features.state_dict().items()
    }  # only convolutions have any
    ours = {
        name: tensor for name, tensor in vgg.state_dict().items() if name.startswith("features.")
    }
    assert list(ours) == list(theirs)
    assert [t.shape for t in ours.values()] == [t.shape for t in theirs.values()]
    assert len(theirs) == 26


def test_layers_of_vgg16(vgg):
    got = []
    for module in [*vgg.features, vgg.fc6, vgg.fc7, vgg.score]:
        if isinstance(module, nn.Conv2d):
            got.append((module.kernel_size[0], module.stride[0], module.dilation[0]))
        elif isinstance(module, nn.MaxPool2d):
            got.append((module.kernel_size, module.stride, module.dilation))
    assert got == VGG_LAYERS


def test_parameters_of_mobilenet_by_hand():
    network = on_meta("mobilenet_v2")
    assert sum(p.numel() for p in network.features.parameters()) == 1_811_712
    # torchvision's published number, less its classifier and the last convolution
    assert 1_811_712 == 3_504_872 - 1_281_000 - (320 + 2) * 1280
    fc6, fc7, score = 9 * 320 * 256 + 256, 256 * 256 + 256, 256 * 21 + 21
    assert sum(p.numel() for p in network.parameters()) == 1_811_712 + fc6 + fc7 + score


@torch.no_grad()
def test_vgg16_begins_as_torchvisions():
    """Up to the first pool, which LargeFOV changes; then each convolution that is not dilated."""
    torch.manual_seed(0)
    ours, theirs = LargeFOV(1, "vgg16").features, vgg16(weights=None, init_weights=False).features
    ours.load_state_dict(theirs.state_dict())
    image = torch.rand(1, 3, 20, 17)
    torch.testing.assert_close(ours[:4](image), theirs[:4](image), rtol=0, atol=0)
    for mine, other in zip(ours, theirs, strict=True):
        assert type(mine) is type(other)
        if isinstance(mine, nn.Conv2d) and mine.dilation == (1, 1):
            x = torch.rand(1, mine.in_channels, 6, 5)
            torch.testing.assert_close(mine(x), other(x), rtol=0, atol=0)


@pytest.mark.parametrize("size", [(97, 65), (64, 50), (33, 1)])
@torch.no_grad()
def test_every_fourth_place_of_the_dilated_mobilenet_is_the_undilated_ones(size):
    torch.manual_seed(0)
    theirs = mobilenet_v2(weights=None).features[:-1].eval().double()
    for (
        name,
        value,
    ) in theirs.state_dict().items():  # statistics as of a trained network: nothing is 0 or 1
        if name.endswith(("running_mean", "running_var", ".1.weight", ".1.bias")):
            value.uniform_(0.5, 1.5)
    ours = mobilenet_v2_features()[0].double()
    ours.load_state_dict(theirs.state_dict())
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    wanted = theirs(image)
    assert wanted.std() > 0.1
    torch.testing.assert_close(ours(image)[..., ::4, ::4], wanted)
    torch.testing.assert_close(ours[:7](image), theirs[:7](image))  # to stride 8 nothing is changed


def test_parameters_of_resnet_by_hand():
    network = on_meta("resnet50")
    features = 25_557_032 - 2_049_000  # torchvision's published number, less its classifier
    assert sum(p.numel() for p in network.features.parameters()) == features
    fc6, fc7, score = 9 * 2048 * 512 + 512, 512 * 512 + 512, 512 * 21 + 21
    assert sum(p.numel() for p in network.parameters()) == features + fc6 + fc7 + score


@torch.no_grad()
def test_every_fourth_place_of_the_dilated_resnet_is_the_undilated_ones():
    torch.manual_seed(0)
    theirs = resnet50(weights=None).eval()
    for name, value in theirs.state_dict().items():
        if "running" in name:
            value.uniform_(0.5, 1.5)
    ours = resnet50_features()[0]
    state = {name: t for name, t in theirs.state_dict().items() if not name.startswith("fc.")}
    ours.load_state_dict(state)
    wanted = x = torch.rand(1, 3, 64, 50)
    for name, part in theirs.named_children():
        if name not in ("avgpool", "fc"):
            wanted = part(wanted)
    torch.testing.assert_close(ours(x)[..., ::4, ::4], wanted, rtol=1e-4, atol=1e-4)


def test_a_step_of_resnet_trains_what_is_not_frozen_and_keeps_its_statistics():
    torch.manual_seed(0)
    network = LargeFOV(2, "resnet50", frozen=5).train()  # to layer1, as is common
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1e-3)
    network(torch.rand(2, 3, 33, 33)).square().mean().backward()
    optimiser.step()
    moved = {name for name, v in network.state_dict().items() if not torch.equal(v, before[name])}
    cold = ("features.conv1", "features.bn1", "features.layer1")
    assert not any(name.startswith(cold) or "running" in name for name in moved)
    assert "features.layer2.0.conv2.weight" in moved and "fc6.weight" in moved


@torch.no_grad()
def test_training_mode_moves_no_statistics_of_mobilenet():
    torch.manual_seed(0)
    network = LargeFOV(2, "mobilenet_v2", dropout=0.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.rand(2, 3, 33, 33)
    as_made, trained = network(image), network.train()(image)
    torch.testing.assert_close(as_made, network.eval()(image), rtol=0, atol=0)
    torch.testing.assert_close(trained, as_made, rtol=0, atol=0)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("backbone", "frozen"), [("mobilenet_v2", 7), ("small", 3), ("small", 0)])
def test_frozen_layers_get_no_gradient_and_the_others_do(backbone, frozen):
    torch.manual_seed(0)
    network = LargeFOV(2, backbone, frozen=frozen).train()
    network(torch.rand(2, 3, 33, 33)).square().sum().backward()
    cold = {id(p) for p in network.features[:frozen].parameters()}
    assert all((p.grad is None) == (id(p) in cold) for p in network.parameters())


@pytest.mark.parametrize("frozen", [-1, 32])
def test_layers_that_are_not_there_cannot_be_frozen(frozen):
    with pytest.raises(ValueError, match=f"frozen: {frozen} .* vgg16 have 0 to 31"):
        on_meta("vgg16", frozen)


def test_torchvision_is_imported_for_mobilenet_only():
    lines = [
        "import sys, torch, aelib.models, aelib.prediction, aelib.training",
        "import aelib.datasets.samples, aelib.pipeline.weights",
        "torch.set_default_device('meta')",
    ]
    lines += [
        "aelib.models.LargeFOV(1, 'small')",
        "aelib.models.LargeFOV(1, 'vgg16')",
        "assert 'torchvision' not in sys.modules",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def one_channel(network: LargeFOV) -> LargeFOV:
    """The same geometry with one channel, positive weights and no bias.

    An impulse passes exactly where something is connected. On a background of zeros no max pool and
    no ReLU hides anything, so the support of the answer is the receptive field.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                thin = nn.Conv2d(
                    1, 1, child.kernel_size, child.stride, child.padding, child.dilation, bias=False
                )
                nn.init.constant_(thin.weight, 1 / thin.weight.numel())
                setattr(parent, name, thin)
            elif isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    network.preprocess = nn.Identity()
    return network.double().eval()


@pytest.mark.parametrize("backbone", LAYERS)
@torch.no_grad()
def test_receptive_field_is_the_closed_form(backbone):
    width, stride = receptive_field(LAYERS[backbone])
    network = one_channel(LargeFOV(1, backbone))
    unit = width // (2 * stride) + 2
    centre, reach = unit * stride, width // 2
    size = 2 * centre + 1
    answers = {}
    inside = [(0, 0), (0, reach), (0, -reach), (reach, 0), (-reach, 0), (reach, -reach)]
    outside = [(0, reach + 1), (0, -reach - 1), (reach + 1, 0), (-reach - 1, 0), (reach + 1, reach)]
    for dy, dx in inside + outside:
        image = torch.zeros(1, 1, size, size, dtype=torch.float64)
        image[0, 0, centre + dy, centre + dx] = 1
        answers[dy, dx] = network(image)[0, 0, unit, unit].item() > 0
    assert answers == {at: True for at in inside} | {at: False for at in outside}


def test_last_layer_starts_small_and_without_bias():
    torch.manual_seed(0)
    score = LargeFOV(21, "vgg16").score
    assert score.weight.std().item() == pytest.approx(
        0.01, rel=0.05
    )  # 21,504 draws: 10 standard errors
    assert abs(score.weight.mean().item()) < 5 * 0.01 / score.weight.numel() ** 0.5
    assert not score.bias.any()


@torch.no_grad()
def test_input_is_normalised_by_imagenets_statistics():
    network = LargeFOV(1, "small")
    assert (
        network.preprocess(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)).abs().max() < 1e-6
    )
    white = network.preprocess(torch.ones(1, 3, 1, 1)).flatten()
    assert white.tolist() == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], rel=1e-5)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    network = LargeFOV(3, "small", dropout=0.5).eval()
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(network(image), network(image))
    alive = (network.embed(image) != 0).float().mean().item()
    network.dropout.train()
    dropped = (network.embed(image) != 0).float().mean().item()
    assert dropped == pytest.approx(
        alive / 2, rel=0.2
    )  # the last dropout leaves half of what the ReLU lets through
    assert not torch.equal(network(image), network(image))


def test_classify_is_the_mean_over_the_pixels():
    scores = torch.arange(2 * 3 * 4 * 5, dtype=torch.float64).view(2, 3, 4, 5)
    assert classify(scores).tolist() == [
        [sum(scores[n, c].flatten().tolist()) / 20 for c in range(3)] for n in range(2)
    ]


def test_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'resnet'.*vgg16.*small"):
        LargeFOV(3, "resnet")


@pytest.mark.parametrize("classes", [0, -1])
def test_no_class_is_refused(classes):
    with pytest.raises(ValueError, match=f"num_classes: {classes}"):
        LargeFOV(classes, "small")
