"""Settings of the players and of how they learn: the groups of a training's settings."""

import dataclasses
from dataclasses import dataclass
from math import inf
from typing import Literal

from dfgame.config.values import Perturbation, at_least, require


@dataclass(frozen=True)
class DetectorConfig:
    """The player that tells real from fake."""

    backbone: str = "tf_efficientnet_lite0"
    """Any timm backbone by name; the paper's are tf_efficientnet_b3, b5 and b7."""
    pretrained: bool = True
    """Start from ImageNet weights: packaged ones for tf_efficientnet_lite0, timm's own otherwise."""
    weights: str = ""
    """Start from these instead: a .safetensors file of a run, or a timm name, as tf_efficientnet_b5.ap_in1k."""
    head: Literal["patch", "fc"] = "patch"
    """patch: a prediction for each patch, averaged after the softmax; fc: pooling, dropout, linear."""
    stride: int = 2
    """Stride of the patch head's convolution."""
    dropout: float = 0.5
    """Dropout before the fc head's linear layer."""
    bn2: bool = False
    """Adversarial images go through BatchNorm statistics of their own (AdvProp's auxiliary BN)."""
    multi: bool = False
    """Five classes instead of two: real, and each of the four manipulation methods."""

    def __post_init__(self) -> None:
        at_least("detector.stride", self.stride, 1)
        require(0 <= self.dropout < 1, "detector.dropout", "at least 0 and below 1")


@dataclass(frozen=True)
class BlurConfig:
    """The pixel-wise Gaussian blur and how the adversary's raw output becomes its precision map."""

    window: int = 3
    """Side of the window in pixels, odd."""
    constraint: Literal["auto", "clamp", "free", "norm", "learn-norm"] = "auto"
    """clamp: s >= 1; free: s >= 0; norm: a fixed budget of sharpness an image; learn-norm: a learned one; auto: the
    published one of each game, norm with --game gradient and clamp with others."""
    budget: float = 100.0
    """N of the norm constraint for a 256 x 256 image; scaled with the image's size."""
    sigmoid: bool = False
    """sigmoid(u) takes the place of u^2."""
    channels: Literal[1, 3] = 1
    """One sigma for the three colours, or one each."""

    def __post_init__(self) -> None:
        require(self.window >= 3 and self.window % 2 == 1, "blur.window", "odd and at least 3")
        require(0 < self.budget < inf, "blur.budget", "a number above 0")
        require(self.channels in (1, 3), "blur.channels", "1 or 3")
        constant = self.sigmoid and self.constraint in ("auto", "clamp")
        require(not constant, "blur.sigmoid", "used with another --blur.constraint: under clamp s would be 1")


@dataclass(frozen=True)
class KernelConfig:
    """The general kernel: a weight of its own for each pixel of the window, no Gaussian."""

    window: int = 3
    """Side of the window in pixels, odd."""
    channels: Literal[1, 3] = 1
    """One kernel for the three colours, or one each."""

    def __post_init__(self) -> None:
        require(self.window >= 3 and self.window % 2 == 1, "kernel.window", "odd and at least 3")
        require(self.channels in (1, 3), "kernel.channels", "1 or 3")


@dataclass(frozen=True)
class FlowConfig:
    """A field of displacements: pixels are fetched from a little way off."""

    budget: float = 2.0
    """Root mean square of an image's displacements in pixels, at most; with tanh, of each component."""
    tanh: bool = False
    """Bound each displacement by tanh instead of scaling the field down to its budget."""

    def __post_init__(self) -> None:
        require(self.budget > 0, "flow.budget", "above 0")


@dataclass(frozen=True)
class ResidualConfig:
    """A generator that draws what is added to the image."""

    bound: float = 0.0
    """Largest change of a pixel, in [0, 1]; 0 sets no bound."""
    replace: bool = False
    """The generator draws the whole image instead of what is added to it."""

    def __post_init__(self) -> None:
        require(0 <= self.bound <= 1, "residual.bound", "from 0 to 1")


@dataclass(frozen=True)
class AdditiveConfig:
    """Classical adversarial noise."""

    budget: float = 1 / 255
    """Largest change of a pixel, in [0, 1], in the gradient game; its root mean square in the generator game."""
    step: float = 1 / 255
    """Size of a sign step of the gradient game."""

    def __post_init__(self) -> None:
        require(0 < self.budget <= 1, "additive.budget", "above 0 and at most 1")
        require(0 < self.step <= 1, "additive.step", "above 0 and at most 1")


