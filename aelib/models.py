"""LargeFOV, the one network of the method: it classifies (scores averaged over the image) and
segments (the score maps themselves).

Source: Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected
CRFs", ICLR 2015: the variant DeepLab-CRF-LargeFOV, which Wei et al. (CVPR 2017) use for both jobs.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Preprocess(nn.Module):
    """(x - mean) / std, ImageNet's. It is part of the network: all else sees RGB in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        for name, rgb in (("mean", [0.485, 0.456, 0.406]), ("std", [0.229, 0.224, 0.225])):
            self.register_buffer(name, torch.tensor(rgb).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


#: VGG16's blocks in LargeFOV: (width, convolutions, dilation, stride of the pool that follows)
VGG16_BLOCKS = [(64, 2, 1, 2), (128, 2, 1, 2), (256, 3, 1, 2), (512, 3, 1, 1), (512, 3, 2, 1)]


def vgg16_features() -> tuple[nn.Sequential, int]:
    """conv1 to conv5 of VGG16 as LargeFOV changes them: all pools are 3x3, pool4 and pool5 have
    stride 1, conv5 is dilated by 2.

    Output stride 8 (321 -> 41), 512 channels. The layers keep VGG's order, so ImageNet weights load
    one to one.
    """
    layers: list[nn.Module] = []
    channels = 3
    for width, depth, dilation, stride in VGG16_BLOCKS:
        for _ in range(depth):
            conv = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation)
            layers += [conv, nn.ReLU(inplace=True)]
            channels = width
        layers += [nn.MaxPool2d(3, stride=stride, padding=1)]
    return nn.Sequential(*layers), channels


def small_features() -> tuple[nn.Sequential, int]:
    """A stand-in for VGG16 that a laptop trains in a minute, for 96-pixel creatures.

    Output stride 4 (96 -> 24), 64 channels. It has batch norm because it starts from random
    weights, where VGG16 starts from ImageNet's.
    """
    layers: list[nn.Module] = []
    for inputs, width, stride in [(3, 16, 2), (16, 32, 1), (32, 64, 1), (64, 64, 1)]:
        conv = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        if width == 32:
            layers += [nn.MaxPool2d(3, stride=2, padding=1)]
    return nn.Sequential(*layers), 64


class FixedBatchNorm(nn.BatchNorm2d):
    """Batch norm that keeps ImageNet's statistics, in train mode too; it trains scale and shift.

    Batches of a few crops are too small to measure statistics on, and erased pictures would change
    them from step to step.
    """

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)


def mobilenet_v2_features() -> tuple[nn.Sequential, int]:
    """The bottlenecks of torchvision's MobileNetV2 (Sandler et al., CVPR 2018), dilated to output
    stride 8 as DeepLab does.

    features[7] and features[14] lose their stride of 2; every later 3x3 convolution is dilated by
    the lost strides. So each weight sees the neighbours that it saw on ImageNet: every fourth
    output in x and y is exactly the undilated network's.

    Output stride 8 (321 -> 41), 320 channels: as in DeepLab's own, the last 1x1 convolution (to
    1280) is left out; fc6 would cost more than all before it. Layers and names are torchvision's.
    """
    from torchvision.models import mobilenet_v2  # takes seconds to import: only when it is used

    features = mobilenet_v2(weights=None, norm_layer=FixedBatchNorm).features[:-1]
    stride = dilation = 1
    for module in features.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.padding = module.dilation = (dilation, dilation)
            if module.stride == (2, 2) and stride == 8:
                module.stride = (1, 1)
                dilation *= 2
            stride *= module.stride[0]
    return features, 320


def resnet50_features() -> tuple[nn.Sequential, int]:
    """torchvision's ResNet-50 (He et al., CVPR 2016), layer3 and layer4 dilated, not strided.

    Output stride 8 (321 -> 41), 2048 channels. The layers keep torchvision's names and weights.
    """
    from torchvision.models import resnet50  # as above

    dilated = (False, True, True)
    network = resnet50(replace_stride_with_dilation=dilated, norm_layer=FixedBatchNorm)
    return nn.Sequential(OrderedDict([*network.named_children()][:-2])), 2048


#: name -> (features, width of fc6 and fc7, dilation of fc6, output stride,
#:          standard deviation of the last layer's first weights)
BACKBONES = {
    "vgg16": (vgg16_features, 1024, 12, 8, 0.01),  # DeepLab's values
    "mobilenet_v2": (mobilenet_v2_features, 256, 6, 8, 0.01),  # ours, for crops of 160 to 321 px
    "resnet50": (resnet50_features, 512, 12, 8, 0.01),  # ours, and not measured
    # ours: the field of view is 43 pixels, less than a creature; 0.1 because it learns in minutes
    "small": (small_features, 64, 2, 4, 0.1),
}


class LargeFOV(nn.Module):
    """Features, then fc6 (3x3, dilated: the large field of view), fc7 (1x1) and 1x1 scores.

    Args:
        num_classes: score maps: C to classify, C + 1 (background first) to segment.
        backbone: "vgg16" (the paper), "mobilenet_v2" (laptops), "resnet50" or "small" (creatures);
            its weights are random.
        dropout: probability after fc6 and after fc7; the paper's is 0.5.
        frozen: number of leading layers of `features` that are not trained. This keeps ImageNet's
            edges and textures and saves time (Fast R-CNN, section 4.5, freezes VGG16's conv1 and
            conv2, here frozen=10, for 0.3 points of mAP). Wrong with random weights.

    Raises:
        ValueError: the backbone is unknown, or num_classes or frozen is out of its range.
    """

    def __init__(
        self, num_classes: int, backbone: str = "vgg16", dropout: float = 0.5, frozen: int = 0
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            known = ", ".join(BACKBONES)
            raise ValueError(f"backbone: {backbone!r} is unknown; choose one of {known}")
        if num_classes < 1:
            raise ValueError(f"num_classes: {num_classes} score maps; at least 1 is needed")
        features, width, dilation, self.stride, std = BACKBONES[backbone]
        self.backbone = backbone
        self.preprocess = Preprocess()
        self.features, channels = features()
        self.fc6 = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation)
        self.fc7 = nn.Conv2d(width, width, 1)
        self.score = nn.Conv2d(width, num_classes, 1)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.score.weight, std=std)
        layers = len(self.features)
        if not 0 <= frozen <= layers:
            what = f"layers are to be frozen; the features of {backbone} have 0 to {layers}"
            raise ValueError(f"frozen: {frozen} {what}")
        self.features[:frozen].requires_grad_(False)

    def embed(self, image: Tensor) -> Tensor:
        """f, before the scores: (N, 3, H, W) in [0, 1] -> (N, K, h, w), h = ceil(H / stride)."""
        x = self.features(self.preprocess(image))
        x = self.dropout(F.relu(self.fc6(x)))
        return self.dropout(F.relu(self.fc7(x)))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> scores (N, num_classes, h, w), before softmax or sigmoid, in
        float32 under autocast too."""
        return self.score(self.embed(image)).float()


#: Least side of a scaled picture: antialiasing on the CPU is wrong where a side is 1 (torch 2.15).
THINNEST = 2


def scaled(images: Tensor, factor: float) -> Tensor:
    """(N, 3, H, W) resized by the factor, bilinear, antialiased as Pillow does where it shrinks.
    The same tensor for a factor of 1."""
    if factor == 1:
        return images
    size = [max(THINNEST, round(side * factor)) for side in images.shape[-2:]]
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


def classify(scores: Tensor) -> Tensor:
    """Global average pooling: score maps (N, C, h, w) -> image-level logits (N, C)."""
    return scores.mean(dim=(2, 3))
