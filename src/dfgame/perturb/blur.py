"""Pixel-wise Gaussian blur, the paper's move (section III): the map is the precision, 1 / sigma^2."""

from torch import Tensor

from dfgame.blur import pixelwise_gaussian_blur, precision_from_raw, project, sigma, uniform_precision
from dfgame.config import BlurConfig, TrainConfig
from dfgame.perturb import Images, Map, Perturbation, Strength

SIGMA_SHOWN = 2.0
"""The sigma, in pixels, whose strength is 1."""


class GaussianBlur(Perturbation):
    """Each pixel under its own Gaussian."""

    def __init__(self, config: BlurConfig) -> None:
        self.config = config
        self.maps = config.channels

    def from_raw(self, raw: Map, budget: Tensor | None = None) -> Map:
        """See `precision_from_raw`."""
        return precision_from_raw(raw, self.config, budget)

    def start(self, images: Images) -> Map:
        """One sigma everywhere."""
        return uniform_precision(images, self.config)

    def ascend(self, maps: Map, slope: Map, step: float) -> Map:
        """S <- s + step dCE/ds, then the constraint."""
        return project(maps + step * slope, self.config)

    def apply(self, images: Images, maps: Map) -> Images:
        """See `pixelwise_gaussian_blur`."""
        return pixelwise_gaussian_blur(images, maps, self.config.window)

    def strength(self, maps: Map) -> Strength:
        """Sigma, as a share of two pixels."""
        return sigma(maps).mean(dim=1, keepdim=True) / SIGMA_SHOWN

    @property
    def learned_budget(self) -> float | None:
        """N, under learn-norm."""
        return self.config.budget if self.config.constraint == "learn-norm" else None


def make(config: TrainConfig) -> GaussianBlur:
    """From the settings."""
    return GaussianBlur(config.blur)
