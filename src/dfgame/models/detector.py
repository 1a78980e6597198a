"""The detector: a timm backbone with a patch head or an fc head.

Source: game of Wang, Guo, Zuo (IEEE TIP 2022), section IV; auxiliary BatchNorm: Xie et al., "Adversarial
Examples Improve Image Recognition" (AdvProp), CVPR 2020.

Axes: B images, P patches (1 with the fc head), C classes (real 0, fake 1; or real 0 and a class for each of the four
manipulation methods), F features, h, w of the last map.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dfgame.config import DetectorConfig
from dfgame.models.folded import Pair, fold, foldable, folded
from dfgame.models.normalised import normalise_at_once
from dfgame.models.same_padding import HEIGHT_AND_WIDTH, work_mirrored
from dfgame.records import LABELS, METHODS

_PROBE_SIZE = (64, 64)
PACKAGED_BACKBONE = "tf_efficientnet_lite0"
_LITE0_MEAN, _LITE0_STD = 127 / 255, 128 / 255
"""What the packaged ImageNet weights of EfficientNet-Lite0 were trained with: (rgb - 127) / 128."""


class PatchHead(nn.Module):
    """A strided 3 x 3 convolution on the last feature map: ceil(h / stride)^2 predictions an image."""

    def __init__(self, features: int, classes: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, classes, kernel_size=3, stride=stride, padding=1)

    def forward(self, features: Float[Tensor, "B F h w"]) -> Float[Tensor, "B P C"]:
        """Logits of each patch."""
        return self.conv(features).flatten(2).transpose(1, 2)


class FcHead(nn.Module):
    """Global average pooling, dropout, linear: one prediction an image."""

    def __init__(self, features: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, classes)

    def forward(self, features: Float[Tensor, "B F h w"]) -> Float[Tensor, "B 1 C"]:
        """Logits of the image."""
        return self.linear(self.dropout(features.mean(dim=(2, 3)))).unsqueeze(1)


class SplitNorm(nn.Module):
    """A BatchNorm with a twin for adversarial images; both start alike."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.main = norm
        self.auxiliary = copy.deepcopy(norm)
        self.adversarial = False

    def forward(self, features: Tensor) -> Tensor:
        """Normalise with the statistics that were chosen."""
        return (self.auxiliary if self.adversarial else self.main)(features)


