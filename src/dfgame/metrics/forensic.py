"""Likelihood ratios: what a score is worth as evidence, what that costs, and how far it may be believed.

A likelihood ratio is how many times likelier a score is of a fake than of a real video; here always as its natural
logarithm (`llr`): above 0 speaks for fake, 0 says nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from dfgame.metrics.calibration import balanced
from dfgame.metrics.checks import Floats, Integers, checked

EDGE = 1e-6
"""Probabilities nearer to 0 or 1 than this count as this where their log-odds are taken."""


@dataclass(frozen=True, slots=True)
class Tippett:
    """Tippett plot: for each `llrs`, ascending, the share of real and of fake ones with a ratio of at least that."""

    llrs: Floats
    real: Floats
    fake: Floats


def calibrate_llrs(val_labels: ArrayLike, val_scores: ArrayLike) -> Callable[[ArrayLike], Floats]:
    """A map from scores to log likelihood ratios, fitted on validation videos; it never falls.

    Logistic regression with the classes weighted alike: its log-odds at equal priors are the log likelihood ratio. If
    all validation scores are probabilities it takes their log-odds, otherwise the scores themselves; either divided
    by their deviation, with scikit-learn's usual penalty, which keeps the fit finite where the classes do not
    overlap. Where higher scores went with real videos, the scores say nothing, and the ratios are all 1 (`llr` 0).

    Args:
        val_labels: (n,) class numbers.
        val_scores: (n,).

    Returns:
        What takes scores of the same detector, of any shape, and gives their log likelihood ratios.

    Raises:
        ValueError: all scores are the same, or as of `measures`. The map raises it for scores outside [0, 1] where
            those of validation were probabilities.
    """
    truth, values = checked(val_labels, val_scores)
    probabilities = bool(values.min() >= 0 and values.max() <= 1)
    plain = _plain(values, probabilities)
    middle, deviation = float(plain.mean()), float(plain.std())
    if not deviation:
        raise ValueError("all validation scores are the same")
    model = LogisticRegression(class_weight="balanced").fit(((plain - middle) / deviation)[:, None], truth)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        slope = intercept = 0.0

    def llrs(scores: ArrayLike) -> Floats:
        return slope * (_plain(np.asarray(scores, np.float64), probabilities) - middle) / deviation + intercept

    return llrs


def _plain(values: Floats, probabilities: bool) -> Floats:
    if not probabilities:
        return values
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError("the scores are not probabilities, and those of the validation videos were")
    return logit(np.clip(values, EDGE, 1 - EDGE))


def cllr(labels: ArrayLike, llrs: ArrayLike) -> float:
    """The log likelihood ratio cost in bits: 0 is perfect, 1 is what saying nothing costs; misleading costs more.

    Source: Bruemmer and du Preez, "Application-independent evaluation of speaker detection" (2006).

    Raises:
        ValueError: as of `measures`.
    """
    truth, values = checked(labels, llrs)
    costs = np.logaddexp(0, np.where(truth == 1, -values, values)) / np.log(2)
    return float(balanced(truth) @ costs)


def min_cllr(labels: ArrayLike, scores: ArrayLike) -> float:
    """The least `cllr` of all maps from these scores that do not fall: what is left when calibration is perfect.

    Found by pooling adjacent violators. The map is chosen on the videos it is measured on, so that it is a bound, not
    a result.

    Raises:
        ValueError: as of `measures`.
    """
    truth, values = checked(labels, scores)
    weights = balanced(truth)
    fitted = IsotonicRegression(y_min=0, y_max=1).fit_transform(values, truth, sample_weight=weights)
    right = np.where(truth == 1, fitted, 1 - fitted)
    return abs(float(weights @ np.log2(right)))


def tippett(labels: ArrayLike, llrs: ArrayLike) -> Tippett:
    """The two curves of a Tippett plot, with a point at each ratio that occurs.

    Raises:
        ValueError: as of `measures`.
    """
    truth, values = checked(labels, llrs)
    at = np.unique(values)
    real, fake = (_share_from(values[truth == label], at) for label in (0, 1))
    return Tippett(at, real, fake)


def _share_from(values: Floats, at: Floats) -> Floats:
    return 1 - np.searchsorted(np.sort(values), at, "left") / len(values)


def llr_bounds(val_labels: ArrayLike, val_llrs: ArrayLike, people: ArrayLike) -> tuple[float, float]:
    """The empirical lower and upper bound of log likelihood ratios that these people can bear; below and above 0.

    Beyond a bound, one more misleading person of each class would make decisions by the ratios no better than ones
    that heed no evidence: from threshold 1 outwards the bound is where the expected loss first reaches that of always
    saying what is likelier beforehand. With n real ones and no error at all the upper bound is about ln(n + 1).

    The method is for independent items. Frames, or copies of a clip at several qualities, are not; so what is of one
    person counts as one in all, real and fake apart.

    Source: Vergeer, van Es, de Jongh, Alberink and Stoel, "Numerical likelihood ratios outputted by LR systems are
    often based on extrapolation: when to stop extrapolating?" (2016).

    Args:
        val_labels: (n,) class numbers.
        val_llrs: (n,).
        people: (n,) names; the same name is the same person.

    Raises:
        ValueError: the people cannot bear a bound on either side, and no likelihood ratio should be given; or as of
            `measures`.
    """
    truth, values = checked(val_labels, val_llrs)
    of_person = 2 * np.unique(people, return_inverse=True)[1] + truth
    weights = 1 / np.bincount(of_person)[of_person]
    high, low = _upper_bound(truth, values, weights), -_upper_bound(1 - truth, -values, weights)
    if low >= 0 or high <= 0:
        real, fake = (round(weights[truth == label].sum()) for label in (0, 1))
        raise ValueError(
            f"validation videos, real ones of {real} and fake ones of {fake} people, cannot bear a likelihood ratio"
        )
    return low, high


def bounded_llrs(llrs: ArrayLike, bounds: tuple[float, float]) -> Floats:
    """Log likelihood ratios brought between the bounds of `llr_bounds`."""
    return np.clip(np.asarray(llrs, np.float64), *bounds)


def _upper_bound(truth: Integers, llrs: Floats, weights: Floats) -> float:
    """The largest log threshold up to which, from 0, missed + threshold * accused <= 1, one more of each being wrong.

    Between two ratios the shares are constant, so that the bound is at a ratio or where the inequality turns.
    """
    starts = np.concatenate([[0.0], np.unique(llrs[llrs > 0])])
    (real, all_real), (fake, all_fake) = (_up_to(starts, llrs[truth == k], weights[truth == k]) for k in (0, 1))
    missed = (fake + 1) / (all_fake + 1)
    accused = (all_real - real + 1) / (all_real + 1)
    with np.errstate(divide="ignore"):
        held_to = np.log((1 - missed) / accused)
    broken = np.flatnonzero(held_to < np.append(starts[1:], np.inf))
    first = broken[0]
    return float(max(starts[first], held_to[first]))


def _up_to(at: Floats, values: Floats, weights: Floats) -> tuple[Floats, float]:
    """The weight of the values that are at most each of `at`, and that of all."""
    order = np.argsort(values)
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    return sums[np.searchsorted(values[order], at, "right")], float(sums[-1])
