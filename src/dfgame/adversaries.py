"""Who plays against the detector: a pair of generators, its own gradient, random blur, or nobody.

Each adversary answers `perturb` (images that keep their label and are harder) and `move` (the same for a batch in
parts, with its own learning steps). In both the detector is frozen: eval mode, no gradients of its weights. What a
move does to an image is a `Perturbation`, in perturb/.

Axes: as in blur.py and models/detector.py. Labels: real 0; fake 1, or 1 to 4 by manipulation method.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from dfgame.config import AdversaryConfig, OptimizerConfig, TrainConfig
from dfgame.models import Detector, Generator, probabilities
from dfgame.perturb import Perturbation, make_perturbation
from dfgame.perturb.blur import GaussianBlur
from dfgame.records import LABELS

Images = Float[Tensor, "B 3 H W"]
Labels = Int[Tensor, "B"]
Part = tuple[Images, Labels]
"""Clean images and their labels: a batch, or a part of it where memory is short."""
REAL = 0


class Moved(NamedTuple):
    """The adversary's answer to each part of a batch, and what its learning step was worth, by name."""

    perturbed: list["Perturbed"]
    scalars: dict[str, float]


class Perturbed(NamedTuple):
    """Adversarial images in [0, 1], and the map of the perturbation that made them."""

    images: Float[Tensor, "B 3 H W"]
    maps: Float[Tensor, "B M H W"]


@contextmanager
def frozen(detector: Detector) -> Iterator[None]:
    """Inside, the detector is in eval mode, its weights take no gradient, adversarial statistics apply."""
    training, learned = detector.training, [p for p in detector.parameters() if p.requires_grad]
    detector.eval()
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        with detector.adversarial_statistics(), detector.folded_norms():
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


def make_optimizer(parameters: Iterator[nn.Parameter], lr: float, config: OptimizerConfig) -> torch.optim.Optimizer:
    """RAdam, or SGD with momentum."""
    if config.kind == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=config.momentum, weight_decay=config.weight_decay)
    return torch.optim.RAdam(parameters, lr=lr, betas=(config.momentum, 0.999), weight_decay=config.weight_decay)