class Detector(nn.Module):
    """Face crops -> logits.

    `forward` takes RGB images in [0, 1], (B, 3, H, W), and returns logits (B, P, C), C being 2, or 5 with `multi`;
    `probabilities` turns them into an image's probabilities. The input statistics of the weights that training starts
    from, mean and standard deviation of each colour, are applied inside, so that an adversary works in pixels. With
    `bn2`, `adversarial_statistics()` routes images through auxiliary BN. The backbone may work on mirrored images (see
    same_padding.py), and its own maps then are, too.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        backbone: Any = timm.create_model(config.backbone, pretrained=False, num_classes=0, global_pool="")
        self._mirrored = work_mirrored(backbone)
        normalise_at_once(backbone)
        self.backbone: nn.Module = backbone
        self.multi = config.multi
        features, classes = _map_features(backbone), len(class_names(config.multi))
        self.head = (
            PatchHead(features, classes, config.stride)
            if config.head == "patch"
            else FcHead(features, classes, config.dropout)
        )
        own = backbone.pretrained_cfg["mean"], backbone.pretrained_cfg["std"]
        self.input_statistics = input_statistics(config.weights) or input_statistics(config.backbone) or own
        mean, std = self.input_statistics
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self._split_norms: list[SplitNorm] = []
        self._foldable: dict[bool, list[Pair]] = {}

    def split_batch_norms(self) -> None:
        """Give every BatchNorm of the backbone its auxiliary twin. Call it after weights were loaded."""
        for parent in list(self.backbone.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    split = SplitNorm(child)
                    setattr(parent, name, split)
                    self._split_norms.append(split)

    def match_batch_norms(self) -> None:
        """Make the auxiliary BatchNorms equal to their twins again."""
        for norm in self._split_norms:
            norm.auxiliary.load_state_dict(norm.main.state_dict())

    def set_stride(self, stride: int) -> None:
        """Look at other patches than in training: the patch head's convolution serves any stride.

        Raises:
            ValueError: the head has no patches.
        """
        if not isinstance(self.head, PatchHead):
            raise ValueError("the fc head has no patches")
        self.head.conv.stride = (stride, stride)

    @property
    def has_auxiliary_norms(self) -> bool:
        """Whether adversarial images have statistics of their own."""
        return bool(self._split_norms)

    @contextmanager
    def adversarial_statistics(self) -> Iterator[None]:
        """Inside, images are normalised with the auxiliary statistics, if there are any."""
        for norm in self._split_norms:
            norm.adversarial = True
        try:
            yield
        finally:
            for norm in self._split_norms:
                norm.adversarial = False

    @contextmanager
    def folded_norms(self) -> Iterator[None]:
        """Inside, in eval mode, the backbone's convolutions do the work of the BatchNorms after them where they can.

        Which can is found at the first call. A compiled backbone is left alone.
        """
        with folded(self._pairs()):
            yield

    def folded(self, like: "Detector | None" = None) -> "Detector":
        """A copy in eval mode that scores faster, by the weights and statistics of now, and is for nothing else.

        `like` is such a copy of a detector of the same architecture: what can be folded need not be found again.
        """
        made = copy.deepcopy(self).eval()
        if like is not None:
            names, own = {module: name for name, module in like.named_modules()}, dict(made.named_modules())
            for key, pairs in like._foldable.items():
                made._foldable[key] = [(own[names[conv]], own[names[norm]]) for conv, norm in pairs]
        fold(made._pairs())
        return made

    def _pairs(self) -> list[Pair]:
        """What can be folded, for the statistics that are chosen."""
        adversarial = any(norm.adversarial for norm in self._split_norms)
        if adversarial not in self._foldable:
            compiled = self.backbone._compiled_call_impl is not None
            self._foldable[adversarial] = [] if compiled else foldable(self.backbone, _pattern().to(self.mean))
        return self._foldable[adversarial]

    def features(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B F h w"]:
        """The last feature map."""
        normalised = (images - self.mean) / self.std
        if not self._mirrored:
            return self.backbone(normalised)
        return self.backbone(normalised.flip(HEIGHT_AND_WIDTH)).flip(HEIGHT_AND_WIDTH)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B P C"]:
        """Logits of each patch, in float32."""
        return self.head(self.features(images)).float()


def input_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and standard deviation of the colours that weights were trained with; None where timm has none so named."""
    if name == PACKAGED_BACKBONE:
        return (_LITE0_MEAN,) * 3, (_LITE0_STD,) * 3
    known = timm.get_pretrained_cfg(name) if timm.is_model_pretrained(name) else None
    return (known.mean, known.std) if known else None


def class_names(multi: bool) -> tuple[str, ...]:
    """The classes in the order of the logits: real and fake, or real and each manipulation method."""
    return ("real", *METHODS) if multi else LABELS


def _map_features(backbone: Any) -> int:
    """Channels of the last feature map, found by looking: timm's `num_features` may be those of a later layer.

    Raises:
        ValueError: what comes out is not a map of (B, F, h, w), so that there are no patches.
    """
    training = backbone.training
    with torch.inference_mode():
        shape = backbone.eval()(torch.zeros((1, 3, *_PROBE_SIZE))).shape
    backbone.train(training)
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ValueError(f"its features have the shape {tuple(shape)}, not that of a map (B, F, h, w)")
    return shape[1]


def _pattern() -> Float[Tensor, "1 3 h w"]:
    """An image of many colours."""
    height, width = _PROBE_SIZE
    return torch.linspace(0, 60, 3 * height * width).sin().view(1, 3, height, width)


def probabilities(logits: Float[Tensor, "B P C"]) -> Float[Tensor, "B C"]:
    """An image's probabilities: the mean of its patches' softmax."""
    return logits.softmax(dim=2).mean(dim=1)
