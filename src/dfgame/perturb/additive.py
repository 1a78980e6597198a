"""Classical adversarial noise: FGSM and PGD in the gradient game, an L2-normalised step in the generator game.

Source: Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015; Madry et al., ICLR 2018.
"""

import torch
from torch import Tensor

from dfgame.config import AdditiveConfig, TrainConfig
from dfgame.perturb import Images, Map, Perturbation, Strength


class Additive(Perturbation):
    """The map is what is added: after sign steps within +-budget, from a generator of that root mean square."""

    maps = 3

    def __init__(self, config: AdditiveConfig) -> None:
        self.budget, self.step = config.budget, config.step

    def from_raw(self, raw: Map, budget: Tensor | None = None) -> Map:
        """The drawn direction, with the budget's L2 length: budget sqrt(number of values)."""
        norm = torch.linalg.vector_norm(raw, dim=(1, 2, 3), keepdim=True)
        return self.budget * raw[0].numel() ** 0.5 * raw / norm.clamp_min(torch.finfo(raw.dtype).tiny)

    def start(self, images: Images) -> Map:
        """Nothing is added."""
        return torch.zeros_like(images)

    def ascend(self, maps: Map, slope: Map, step: float) -> Map:
        """A step of one size up or down at each pixel, projected to the ball of the greatest change."""
        return (maps + self.step * slope.sign()).clamp(-self.budget, self.budget)

    def apply(self, images: Images, maps: Map) -> Images:
        """Add it; what leaves [0, 1] is cut off."""
        return (images + maps).clamp(0, 1)

    def strength(self, maps: Map) -> Strength:
        """What is added, as a share of the budget."""
        return maps.abs().mean(dim=1, keepdim=True) / self.budget


def make(config: TrainConfig) -> Additive:
    """From the settings."""
    return Additive(config.additive)
