"""Is a heat map true? What is hottest is taken away; the score must move more than when something else is.

What is taken away is filled from what is around it, and nothing of it is left. The map is made otherwise, from slopes
towards a smoothed image, so that the test can fail.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.boxed import BoxedDetector, logit
from dfgame.explain.heat import Heat
from dfgame.explain.scoring import raw_of
from dfgame.media import RgbImage

Region = NDArray[np.bool_]
"""Height x width of a crop: true inside."""

HOT_SHARE = 0.15
"""Share of the crop that counts as its hottest region."""
PLACES = 8
"""Regions elsewhere that the hottest is compared with."""
SEED = 0
_INPAINT_REACH = 3
_FILL_SIGMA = 1 / 64
"""Of the crop's side: the streaks of the inpainting are smoothed away, structure of their own as they are."""


def hottest(heat: Heat, share: float = HOT_SHARE) -> Region:
    """The hottest pixels of a map, as many as make up this share of it."""
    count = round(share * heat.size)
    region = np.zeros(heat.size, bool)
    region[np.argsort(-heat.ravel(), kind="stable")[:count]] = True
    return region.reshape(heat.shape)


def elsewhere(region: Region, count: int = PLACES, seed: int = SEED) -> list[Region]:
    """The same region at random places, now and then mirrored; what leaves the crop comes back on its other side.

    They may lie over the hottest one, in part: to forbid it would push them off the face, and make the test easier.
    """
    rng = np.random.default_rng(seed)
    moved = []
    for _ in range(count):
        mirrored = region[:, ::-1] if rng.integers(2) else region
        moved.append(np.roll(mirrored, rng.integers(region.shape), (0, 1)))
    return moved


def without(crop: RgbImage, region: Region) -> RgbImage:
    """The crop with a region filled smoothly from around it (Telea's inpainting, then smoothed)."""
    filled = cv2.inpaint(crop, region.astype(np.uint8), _INPAINT_REACH, cv2.INPAINT_TELEA)
    filled = cv2.GaussianBlur(filled, (0, 0), _FILL_SIGMA * len(crop), borderType=cv2.BORDER_REFLECT_101)
    return np.where(region[:, :, None], filled, crop)


def changes(
    detector: BoxedDetector,
    crops: Sequence[RgbImage],
    heats: Sequence[Heat],
    raw: NDArray[np.float64],
) -> list[tuple[float, float]]:
    """How much the log-odds of each crop's raw score move without its hottest region, and without others.

    Args:
        detector: whose maps they are.
        crops: the crops.
        heats: the map of each.
        raw: the raw score of each.

    Returns:
        For each crop: without the hottest region, and the mean of PLACES others of its shape; neither is negative.
    """
    altered = []
    for crop, heat in zip(crops, heats, strict=True):
        region = hottest(heat)
        altered += [without(crop, one) for one in (region, *elsewhere(region))]
    moved = np.abs(logit(raw_of(detector, altered)).reshape(len(crops), 1 + PLACES) - logit(raw)[:, None])
    return [(float(of_one[0]), float(of_one[1:].mean())) for of_one in moved]
