"""The two adversaries of the game, at test time, against the detector under test: how strong must an attack be?

They do what somebody would do who has a fake to pass off: fakes alone are attacked, so that they look real, and real
videos stay as they are; nobody gains by making his own genuine video look forged. The attacker knows the detector, and
follows its slope (no stronger knowledge can be had); he sees its answer, and where his attack made things worse he
leaves the frame as it was. What he makes are pictures of 8 bits, as a file would hold them.

Both walk in steps of one length at every pixel, along the sign of the slope, inside the set that the strength allows.
They work in the detector's own pixels, to which a sigma is converted from pixels of the crop.
"""

from math import ceil
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from dfgame.adversaries import GradientAdversary
from dfgame.config import AdditiveConfig, AdversaryConfig, BlurConfig
from dfgame.explain.scoring import TwoSided
from dfgame.models import Detector
from dfgame.perturb import Images, Map, Perturbation
from dfgame.perturb.additive import Additive
from dfgame.perturb.blur import GaussianBlur
from dfgame.robustness.points import Point
from dfgame.robustness.subjects import Subject
from dfgame.robustness.transform import GREY_LEVELS

FAKE = 1
REACH = 2.0
"""All steps together are as long as this many radii of the set: from its middle to an edge and back again."""
LEAST_SIGMA = 0.2
"""In pixels: no blur that could be seen (a neighbour weighs 4e-6), and yet a slope that leads out of it."""


class LimitedBlur(GaussianBlur):
    """The pixel-wise Gaussian blur with every sigma, in pixels, between LEAST_SIGMA and a limit.

    It sets out from the middle; a step moves every pixel's sigma by one length. The window reaches 3 sigma far.
    """

    def __init__(self, limit: float) -> None:
        super().__init__(BlurConfig(window=2 * max(ceil(3 * limit), 1) + 1))
        self._limit, self._least = limit, min(LEAST_SIGMA, limit)

    def start(self, images: Images) -> Map:
        """The middle of the set."""
        return self._precision(images.new_full((len(images), 1, *images.shape[2:]), (self._least + self._limit) / 2))

    def ascend(self, maps: Map, slope: Map, step: float) -> Map:
        """A step of one length in sigma: where the slope in 1 / sigma^2 is up, sigma goes down."""
        return self._precision(maps.rsqrt() - step * slope.sign())

    def _precision(self, sigma: Map) -> Map:
        return sigma.clamp(self._least, self._limit).square().reciprocal()


def attacked(subject: Subject, crops: NDArray[np.uint8], point: Point, steps: int) -> NDArray[np.float64]:
    """The raw probability of fake of each crop of a fake, (B, side, side, 3), after an attack: at most that before it.

    The point's strength is the greatest sigma in pixels of the crop, or the greatest change in grey levels of 255.
    """
    with torch.inference_mode(False):
        images = subject.images(crops)
        made = attack(subject, images, point, steps, images.shape[3] / crops.shape[2])
        return np.minimum(subject.p_fake(made), subject.p_fake(images))


def attack(
    subject: Subject, images: Float[Tensor, "B 3 H W"], point: Point, steps: int, scale: float = 1.0
) -> Float[Tensor, "B 3 H W"]:
    """The images of fakes, in [0, 1], as an adversary leaves them, in whole grey levels.

    `scale` is how many of the detector's pixels a pixel of the crop is.
    """
    strength = point.strength or 0.0
    perturbation: Perturbation
    if point.transformation == "additive":
        budget = min(strength / GREY_LEVELS, 1.0)
        step = REACH * budget / steps
        perturbation = Additive(AdditiveConfig(budget=budget, step=min(step, 1.0)))
    else:
        limit = strength * scale
        step = REACH * (limit / 2) / steps
        perturbation = LimitedBlur(limit)
    adversary = GradientAdversary(perturbation, AdversaryConfig(moves=steps, step=step))
    labels = torch.full((len(images),), FAKE, device=images.device)
    played = adversary.perturb(images, labels, cast("Detector", TwoSided(subject)))
    return (played.images * GREY_LEVELS).round() / GREY_LEVELS
