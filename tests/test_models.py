"""aelib.models against VGG16's layer table, torchvision's VGG16 and the receptive field's closed form."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torchvision.models import vgg16

from aelib.models import BACKBONES, LargeFOV, classify

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
LAYERS = {"vgg16": VGG_LAYERS, "small": SMALL_LAYERS}


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


@pytest.fixture(scope="module")
def vgg() -> LargeFOV:
    """Shapes without numbers: the meta device computes nothing, so this is fast."""
    with torch.device("meta"):
        return LargeFOV(21, "vgg16").eval()


def test_vgg16_gives_41_scores_for_321_pixels(vgg):
    assert vgg(torch.rand(1, 3, 321, 321, device="meta")).shape == (1, 21, 41, 41)
    assert vgg.stride == 8


@pytest.mark.parametrize("backbone", ["vgg16", "small"])
@pytest.mark.parametrize("size", [(33, 40), (1, 1), (96, 31)])
def test_output_is_the_size_over_the_stride_rounded_up(vgg, backbone, size):
    network = vgg if backbone == "vgg16" else LargeFOV(21, "small").eval()
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
    by_hand = torch.einsum("ck,nkhw->nchw", network.score.weight[:, :, 0, 0], features) + network.score.bias[:, None, None]
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
    theirs = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}  # only convolutions have any
    ours = {name: tensor for name, tensor in vgg.state_dict().items() if name.startswith("features.")}
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


def one_channel(network: LargeFOV) -> LargeFOV:
    """The same geometry with one channel, positive weights and no bias: an impulse passes exactly where something is connected.

    With a zero background nothing is hidden by a max pool or a ReLU, so the support of the answer is the receptive field.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                thin = nn.Conv2d(1, 1, child.kernel_size, child.stride, child.padding, child.dilation, bias=False)
                nn.init.constant_(thin.weight, 1 / thin.weight.numel())
                setattr(parent, name, thin)
            elif isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    network.preprocess = nn.Identity()
    return network.double().eval()


@pytest.mark.parametrize("backbone", ["vgg16", "small"])
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
    assert score.weight.std().item() == pytest.approx(0.01, rel=0.05)  # 21,504 draws: 10 standard errors
    assert abs(score.weight.mean().item()) < 5 * 0.01 / score.weight.numel() ** 0.5
    assert not score.bias.any()


@torch.no_grad()
def test_input_is_normalised_by_imagenets_statistics():
    network = LargeFOV(1, "small")
    assert network.preprocess(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)).abs().max() < 1e-6
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
    assert dropped == pytest.approx(alive / 2, rel=0.2)  # the last dropout leaves half of what the ReLU lets through
    assert not torch.equal(network(image), network(image))


def test_classify_is_the_mean_over_the_pixels():
    scores = torch.arange(2 * 3 * 4 * 5, dtype=torch.float64).view(2, 3, 4, 5)
    assert classify(scores).tolist() == [[sum(scores[n, c].flatten().tolist()) / 20 for c in range(3)] for n in range(2)]


def test_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'resnet'.*vgg16.*small"):
        LargeFOV(3, "resnet")


@pytest.mark.parametrize("classes", [0, -1])
def test_no_class_is_refused(classes):
    with pytest.raises(ValueError, match=f"num_classes: {classes}"):
        LargeFOV(classes, "small")
