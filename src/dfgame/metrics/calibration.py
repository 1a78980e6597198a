"""Whether probabilities hold: reliability, expected calibration error, logarithmic loss."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import log_loss

from dfgame.metrics.checks import Floats, checked

BINS = 10
"""Bins of equal width into which probabilities are sorted to see whether they hold."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """What was said and what was true of the scores from `low` to below `high`.

    `score` is their mean, `fakes` the share of fakes among them, `share` theirs of all weight, `n` their number.
    """

    low: float
    high: float
    score: float
    fakes: float
    share: float
    n: int


@dataclass(frozen=True, slots=True)
class Honesty:
    """How far probabilities of fake can be taken at their word, real and fake ones counting alike together."""

    ece: float
    log_loss: float
    bins: tuple[ReliabilityBin, ...]


def balanced(labels: ArrayLike) -> Floats:
    """Weights with which the real ones together count as much as the fake ones; their sum is 1."""
    truth = np.asarray(labels, np.int64)
    return 1 / (2 * np.bincount(truth, minlength=2)[truth])


def reliability(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> list[ReliabilityBin]:
    """The bins that hold scores, from low to high; the last one holds 1, too. Without weights all count alike.

    Raises:
        ValueError: a class is missing or a score is not a probability.
    """
    truth, values = checked(labels, scores)
    if values.min() < 0 or values.max() > 1:
        raise ValueError("a score is not a probability")
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    of_bin = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    found = []
    for number in np.unique(of_bin):
        inside = of_bin == number
        own = weight[inside]
        found.append(
            ReliabilityBin(
                low=float(number / BINS),
                high=float((number + 1) / BINS),
                score=float(np.average(values[inside], weights=own)),
                fakes=float(np.average(truth[inside], weights=own)),
                share=float(own.sum() / weight.sum()),
                n=int(inside.sum()),
            )
        )
    return found


def expected_calibration_error(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The mean difference of what was said from what was true, over the bins of `reliability` by their shares."""
    return sum(one.share * abs(one.score - one.fakes) for one in reliability(labels, scores, weights))


def honesty(labels: ArrayLike, scores: ArrayLike) -> Honesty:
    """Expected calibration error, logarithmic loss (in nats) and bins, at equal weights of real and fake."""
    truth, values = checked(labels, scores)
    weights = balanced(truth)
    return Honesty(
        expected_calibration_error(truth, values, weights),
        float(log_loss(truth, values, sample_weight=weights)),
        tuple(reliability(truth, values, weights)),
    )
