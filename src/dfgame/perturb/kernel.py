"""The general kernel: K^2 weights for each pixel, without a Gaussian; the map is their logits.

As in the blur, the weights are not negative and sum to 1, and the border is reflected.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dfgame.config import KernelConfig, TrainConfig
from dfgame.perturb import Images, Map, Perturbation, Strength


class GeneralKernel(Perturbation):
    """The softmax of the map's numbers weights the window's pixels; equal numbers are the box mean."""

    def __init__(self, config: KernelConfig) -> None:
        self.window, self.channels = config.window, config.channels
        self.maps = config.channels * config.window**2

    def from_raw(self, raw: Map, budget: Tensor | None = None) -> Map:
        """Any numbers are logits."""
        return raw

    def start(self, images: Images) -> Map:
        """The box mean."""
        return images.new_zeros((images.shape[0], self.maps, *images.shape[2:]))

    def ascend(self, maps: Map, slope: Map, step: float) -> Map:
        """Plain ascent of the logits."""
        return maps + step * slope

    def apply(self, images: Images, maps: Map) -> Images:
        """Each pixel the weighted mean of its window."""
        reach = self.window // 2
        height, width = images.shape[2:]
        padded = functional.pad(images, (reach,) * 4, mode="reflect")
        offsets = [(dy, dx) for dy in range(self.window) for dx in range(self.window)]
        weights = self._weights(maps)
        result = torch.zeros_like(images)
        for number, (dy, dx) in enumerate(offsets):
            result = result + weights[:, :, number] * padded[..., dy : dy + height, dx : dx + width]
        return result

    def strength(self, maps: Map) -> Strength:
        """The weight that went to other pixels."""
        centre = self._weights(maps)[:, :, self.window**2 // 2]
        return 1 - centre.mean(dim=1, keepdim=True)

    def _weights(self, maps: Map) -> Tensor:
        """(B, 1 or 3, K^2, H, W), summing to 1 over the third axis."""
        batch, _, height, width = maps.shape
        return maps.view(batch, self.channels, self.window**2, height, width).softmax(dim=2)


def make(config: TrainConfig) -> GeneralKernel:
    """From the settings."""
    return GeneralKernel(config.kernel)
