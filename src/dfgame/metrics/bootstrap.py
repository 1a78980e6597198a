"""Bootstrap over people, or over videos: replicates of the AUC, and intervals from them."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from dfgame.metrics.checks import Floats, Integers, checked
from dfgame.metrics.shares import difference_interval, share_interval
from dfgame.records import COVERAGE


def multiplicities(people: Sequence[str], replicates: int, seed: int) -> Integers:
    """(replicates, people): how often each person is drawn; a Poisson number of mean 1, by itself.

    It follows from the person's name and the seed alone, whoever else there is. Two detectors on the same people are
    therefore resampled alike, and so are two cells, even if one lacks some of the people: differences of their
    replicates are paired, and means over cells know that the same people are in them.

    Source: Hanley and MacGibbon, "Creating non-parametric bootstrap samples using Poisson frequencies" (2006).
    """
    columns = [np.random.default_rng([seed, _number(name)]).poisson(1, replicates) for name in people]
    return np.stack(columns, axis=1)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def wins(real: Sequence[Floats], fake: Sequence[Floats]) -> Floats:
    """M[v, w] = sum over frames r of real video v and f of fake video w of [s_r < s_f] + [s_r = s_f] / 2.

    The sum of M over the number of frame pairs is the AUC. Built one real video at a time, so that memory
    grows with the frames and never with their pairs.
    """
    frames = np.concatenate(fake)
    of_frame = np.repeat(np.arange(len(fake)), [len(scores) for scores in fake])
    order = np.argsort(frames)
    frames, of_frame = frames[order], of_frame[order]
    matrix = np.empty((len(real), len(fake)))
    for row, scores in zip(matrix, real, strict=True):
        ascending = np.sort(scores)
        below = np.searchsorted(ascending, frames, "left") + np.searchsorted(ascending, frames, "right")
        row[:] = np.bincount(of_frame, below / 2, len(fake))
    return matrix


def auc_replicates(
    real: Sequence[Floats], fake: Sequence[Floats], real_draws: Integers, fake_draws: Integers
) -> Floats:
    """The AUC of each bootstrap replicate, ties counting half.

    A replicate in which video v comes a_v times has the AUC a_r' M a_f / ((n_r . a_r) (n_f . a_f)), with n
    the videos' frames and M of `wins`: what repeating the frames of the drawn videos would give, without
    doing so. Where no video of a class is drawn it is NaN.

    Args:
        real: for each real video the scores of its frames (or its one score, at the level of videos).
        fake: the same of the fake ones.
        real_draws: (replicates, real videos), from `multiplicities`.
        fake_draws: (replicates, fake videos).
    """
    won = ((real_draws @ wins(real, fake)) * fake_draws).sum(axis=1)
    n_real = real_draws @ np.array([len(scores) for scores in real])
    n_fake = fake_draws @ np.array([len(scores) for scores in fake])
    with np.errstate(invalid="ignore"):
        return won / (n_real * n_fake)


def auc_interval(auc: float, replicates: Floats, people: int, coverage: float = COVERAGE) -> tuple[float, float]:
    """An interval of an AUC, or of a mean of several, from its bootstrap replicates; always inside [0, 1].

    Symmetric in the log-odds of the AUC, of the width that the replicates' deviation gives there. An AUC near 1 is
    skewed, with few videos more so, and the percentiles of its replicates then hold the truth too seldom;
    `benchmarks/coverage.py` has the figures.

    Where every replicate is the same, as when all fakes score higher than all real ones, it is `share_interval`: an
    AUC of a, with real videos of n people and fakes on n others, is 1 with a chance of at most a^n, that of n separate
    pairs being all in order, so that below 0.025^(1/n) it is not believed (about 3.7 / n from 1).

    Args:
        auc: what was measured, in [0, 1].
        replicates: (replicates,) of the same, from `people_bootstrap`; those that are NaN do not count.
        people: how many there are of the class that has fewer (`fewest_of_a_class`); of few, the interval is wider by
            Student's t.
        coverage: how often the interval is to hold the truth.

    Raises:
        ValueError: the AUC is 0 or 1, where log-odds are not defined, and replicates differ from it.
    """
    deviation = _deviation(replicates)
    if not deviation:
        return share_interval(auc, people, coverage)
    if not 0 < auc < 1:
        raise ValueError(f"replicates of an AUC of {auc:.0f} cannot differ from it")
    half = _widening(people, coverage) * deviation / (auc * (1 - auc))
    middle = logit(auc)
    return float(expit(middle - half)), float(expit(middle + half))


def paired_interval(
    difference: float, replicates: Floats, people: int, coverage: float = COVERAGE, *, perfect: bool = False
) -> tuple[float, float]:
    """An interval of the difference of two AUCs on the same people, or of two means, from its paired replicates.

    Symmetric, of the width that the replicates' deviation gives, with Student's t: their percentiles hold the truth
    too seldom (`benchmarks/coverage.py`). Where neither makes a single error, replicates do not vary, and the
    interval is that from both AUCs' own (`auc_interval`).

    Args:
        difference: what was measured.
        replicates: (replicates,) of the same: those of one less those of the other; those that are NaN do not count.
        people: as of `auc_interval`.
        coverage: how often the interval is to hold the truth.
        perfect: whether both AUCs are 1.
    """
    if perfect:
        own = share_interval(1.0, people, coverage)
        return difference_interval(1.0, own, 1.0, own)
    half = _widening(people, coverage) * _deviation(replicates)
    return difference - half, difference + half


def _deviation(replicates: Floats) -> float:
    return float(np.nanstd(replicates, ddof=1))


def _widening(people: int, coverage: float) -> float:
    """How many deviations an interval reaches to each side: Student's t, of one less than the people."""
    return float(student.ppf((1 + coverage) / 2, people - 1))


