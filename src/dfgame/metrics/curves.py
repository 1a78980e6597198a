"""ROC curves, and the error rate at which both kinds of errors are as frequent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_curve

from dfgame.metrics.checks import Floats, checked


@dataclass(frozen=True, slots=True)
class Roc:
    """A ROC curve from (0, 0) to (1, 1), joined by straight lines.

    Equal scores make one slanted segment, so that the area below is the AUC in which a tie counts half.
    """

    fpr: Floats
    tpr: Floats
    thresholds: Floats


def roc(labels: ArrayLike, scores: ArrayLike) -> Roc:
    """The ROC curve; points on a straight line between others are left out."""
    return Roc(*(a.astype(np.float64) for a in roc_curve(*checked(labels, scores))))


def equal_error_rate(labels: ArrayLike, scores: ArrayLike) -> float:
    """The error at which as many real ones are called fake as fake ones are called real.

    With finitely many scores no threshold need give both errors alike. The ROC's points are therefore joined
    by straight lines (a point on one is the convex combination of its ends: a coin decides between two
    thresholds) and the EER is where they cross fpr = 1 - tpr. This is the plain empirical curve, not its
    convex hull, which would give a lower rate.
    """
    curve = roc(labels, scores)
    gap = curve.fpr + curve.tpr - 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    return float(curve.fpr[before] + share * (curve.fpr[after] - curve.fpr[before]))


def mean_roc(curves: Sequence[Roc]) -> tuple[Floats, Floats]:
    """The vertical average of ROC curves (Fawcett 2006): false positive rates, mean true positive rates.

    Each rate at which any curve has a corner comes twice, with the lowest and the highest mean tpr there, so
    that vertical steps stay vertical and the area below is exactly the mean of the curves' areas.
    """
    grid = np.unique(np.concatenate([curve.fpr for curve in curves]))
    limits = np.mean([_limits(curve, grid) for curve in curves], axis=0)
    return np.repeat(grid, 2), limits.T.ravel()


def _limits(curve: Roc, grid: Floats) -> Floats:
    """(2, len(grid)): the curve's lowest and highest tpr at each fpr of the grid."""
    corners, first = np.unique(curve.fpr, return_index=True)
    last = np.append(first[1:], len(curve.fpr)) - 1
    rising = np.interp(grid, curve.fpr, curve.tpr)
    low, high = rising.copy(), rising.copy()
    at = np.searchsorted(grid, corners)
    low[at], high[at] = curve.tpr[first], curve.tpr[last]
    return np.stack([low, high])
