"""Scores -> numbers that can be defended: AUC, average precision, EER, accuracy, ROC and their intervals.

Everywhere, `labels` are class numbers (real 0, fake 1), `scores` are probabilities of fake, and fake is the
positive class. A number that is not defined (a class is missing, a score is not a number) is an error, never
a value: a table must not show 0.5 where nothing was measured.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score, roc_curve

from dfgame.records import COVERAGE

Level = Literal["frame", "video"]
LEVELS: tuple[Level, ...] = ("frame", "video")

THRESHOLD = 0.5
"""A probability of fake from which an image or a video counts as fake in `accuracy`; it is not calibrated."""
BINS = 10
"""Bins of equal width into which probabilities are sorted to see whether they hold."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measures:
    """What is said of one set of scores; each in [0, 1]."""

    auc: float
    ap: float
    eer: float
    accuracy: float
    n_real: int
    n_fake: int


@dataclass(frozen=True, slots=True)
class Roc:
    """A ROC curve from (0, 0) to (1, 1), joined by straight lines.

    Equal scores make one slanted segment, so that the area below is the AUC in which a tie counts half.
    """

    fpr: Floats
    tpr: Floats
    thresholds: Floats


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


def measures(labels: ArrayLike, scores: ArrayLike) -> Measures:
    """AUC, average precision, EER and accuracy of one set of scores.

    Raises:
        ValueError: a class is missing or a score is not a finite number.
    """
    truth, values = _checked(labels, scores)
    return Measures(
        auc=float(roc_auc_score(truth, values)),
        ap=float(average_precision_score(truth, values)),
        eer=equal_error_rate(truth, values),
        accuracy=accuracy(truth, values),
        n_real=int((truth == 0).sum()),
        n_fake=int((truth == 1).sum()),
    )


def accuracy(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of right answers where a score of at least `THRESHOLD` says fake."""
    truth, values = _checked(labels, scores)
    return float(((values >= THRESHOLD) == (truth == 1)).mean())


def roc(labels: ArrayLike, scores: ArrayLike) -> Roc:
    """The ROC curve; points on a straight line between others are left out."""
    return Roc(*(a.astype(np.float64) for a in roc_curve(*_checked(labels, scores))))


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


def video_means(videos: Sequence[str], scores: ArrayLike) -> tuple[NDArray[np.str_], Floats]:
    """The videos, sorted, and the mean of each one's frames. A video is told apart by the whole string."""
    values = np.asarray(scores, np.float64)
    names, of_frame = np.unique(np.asarray(videos, np.str_), return_inverse=True)
    return names, np.bincount(of_frame, values, len(names)) / np.bincount(of_frame, minlength=len(names))


def multiplicities(videos: Sequence[str], replicates: int, seed: int) -> Integers:
    """(replicates, videos): how often each video is drawn when as many are drawn with replacement.

    The draws follow from the names and the seed alone. Two detectors scored on the same videos are therefore
    resampled alike, and the difference of their replicates is a paired bootstrap.
    """
    names = zlib.crc32("\n".join(videos).encode())
    chances = np.full(len(videos), 1 / len(videos))
    return np.random.default_rng([seed, names]).multinomial(len(videos), chances, size=replicates)


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
    doing so.

    Args:
        real: for each real video the scores of its frames (or its one score, at the level of videos).
        fake: the same of the fake ones.
        real_draws: (replicates, real videos), from `multiplicities`.
        fake_draws: (replicates, fake videos).
    """
    won = ((real_draws @ wins(real, fake)) * fake_draws).sum(axis=1)
    n_real = real_draws @ np.array([len(scores) for scores in real])
    n_fake = fake_draws @ np.array([len(scores) for scores in fake])
    return won / (n_real * n_fake)


def interval(replicates: Floats, coverage: float = COVERAGE) -> tuple[float, float]:
    """The percentile interval of bootstrap replicates."""
    tail = (1 - coverage) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def auc_bootstrap(
    labels: ArrayLike, scores: ArrayLike, videos: Sequence[str], level: Level, replicates: int, seed: int
) -> Floats:
    """Bootstrap replicates of the AUC over videos, real and fake ones resampled apart.

    Frames of one video are alike, so that resampling frames would give intervals far too narrow: at the level
    of frames, too, whole videos are drawn, each with all its frames.

    Raises:
        ValueError: a score is not finite, a video has both labels, or a class has fewer than two videos,
            which leaves nothing to resample.
    """
    truth, values = _checked(labels, scores)
    names = np.asarray(videos, np.str_)
    if np.intersect1d(names[truth == 0], names[truth == 1]).size:
        raise ValueError("a video is labelled real and fake")
    (real, real_draws), (fake, fake_draws) = (
        _resampled(names[truth == label], values[truth == label], level, replicates, seed) for label in (0, 1)
    )
    return auc_replicates(real, fake, real_draws, fake_draws)


def _resampled(
    videos: NDArray[np.str_], scores: Floats, level: Level, replicates: int, seed: int
) -> tuple[list[Floats], Integers]:
    """One class's scores by video, and how often each video is drawn."""
    names, of_frame = np.unique(videos, return_inverse=True)
    if len(names) < 2:
        raise ValueError("an interval needs at least two videos of each class")
    if level == "video":
        by_video = list(video_means(videos.tolist(), scores)[1].reshape(-1, 1))
    else:
        ends = np.cumsum(np.bincount(of_frame))[:-1]
        by_video = np.split(scores[np.argsort(of_frame, kind="stable")], ends)
    return by_video, multiplicities(names.tolist(), replicates, seed)


def balanced(labels: ArrayLike) -> Floats:
    """Weights with which the real ones together count as much as the fake ones; their sum is 1."""
    truth = np.asarray(labels, np.int64)
    return 1 / (2 * np.bincount(truth, minlength=2)[truth])


def reliability(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> list[ReliabilityBin]:
    """The bins that hold scores, from low to high; the last one holds 1, too. Without weights all count alike.

    Raises:
        ValueError: a class is missing or a score is not a probability.
    """
    truth, values = _checked(labels, scores)
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
    truth, values = _checked(labels, scores)
    weights = balanced(truth)
    return Honesty(
        expected_calibration_error(truth, values, weights),
        float(log_loss(truth, values, sample_weight=weights)),
        tuple(reliability(truth, values, weights)),
    )


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Integers, Floats]:
    truth, values = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError(f"labels and scores do not match: {truth.shape} and {values.shape}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("labels must be 0 (real) or 1 (fake)")
    for label, name in enumerate(("real", "fake")):
        if not (truth == label).any():
            raise ValueError(f"no {name} ones to measure on")
    if not np.isfinite(values).all():
        raise ValueError(f"{(~np.isfinite(values)).sum()} scores are not finite numbers")
    return truth, values