def people_bootstrap(
    labels: ArrayLike, scores: ArrayLike, people: Sequence[str] | NDArray[np.str_], replicates: int, seed: int
) -> Floats:
    """Bootstrap replicates of the AUC: people are drawn with replacement, each with all that is of them.

    A person is the one whom a video shows: of a real one its person, of a fake the target, into whose footage a face
    was put. A target's real video and all fakes on it share pose, light, camera and background, and are drawn
    together. The source of a fake only gives a face, or its movements; it does not tie videos together here, because
    sources link almost everybody with everybody, and then nothing is left to resample. Where fakes of one source are
    alike in score, the interval is somewhat too narrow.

    Each person's draws follow from the name and the seed alone (`multiplicities`), so that replicates of two
    detectors, or of two cells, that have people in common are pairs.

    Args:
        labels: (n,) class numbers of frames, of faces or of videos.
        scores: (n,).
        people: (n,) names; the same name is the same person.
        replicates: how many.
        seed: of the draws.

    Returns:
        (replicates,) AUCs, ties counting half; NaN where a class was not drawn.

    Raises:
        ValueError: fewer than two people of a class, or as of `measures`.
    """
    truth, values = checked(labels, scores)
    of = np.asarray(people, np.str_)
    if of.shape != truth.shape:
        raise ValueError(f"labels and people do not match: {truth.shape} and {of.shape}")
    names, number = np.unique(of, return_inverse=True)
    there = [np.unique(number[truth == label]) for label in (0, 1)]
    if min(map(len, there)) < 2:
        raise ValueError("an interval needs at least two people of each class")
    draws = multiplicities(names.tolist(), replicates, seed)
    real, fake = (_split(number[truth == label], values[truth == label]) for label in (0, 1))
    return auc_replicates(real, fake, draws[:, there[0]], draws[:, there[1]])


def _split(numbers: Integers, scores: Floats) -> list[Floats]:
    """The scores of each number that is there, in the order of the numbers."""
    ends = np.cumsum(np.unique(numbers, return_counts=True)[1])[:-1]
    return np.split(scores[np.argsort(numbers, kind="stable")], ends)
