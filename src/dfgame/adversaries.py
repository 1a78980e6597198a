"""Who plays against the detector: a pair of generators, its own gradient, random blur, or nobody.

Each adversary answers `perturb` (images that keep their label and are harder) and `update` (one learning
step of its own). In both the detector is frozen: eval mode, no gradients of its weights.

Axes: as in blur.py and models/detector.py. Labels: real 0, fake 1.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from dfgame.blur import pixelwise_gaussian_blur, precision_from_raw, project, uniform_precision
from dfgame.config import AdversaryConfig, BlurConfig, OptimizerConfig
from dfgame.models import Detector, Generator, probabilities
from dfgame.records import LABELS

Images = Float[Tensor, "B 3 H W"]
Labels = Int[Tensor, "B"]


class Perturbed(NamedTuple):
    """Adversarial images in [0, 1] and the precision map, 1/sigma^2, that made them."""

    images: Float[Tensor, "B 3 H W"]
    precision: Float[Tensor, "B S H W"]


@contextmanager
def frozen(detector: Detector) -> Iterator[None]:
    """Inside, the detector is in eval mode, its weights take no gradient, adversarial statistics apply."""
    training, learned = detector.training, [p for p in detector.parameters() if p.requires_grad]
    detector.eval()
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        with detector.adversarial_statistics():
            yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
        detector.train(training)


def cross_entropy(
    logits: Float[Tensor, "B P C"], labels: Labels, weights: Float[Tensor, "C"] | None = None
) -> Float[Tensor, "B"]:
    """Each image's cross-entropy: every patch against the image's label, averaged over the patches."""
    patches = logits.shape[1]
    each = functional.cross_entropy(
        logits.flatten(0, 1), labels.repeat_interleave(patches), weight=weights, reduction="none"
    )
    return each.view(-1, patches).mean(dim=1)


class Adversary(nn.Module):
    """What every adversary is. Those that learn hold their networks and optimisers."""

    @abstractmethod
    def perturb(self, images: Images, labels: Labels, detector: Detector) -> Perturbed:
        """Harder versions of `images`, detached from every graph."""

    def update(self, images: Images, labels: Labels, detector: Detector) -> dict[str, float]:
        """One learning step; returns what it was worth, by name. Nothing for those that do not learn."""
        return {}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers, by name, for the schedule and the checkpoint."""
        return {}


class RandomBlur(Adversary):
    """The fair baseline: blur of the same greatest strength, placed and chosen by nobody.

    One sigma an image, uniform from nothing to the constraint's own uniform sigma.
    """

    def __init__(self, blur: BlurConfig) -> None:
        super().__init__()
        self.blur = blur

    @torch.no_grad()
    def perturb(self, images: Images, labels: Labels, detector: Detector) -> Perturbed:
        """Blur each image with a Gaussian of its own, the same for all its pixels."""
        share = torch.rand((images.shape[0], 1, 1, 1), device=images.device, dtype=images.dtype)
        least = torch.finfo(images.dtype).eps
        precision = uniform_precision(images, self.blur) / share.clamp_min(least).square()
        return Perturbed(pixelwise_gaussian_blur(images, precision, self.blur.window), precision)


class GradientBlur(Adversary):
    """No network: from a uniform map, `moves` steps s <- s + step dCE/ds along the detector's own gradient.

    After each step the map is brought back under the constraint. CE is summed over the images, so that an
    image's step does not depend on how many others are in its batch.
    """

    def __init__(self, blur: BlurConfig, moves: int, step: float) -> None:
        super().__init__()
        self.blur, self.moves, self.step = blur, moves, step

    def perturb(self, images: Images, labels: Labels, detector: Detector) -> Perturbed:
        """Climb the detector's loss."""
        precision = uniform_precision(images, self.blur)
        with frozen(detector):
            for _ in range(self.moves):
                precision.requires_grad_(True)
                blurred = pixelwise_gaussian_blur(images, precision, self.blur.window)
                loss = cross_entropy(detector(blurred), labels).sum()
                (slope,) = torch.autograd.grad(loss, precision)
                precision = project(precision.detach() + self.step * slope, self.blur)
        with torch.no_grad():
            return Perturbed(pixelwise_gaussian_blur(images, precision, self.blur.window), precision)


class GeneratorBlur(Adversary):
    """A network for each class that draws the precision map and learns to mislead the detector."""

    def __init__(self, blur: BlurConfig, config: AdversaryConfig, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.blur, self.loss = blur, config.loss
        self.generators = nn.ModuleDict(
            {label: Generator(blur.channels, config.filters, config.blocks, config.norm) for label in LABELS}
        )
        learned = blur.constraint == "learn-norm"
        self.log_scales = nn.ParameterDict(
            {label: nn.Parameter(torch.zeros(())) for label in LABELS} if learned else {}
        )
        self._optimizer = torch.optim.RAdam(self.parameters(), lr=config.lr, weight_decay=optimizer.weight_decay)

    def forward(self, images: Images, labels: Labels) -> Perturbed:
        """Each image through its own class's generator."""
        precision = images.new_empty((images.shape[0], self.blur.channels, *images.shape[2:]))
        for number, label in enumerate(LABELS):
            chosen = (labels == number).nonzero().squeeze(1)
            if len(chosen):
                raw = self.generators[label](images[chosen]).to(images.dtype)
                precision = precision.index_put(
                    (chosen,), precision_from_raw(raw, self.blur, self._learned_budget(label))
                )
        return Perturbed(pixelwise_gaussian_blur(images, precision, self.blur.window), precision)

    def _learned_budget(self, label: str) -> Tensor | None:
        """N of learn-norm, learned as a factor exp(t) so that its rate does not depend on its size."""
        return self.blur.budget * self.log_scales[label].exp() if label in self.log_scales else None

    @torch.no_grad()
    def perturb(self, images: Images, labels: Labels, detector: Detector) -> Perturbed:
        """The generators' present answer."""
        return self(images, labels)

    def update(self, images: Images, labels: Labels, detector: Detector) -> dict[str, float]:
        """One step of both generators, each on the images of its own class."""
        with frozen(detector):
            logits = detector(self(images, labels).images)
            loss = adversary_loss(logits, labels, self.loss)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
        self._optimizer.step()
        return {"loss": loss.item()}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One RAdam over both generators."""
        return {"generators": self._optimizer}


def adversary_loss(logits: Float[Tensor, "B P C"], labels: Labels, kind: str) -> Float[Tensor, ""]:
    """What the generators minimise, the mean over the images; y is the true class.

    default: -CE(D(x'), y); lsgan: (p_y(x') - 0)^2; wgan: the mean logit margin of the true class.
    """
    rows = torch.arange(len(labels), device=labels.device)
    match kind:
        case "default":
            return -cross_entropy(logits, labels).mean()
        case "lsgan":
            return probabilities(logits)[rows, labels].square().mean()
        case "wgan":
            of_label = logits[rows, :, labels]
            others = (logits.sum(dim=2) - of_label) / (logits.shape[2] - 1)
            return (of_label - others).mean()
    raise ValueError(f"--adversary.loss: {kind} is not one of default, lsgan, wgan")


def make_adversary(
    game: str, blur: BlurConfig, config: AdversaryConfig, optimizer: OptimizerConfig
) -> Adversary | None:
    """The adversary of a game; None where nobody plays."""
    match game:
        case "none":
            return None
        case "random-blur":
            return RandomBlur(blur)
        case "gradient":
            return GradientBlur(blur, config.moves, config.step)
        case "generator":
            return GeneratorBlur(blur, config, optimizer)
    raise ValueError(f"--game: {game} is not one of none, random-blur, gradient, generator")