def rate_factor(config: TrainConfig, number: int) -> float:
    """What the learning rates are multiplied with in a round; it follows from the round's number alone."""
    settings = config.optimizer
    rising = min((number + 1) / settings.warmup, 1) if settings.warmup else 1.0
    if settings.schedule == "cosine":
        return rising * (1 + math.cos(math.pi * number / config.rounds)) / 2
    return rising * settings.decay_factor ** (number // config.rounds_per_epoch // settings.decay_epochs)


class Adversary(nn.Module):
    """What every adversary is. Those that learn hold their networks and optimisers.

    `attacks` is as in the settings, for who sets the images before it; where `shuffled` is, too, its maps are moved
    to random pixels.
    """

    def __init__(self, perturbation: Perturbation, config: AdversaryConfig) -> None:
        super().__init__()
        self.perturbation, self.attacks = perturbation, config.attacks
        self._shuffled = config.shuffled

    @abstractmethod
    def maps(self, images: Images, labels: Labels, detector: Detector) -> Tensor:
        """The map of each image."""

    @torch.no_grad()
    def perturb(self, images: Images, labels: Labels, detector: Detector) -> Perturbed:
        """Harder versions of `images`."""
        return self._answer(images, self.maps(images, labels, detector))

    def move(self, parts: Sequence[Part], detector: Detector, moves: int) -> Moved:
        """So many moves on a batch in parts. Those that do not learn make theirs in `perturb`."""
        return Moved([self.perturb(*part, detector) for part in parts], {})

    def _answer(self, images: Images, maps: Tensor, drawn: Tensor | None = None) -> Perturbed:
        """What comes of the maps, `drawn` if it is there already."""
        if self._shuffled:
            maps, drawn = at_random_pixels(maps), None
        return Perturbed(self.perturbation.apply(images, maps) if drawn is None else drawn, maps)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers, by name, for the schedule and the checkpoint."""
        return {}


class RandomBlur(Adversary):
    """The fair baseline: blur of the same greatest strength, placed and chosen by nobody.

    One sigma an image, uniform from nothing to the constraint's own uniform sigma.
    """

    def maps(self, images: Images, labels: Labels, detector: Detector) -> Tensor:
        """The precision of a Gaussian for each image, the same for all its pixels."""
        share = torch.rand((images.shape[0], 1, 1, 1), dtype=images.dtype).to(images.device)
        least = torch.finfo(images.dtype).eps
        return self.perturbation.start(images) / share.clamp_min(least).square()


class GradientAdversary(Adversary):
    """No network: `moves` steps up the detector's own loss, each brought back into the allowed set.

    For the blur: from a uniform map, s <- s + step dCE/ds. CE is summed over the images, so that an image's step
    does not depend on how many others are in its batch.
    """

    def __init__(self, perturbation: Perturbation, config: AdversaryConfig) -> None:
        super().__init__(perturbation, config)
        self._moves, self._step = config.moves, config.step

    def maps(self, images: Images, labels: Labels, detector: Detector) -> Tensor:
        """Climb the detector's loss."""
        maps = self.perturbation.start(images)
        with frozen(detector), torch.enable_grad():
            for _ in range(self._moves):
                maps.requires_grad_(True)
                loss = cross_entropy(detector(self.perturbation.apply(images, maps)), labels).sum()
                (slope,) = torch.autograd.grad(loss, maps)
                maps = self.perturbation.ascend(maps.detach(), slope, self._step)
        return maps


class GeneratorAdversary(Adversary):
    """A network for real and one for fake images that draw the maps and learn to mislead the detector."""

    def __init__(self, perturbation: Perturbation, config: AdversaryConfig, optimizer: OptimizerConfig) -> None:
        super().__init__(perturbation, config)
        self._loss = config.loss
        self.generators = nn.ModuleDict(
            {label: Generator(perturbation.maps, config.filters, config.blocks, config.norm) for label in LABELS}
        )
        learned = perturbation.learned_budget is not None
        self.log_scales = nn.ParameterDict(
            {label: nn.Parameter(torch.zeros(())) for label in LABELS} if learned else {}
        )
        self._optimizer = make_optimizer(self.parameters(), config.lr, optimizer)

    def forward(self, images: Images, labels: Labels) -> Tensor:
        """The maps, each image's by its own side's generator."""
        maps = images.new_empty((images.shape[0], self.perturbation.maps, *images.shape[2:]))
        for label, of_label in zip(LABELS, (labels == REAL, labels != REAL), strict=True):
            chosen = of_label.nonzero().squeeze(1)
            if len(chosen):
                raw = self.generators[label](images[chosen]).to(images.dtype)
                drawn = self.perturbation.from_raw(raw, self._learned_budget(label))
                maps = maps.index_put((chosen,), drawn)
        return maps

    def _learned_budget(self, label: str) -> Tensor | None:
        """N of learn-norm, learned as a factor exp(t) so that its rate does not depend on its size."""
        budget = self.perturbation.learned_budget
        return None if budget is None else budget * self.log_scales[label].exp()

    def maps(self, images: Images, labels: Labels, detector: Detector) -> Tensor:
        """The generators' present answer."""
        return self(images, labels)

    def move(self, parts: Sequence[Part], detector: Detector, moves: int) -> Moved:
        """Steps of both generators, each on the images of its own side; as published, the last step's images count.

        They are what the generators drew before that step: to draw again would cost a pass and gain one step.
        """
        moved = Moved([], {})
        for _ in range(moves):
            self._optimizer.zero_grad(set_to_none=True)
            answers, total = [], 0.0
            with frozen(detector):
                for images, labels in parts:
                    maps = self(images, labels)
                    drawn = self.perturbation.apply(images, maps)
                    loss = adversary_loss(detector(drawn), labels, self._loss) / len(parts)
                    loss.backward()
                    total += loss.item()
                    with torch.no_grad():
                        answers.append(self._answer(images, maps.detach(), drawn.detach()))
            self._optimizer.step()
            moved = Moved(answers, {"loss": total})
        return moved

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimiser over both generators."""
        return {"generators": self._optimizer}


def at_random_pixels(maps: Float[Tensor, "B M H W"]) -> Float[Tensor, "B M H W"]:
    """Each image's map with its pixels in a random order: the same strengths, placed by nobody."""
    pixels = maps.shape[2] * maps.shape[3]
    order = torch.stack([torch.randperm(pixels) for _ in maps]).to(maps.device)
    return maps.flatten(2).gather(2, order[:, None].expand(-1, maps.shape[1], -1)).view_as(maps)


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


def make_adversary(config: TrainConfig) -> Adversary | None:
    """The adversary of a game; None where nobody plays."""
    match config.game:
        case "none":
            return None
        case "random-blur":
            return RandomBlur(GaussianBlur(config.blur), config.adversary)
        case "gradient":
            return GradientAdversary(make_perturbation(config), config.adversary)
        case "generator":
            return GeneratorAdversary(make_perturbation(config), config.adversary, config.optimizer)
