"""Two detectors on the same videos: is the difference of their AUCs more than chance?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, rankdata

from dfgame.metrics.checks import Floats, Integers, checked


@dataclass(frozen=True, slots=True)
class DeLong:
    """Both AUCs, `auc_a` less `auc_b`, its standard error, z, and the two-sided p of no difference."""

    auc_a: float
    auc_b: float
    difference: float
    error: float
    z: float
    p: float


def delong(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike) -> DeLong:
    """DeLong's test of two detectors' AUCs on the same videos.

    It takes the videos for independent. Where several are of one person they are not, and p is too small: the paired
    bootstrap of `people_bootstrap` heeds that.

    Sources: DeLong, DeLong and Clarke-Pearson (1988); by midranks, in n log n, as Sun and Xu (2014).

    Args:
        labels: (n,) class numbers.
        scores_a: (n,) of the one detector.
        scores_b: (n,) of the other, of the same videos in the same order.

    Raises:
        ValueError: fewer than two of a class; or the AUCs differ and their difference has no variance, so that no
            test can be made; or as of `measures`.
    """
    truth, first = checked(labels, scores_a)
    _, second = checked(labels, scores_b)
    if min((truth == 0).sum(), (truth == 1).sum()) < 2:
        raise ValueError("DeLong's test needs at least two of each class")
    placed = [_placements(truth, scores) for scores in (first, second)]
    auc_a, auc_b = (float(of_fake.mean()) for of_fake, _ in placed)
    apart = [one - other for one, other in zip(*placed, strict=True)]
    difference = float(apart[0].mean())
    error = float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in apart)))
    if error < _ROUNDING:
        if abs(difference) > _ROUNDING:
            raise ValueError("the AUCs differ, but their difference has no variance")
        return DeLong(auc_a, auc_b, 0.0, 0.0, 0.0, 1.0)
    z = difference / error
    return DeLong(auc_a, auc_b, difference, error, z, float(2 * norm.sf(abs(z))))


_ROUNDING = 1e-12


def _placements(truth: Integers, scores: Floats) -> tuple[Floats, Floats]:
    """For each fake the share of real ones below, for each real one the share of fakes above; ties count half."""
    fake, real = scores[truth == 1], scores[truth == 0]
    together = rankdata(np.concatenate([fake, real]))
    below = (together[: len(fake)] - rankdata(fake)) / len(real)
    above = 1 - (together[len(fake) :] - rankdata(real)) / len(fake)
    return below, above
