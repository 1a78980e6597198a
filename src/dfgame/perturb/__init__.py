"""The adversary's moves, one file each: what a map of numbers does to an image, and where it may lie.

A new kind is a file here with `make(config)`, and its name in `config.Perturbation`.
"""

from abc import ABC, abstractmethod
from importlib import import_module

from jaxtyping import Float
from torch import Tensor

from dfgame.config import TrainConfig

Images = Float[Tensor, "B 3 H W"]
Map = Float[Tensor, "B M H W"]
Strength = Float[Tensor, "B 1 H W"]


class Perturbation(ABC):
    """One kind of perturbation. Its map has `maps` numbers a pixel.

    A generator draws raw maps, any real numbers, and `from_raw` brings them into the set that is allowed. The
    gradient game walks from `start` by `ascend`, which stays in that set. `apply` is differentiable in the map.
    """

    maps: int

    @abstractmethod
    def from_raw(self, raw: Map, budget: Tensor | None = None) -> Map:
        """A generator's output as an allowed map; a learned `budget` takes the place of the settings' one."""

    @abstractmethod
    def start(self, images: Images) -> Map:
        """The map from which the gradient game sets out."""

    @abstractmethod
    def ascend(self, maps: Map, slope: Map, step: float) -> Map:
        """One step up the slope of the detector's loss, brought back into the set."""

    @abstractmethod
    def apply(self, images: Images, maps: Map) -> Images:
        """The perturbed images, in [0, 1] if the clean ones are."""

    @abstractmethod
    def strength(self, maps: Map) -> Strength:
        """How much is done to each pixel, 0 (nothing) to about 1, for pictures."""

    @property
    def learned_budget(self) -> float | None:
        """The budget from which generators set out to learn their own; None where it is fixed."""
        return None


def make_perturbation(config: TrainConfig) -> Perturbation:
    """The perturbation of a game's settings."""
    return import_module(f"dfgame.perturb.{config.adversary.perturbation}").make(config)
