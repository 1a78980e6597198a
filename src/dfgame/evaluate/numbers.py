"""The numbers of one set of scores, and their bootstrap over people, as an evaluation asks for them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit
from scipy.stats import norm, rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from dfgame.metrics import (
    Floats,
    Integers,
    auc_replicates,
    balanced,
    honesty,
    measures,
    multiplicities,
    roc,
    video_means,
)

EDGE = 1e-6
"""Scores nearer to 0 or 1 than this count as this where their log-odds are taken."""
NO_PROBABILITY = "scores are not probabilities"
Names = NDArray[np.str_]


def pooled(groups: Names, scores: Floats, how: str) -> tuple[Names, Floats]:
    """The groups, sorted, and of each the mean, the median, or the mean of the K highest ("top-K") of its scores."""
    if how == "mean":
        return video_means(groups.tolist(), scores)
    order = np.lexsort((scores, groups))
    names, starts = np.unique(groups[order], return_index=True)
    parts = np.split(scores[order], starts[1:]) if len(names) else []
    if how == "median":
        return names, np.array([np.median(part) for part in parts])
    highest = int(how.removeprefix("top-"))
    return names, np.array([part[-highest:].mean() for part in parts])


def numbers(labels: Integers, scores: Floats, threshold: float | None) -> tuple[dict[str, Any], dict[str, str]]:
    """All measures that need no other data, None where one is not defined, and why that is so, by measure.

    Raises:
        ValueError: a class is missing or a score is not a finite number.
    """
    found: dict[str, Any] = asdict(measures(labels, scores))
    undefined: dict[str, str] = {}
    found |= {"accuracy": None, "balanced_accuracy": None, "log_loss": None, "ece": None}
    if threshold is not None:
        right = (scores >= threshold) == (labels == 1)
        found["accuracy"] = float(right.mean())
        found["balanced_accuracy"] = float((right[labels == 0].mean() + right[labels == 1].mean()) / 2)
    for name, rate in (("tpr_at_1_fpr", 0.01), ("tpr_at_5_fpr", 0.05)):
        found[name] = tpr_at(labels, scores, rate)
        if found[name] is None:
            undefined[name] = f"needs {round(1 / rate)} real ones"
    if scores.min() < 0 or scores.max() > 1:
        undefined |= {"log_loss": NO_PROBABILITY, "ece": NO_PROBABILITY}
    else:
        honest = honesty(labels, scores)
        found |= {"log_loss": honest.log_loss, "ece": honest.ece}
    return found, undefined


def tpr_at(labels: Integers, scores: Floats, rate: float) -> float | None:
    """The share of fakes found where at most this share of the real ones is called fake.

    None where there are so few real ones that a single one is more than the share.
    """
    if (labels == 0).sum() * rate < 1 - 1e-9:
        return None
    curve = roc(labels, scores)
    return float(curve.tpr[curve.fpr <= rate + 1e-12].max())


def people_bootstrap(labels: Integers, scores: Floats, people: Names, replicates: int, seed: int) -> Floats:
    """Bootstrap replicates of the AUC: people are drawn with replacement, each with all that is of them.

    Those of whom there are real ones only, fakes only, or both, are drawn apart, so that no class is ever missing. The
    draws follow from the names and the seed alone: those of two detectors on the same people are pairs.

    Raises:
        ValueError: there are fewer than two people in a class.
    """
    of_class = [np.unique(people[labels == label]) for label in (0, 1)]
    if min(map(len, of_class)) < 2:
        raise ValueError("an interval needs at least two people of each class")
    names = np.unique(people)
    kinds = np.isin(names, of_class[0]) + 2 * np.isin(names, of_class[1])
    draws = np.empty((replicates, len(names)), np.int64)
    for kind in np.unique(kinds):
        draws[:, kinds == kind] = multiplicities(names[kinds == kind].tolist(), replicates, seed)
    parts, drawn = [], []
    for label, of_label in enumerate(of_class):
        here = labels == label
        order = np.argsort(people[here], kind="stable")
        ends = np.cumsum(np.unique(people[here], return_counts=True)[1])[:-1]
        parts.append(np.split(scores[here][order], ends))
        drawn.append(draws[:, np.searchsorted(names, of_label)])
    return auc_replicates(parts[0], parts[1], drawn[0], drawn[1])


def delong(labels: Integers, first: Floats, second: Floats) -> float:
    """The p of DeLong's test (two-sided) of two AUCs on the same things being equal.

    Source: DeLong, DeLong and Clarke-Pearson (1988), by ranks as in Sun and Xu (2014).

    Raises:
        ValueError: the AUCs differ and their difference has no variance.
    """
    placed = [_placements(labels, scores) for scores in (first, second)]
    difference = float(placed[0][0].mean() - placed[1][0].mean())
    apart = [one - other for one, other in zip(*placed, strict=True)]
    if any((part != part[0]).any() for part in apart):
        variance = sum(part.var(ddof=1) / len(part) for part in apart)
        return float(2 * norm.sf(abs(difference) / np.sqrt(variance)))
    if difference:
        raise ValueError("the difference of the AUCs has no variance")
    return 1.0


def _placements(labels: Integers, scores: Floats) -> tuple[Floats, Floats]:
    """For each fake the share of real ones below it, for each real one the share of fakes above it."""
    fake, real = scores[labels == 1], scores[labels == 0]
    together = rankdata(np.concatenate([fake, real]))
    below = (together[: len(fake)] - rankdata(fake)) / len(real)
    above = 1 - (together[len(fake) :] - rankdata(real)) / len(fake)
    return below, above


def llr_of(labels: Integers, scores: Floats) -> Callable[[Floats], Floats]:
    """What makes scores natural log likelihood ratios of fake against real: logistic regression, classes alike.

    Of probabilities it takes the log-odds, of other scores themselves; in either case divided by their deviation, with
    scikit-learn's usual penalty, so that the fit is finite where the classes do not overlap.

    Raises:
        ValueError: all scores are the same.
    """
    as_odds = bool(scores.min() >= 0 and scores.max() <= 1)

    def spread(values: Floats) -> Floats:
        return logit(np.clip(values, EDGE, 1 - EDGE)) if as_odds else values

    plain = spread(scores)
    middle, deviation = plain.mean(), plain.std()
    if not deviation:
        raise ValueError("all validation scores are the same")
    model = LogisticRegression(class_weight="balanced").fit(((plain - middle) / deviation)[:, None], labels)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return lambda values: slope * (spread(values) - middle) / deviation + intercept


def cllr(labels: Integers, llrs: Floats) -> float:
    """The log likelihood ratio cost in bits: 0 is perfect, 1 is a coin that knows it is one.

    Source: Bruemmer and du Preez, "Application-independent evaluation of speaker detection" (2006).
    """
    costs = np.where(labels == 1, np.logaddexp(0, -llrs), np.logaddexp(0, llrs)) / np.log(2)
    return float((costs[labels == 1].mean() + costs[labels == 0].mean()) / 2)


def min_cllr(labels: ArrayLike, scores: ArrayLike) -> float:
    """The least that `cllr` is over all maps from scores that do not fall, found by pooling adjacent violators."""
    truth, values = np.asarray(labels), np.asarray(scores, np.float64)
    weights = balanced(truth)
    fitted = IsotonicRegression(y_min=0, y_max=1).fit_transform(values, truth, sample_weight=weights)
    right = np.where(truth == 1, fitted, 1 - fitted)
    return float(-(weights @ np.log2(right)))
