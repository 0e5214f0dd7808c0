"""LargeFOV, the one network of the method: it classifies (scores pooled to the image) and segments (scores as they are).

Source: Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs", ICLR 2015,
the variant DeepLab-CRF-LargeFOV that Wei et al. (CVPR 2017) use for both jobs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Preprocess(nn.Module):
    """The photographs' fixed affine map (x - mean) / std, part of the network so that everything outside speaks RGB in [0, 1]."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def vgg16_features() -> tuple[nn.Sequential, int]:
    """conv1 to conv5 of VGG16 as LargeFOV changes them: 3x3 pools, pool4 and pool5 of stride 1, conv5 dilated by 2.

    Output stride 8 (321 -> 41), 512 channels. The layers keep VGG's order, so ImageNet weights load one to one.
    """
    layers: list[nn.Module] = []
    channels = 3
    # (width, convolutions, dilation, stride of the pool that follows)
    for width, depth, dilation, stride in [(64, 2, 1, 2), (128, 2, 1, 2), (256, 3, 1, 2), (512, 3, 1, 1), (512, 3, 2, 1)]:
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)]
            channels = width
        layers += [nn.MaxPool2d(3, stride=stride, padding=1)]
    return nn.Sequential(*layers), channels


def small_features() -> tuple[nn.Sequential, int]:
    """A stand-in for VGG16 that a laptop trains from nothing in a minute, for 96-pixel creatures.

    Output stride 4 (96 -> 24), 64 channels. Batch norm because it starts from random weights, where VGG16 starts from ImageNet.
    """
    layers: list[nn.Module] = []
    for inputs, width, stride in [(3, 16, 2), (16, 32, 1), (32, 64, 1), (64, 64, 1)]:
        layers += [nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        if width == 32:
            layers += [nn.MaxPool2d(3, stride=2, padding=1)]
    return nn.Sequential(*layers), 64


class FixedBatchNorm(nn.BatchNorm2d):
    """Batch norm that keeps ImageNet's statistics, also under .train(); its scale and shift are trained.

    Batches of a few crops are too small to measure statistics on, and erased pictures would move them from step to step.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def mobilenet_v2_features() -> tuple[nn.Sequential, int]:
    """The bottlenecks of torchvision's MobileNetV2 (Sandler et al., CVPR 2018), dilated to output stride 8 as DeepLab does.

    The first convolutions of features[7] and features[14] lose their stride 2; every 3x3 convolution behind a lost stride is dilated
    by it. So each weight sees the neighbours it saw on ImageNet: the answer at every fourth place is the undilated network's own.

    Output stride 8 (321 -> 41), 320 channels: the last 1x1 convolution, to 1280, is left out (as in DeepLab's own MobileNetV2), for it would
    make fc6 dearer than all that is before it. Layers and names are torchvision's, so its weights load one to one.
    """
    from torchvision.models import mobilenet_v2  # seconds to import: only where it is used

    features = mobilenet_v2(weights=None, norm_layer=FixedBatchNorm).features[:-1]
    stride = dilation = 1
    for module in features.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.padding = module.dilation = (dilation, dilation)
            if module.stride == (2, 2) and stride == 8:
                module.stride, dilation = (1, 1), 2 * dilation
            stride *= module.stride[0]
    return features, 320


#: name -> (features, width of fc6 and fc7, dilation of fc6, output stride, standard deviation of the last layer's first weights)
BACKBONES = {
    "vgg16": (vgg16_features, 1024, 12, 8, 0.01),  # as DeepLab's
    "mobilenet_v2": (mobilenet_v2_features, 256, 6, 8, 0.01),  # our choice: what a laptop trains, for crops of 160 to 321 pixels
    "small": (small_features, 64, 2, 4, 0.1),  # field of view 43 pixels, less than a creature; 0.1 as it has minutes to learn, not days
}


class LargeFOV(nn.Module):
    """Features, then fc6 (3x3, dilated: the large field of view), fc7 (1x1) and 1x1 scores.

    Args:
        num_classes: score maps to give: C for the classifier, C + 1 (background first) for the segmentation network.
        backbone: "vgg16" (the paper), "mobilenet_v2" (laptops) or "small" (creatures). All start from random weights: `weights.load_pretrained`.
        dropout: probability after fc6 and after fc7; the paper's is 0.5.
        frozen: leading layers of `features` that are not trained, so that backward stops before them. They keep ImageNet's edges and
            textures, which is cheap where the photos are like ImageNet's (Fast R-CNN, section 4.5, freezes VGG16's conv1 and conv2, here
            frozen=10, for 0.3 points of mAP), and wrong with random weights.

    Raises:
        ValueError: the backbone is unknown, there is no class, or there are not so many layers to freeze.
    """

    def __init__(self, num_classes: int, backbone: str = "vgg16", dropout: float = 0.5, frozen: int = 0) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone: {backbone!r} is unknown; choose one of {', '.join(BACKBONES)}")
        if num_classes < 1:
            raise ValueError(f"num_classes: {num_classes} score maps were asked for; at least 1 is needed")
        features, width, dilation, self.stride, std = BACKBONES[backbone]
        self.backbone = backbone
        self.preprocess = Preprocess((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
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
        if not 0 <= frozen <= len(self.features):
            raise ValueError(f"frozen: {frozen} layers are to be frozen; the features of {backbone} have 0 to {len(self.features)}")
        self.features[:frozen].requires_grad_(False)

    def embed(self, image: Tensor) -> Tensor:
        """RGB in [0, 1], (N, 3, H, W) -> the features f before the scores, (N, K, h, w), h = H / stride rounded up."""
        x = self.features(self.preprocess(image))
        x = self.dropout(F.relu(self.fc6(x)))
        return self.dropout(F.relu(self.fc7(x)))

    def forward(self, image: Tensor) -> Tensor:
        """RGB in [0, 1], (N, 3, H, W) -> scores (N, num_classes, h, w), float32 under autocast, too; no softmax, no sigmoid."""
        return self.score(self.embed(image)).float()


#: least side of a scaled picture, pixels: torch 2.15's antialiased interpolation on the CPU is wrong where the answer is one pixel wide
THINNEST = 2


def scaled(images: Tensor, factor: float) -> Tensor:
    """(N, 3, H, W) times the factor, bilinear, antialiased where it shrinks as Pillow does; the same tensor for a factor of 1."""
    if factor == 1:
        return images
    size = [max(THINNEST, round(side * factor)) for side in images.shape[-2:]]
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


def classify(scores: Tensor) -> Tensor:
    """Global average pooling: score maps (N, C, h, w) -> image-level logits (N, C)."""
    return scores.mean(dim=(2, 3))
