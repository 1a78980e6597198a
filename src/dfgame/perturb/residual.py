"""A generator that draws what is added to the image, or the image itself. The map is its raw drawing."""

import torch
from torch import Tensor

from dfgame.config import ResidualConfig, TrainConfig
from dfgame.perturb import Images, Map, Perturbation, Strength

SHOWN = 0.1
"""The residual whose strength is 1 where the settings set no bound."""


class Residual(Perturbation):
    """x' = x + r, or with `replace` the drawn image; r within the bound, x' within [0, 1]. Generators only."""

    maps = 3

    def __init__(self, config: ResidualConfig) -> None:
        self.bound, self.replace = config.bound, config.replace

    def from_raw(self, raw: Map, budget: Tensor | None = None) -> Map:
        """The drawing: r, or the new image's pixels in [0, 1]."""
        return torch.sigmoid(raw) if self.replace else raw

    def start(self, images: Images) -> Map:
        """Nothing is added."""
        return images.clone() if self.replace else torch.zeros_like(images)

    def ascend(self, maps: Map, slope: Map, step: float) -> Map:
        """Plain ascent."""
        return maps + step * slope

    def apply(self, images: Images, maps: Map) -> Images:
        """Add what was drawn, as far as the bound allows."""
        change = maps - images if self.replace else maps
        if self.bound:
            change = change.clamp(-self.bound, self.bound)
        return (images + change).clamp(0, 1)

    def strength(self, maps: Map) -> Strength:
        """What is added, as a share of the bound; of a replaced image, its brightness."""
        if self.replace:
            return maps.mean(dim=1, keepdim=True)
        return maps.abs().mean(dim=1, keepdim=True) / (self.bound or SHOWN)


def make(config: TrainConfig) -> Residual:
    """From the settings."""
    return Residual(config.residual)
