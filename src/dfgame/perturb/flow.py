"""A field of displacements, in pixels: x'(p) = x(p + f(p)), bilinear, reflected at the border.

Source: Xiao et al., "Spatially Transformed Adversarial Examples" (stAdv), ICLR 2018.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dfgame.config import FlowConfig, TrainConfig
from dfgame.perturb import Images, Map, Perturbation, Strength


class Flow(Perturbation):
    """The map is f: two numbers a pixel, columns first."""

    maps = 2

    def __init__(self, config: FlowConfig) -> None:
        self.budget, self.tanh = config.budget, config.tanh

    def from_raw(self, raw: Map, budget: Tensor | None = None) -> Map:
        """Bounded by tanh, or scaled down to the budget."""
        return self.budget * torch.tanh(raw) if self.tanh else self._within_budget(raw)

    def start(self, images: Images) -> Map:
        """Nothing moves."""
        return images.new_zeros((images.shape[0], 2, *images.shape[2:]))

    def ascend(self, maps: Map, slope: Map, step: float) -> Map:
        """Ascent, then the bound on each displacement or on their root mean square."""
        moved = maps + step * slope
        return moved.clamp(-self.budget, self.budget) if self.tanh else self._within_budget(moved)

    def apply(self, images: Images, maps: Map) -> Images:
        """Fetch each pixel from where its displacement points."""
        height, width = images.shape[2:]
        rows = torch.arange(height, device=images.device, dtype=images.dtype).view(1, -1, 1)
        columns = torch.arange(width, device=images.device, dtype=images.dtype).view(1, 1, -1)
        places = torch.stack(
            [2 * (columns + maps[:, 0]) / (width - 1) - 1, 2 * (rows + maps[:, 1]) / (height - 1) - 1], dim=3
        )
        return functional.grid_sample(images, places, padding_mode="reflection", align_corners=True)

    def strength(self, maps: Map) -> Strength:
        """Displacement, as a share of the budget."""
        return maps.norm(dim=1, keepdim=True) / self.budget

    def _within_budget(self, maps: Map) -> Map:
        """Scaled down so that the root mean square displacement of an image is the budget at most."""
        displacement = maps.square().sum(dim=1).mean(dim=(1, 2)).clamp_min(torch.finfo(maps.dtype).tiny).sqrt()
        return maps * (self.budget / displacement).clamp_max(1).view(-1, 1, 1, 1)


def make(config: TrainConfig) -> Flow:
    """From the settings."""
    return Flow(config.flow)