@dataclass(frozen=True)
class AdversaryConfig:
    """The player that makes images harder without changing their label."""

    perturbation: Perturbation = "blur"
    """The move: pixel-wise Gaussian blur, or another kind for comparison."""
    start: int = 0
    """Epochs before the adversary enters the game."""
    share: float = 1.0
    """Share of the clean images that also appear as adversarial ones, as many real as fake, rounded to whole pairs."""
    attacks: Literal["both", "real", "fake"] = "both"
    """The images to attack; the others stand unchanged among the adversarial ones."""
    shuffled: bool = False
    """Move the adversary's map to random pixels: its strength without its choice of place, an ablation."""
    moves: int = 1
    """Moves of the adversary for each move of the detector (the reference's g_per_d)."""
    step: float = 10.0
    """Step of the gradient adversary along the slope of the cross-entropy."""
    loss: Literal["default", "lsgan", "wgan"] = "default"
    """What the generators minimise."""
    filters: int = 64
    """Filters of the generator's first convolution."""
    blocks: int = 3
    """Residual blocks of the generator."""
    norm: Literal["bn", "in"] = "bn"
    """The generator's normalisation: batch or instance."""
    lr: float = 2e-3
    """Learning rate of the generators."""
    weights: str = ""
    """Start the generators from this adversary.safetensors of an earlier run."""

    def __post_init__(self) -> None:
        at_least("adversary.start", self.start, 0)
        require(0 < self.share <= 1, "adversary.share", "above 0 and at most 1")
        at_least("adversary.moves", self.moves, 1)
        at_least("adversary.filters", self.filters, 1)
        at_least("adversary.blocks", self.blocks, 0)
        require(0 < self.step < inf, "adversary.step", "a number above 0")
        require(0 < self.lr < inf, "adversary.lr", "a number above 0")


@dataclass(frozen=True)
class AugmentConfig:
    """The paper's augmentation of the training images; most are probabilities that it is applied."""

    before: Literal["none", "light", "full"] = "full"
    """Of the clean image, before the adversary: nothing, flip and colour only, or all that follows."""
    again: Literal["none", "light", "full"] = "none"
    """What of it is applied a second time, as the published --aug_before (light) and --aug_before_full."""
    jpeg: float = 0.5
    """JPEG at a quality from 60 to 100."""
    noise: float = 0.1
    """Gaussian noise."""
    flip: float = 0.5
    """Left-right flip."""
    colour: float = 0.7
    """One of: brightness and contrast, PCA colour, hue and saturation."""
    grey: float = 0.2
    """Greyscale."""
    geometry: float = 0.5
    """Shift, scale and rotate."""
    after: bool = False
    """DiffAugment (colour, translation, cut-out) of clean and adversarial images after the adversary's move."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.type == "float" or item.type is float:
                require(0 <= value <= 1, f"augment.{item.name}", "a probability, from 0 to 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser of both players, and how fast they learn when."""

    kind: Literal["radam", "sgd"] = "radam"
    """RAdam, or stochastic gradient descent with momentum."""
    lr: float = 5e-4
    """Learning rate of the detector."""
    momentum: float = 0.9
    """Momentum of SGD; RAdam's first beta."""
    weight_decay: float = 5e-4
    """Weight decay of both players."""
    schedule: Literal["step", "cosine"] = "step"
    """How both learning rates go down: in steps, or in every round along half a cosine to 0 at the run's end."""
    decay_factor: float = 0.1
    """Both learning rates are multiplied by it every `decay_epochs`."""
    decay_epochs: int = 15
    """Epochs between decays."""
    warmup: int = 0
    """Rounds over which both learning rates rise from nothing."""
    weighted: bool = False
    """Weight the five classes in the loss by the inverse of their share of the batches."""

    def __post_init__(self) -> None:
        require(0 < self.lr < inf, "optimizer.lr", "a number above 0")
        require(0 <= self.momentum < 1, "optimizer.momentum", "at least 0 and below 1")
        require(0 <= self.weight_decay < inf, "optimizer.weight-decay", "a number of at least 0")
        require(0 < self.decay_factor <= 1, "optimizer.decay-factor", "above 0 and at most 1")
        at_least("optimizer.decay-epochs", self.decay_epochs, 1)
        at_least("optimizer.warmup", self.warmup, 0)
