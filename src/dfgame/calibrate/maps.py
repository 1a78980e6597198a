"""The map from raw scores to probabilities, the thresholds, and what either is worth on people left out.

Source: Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with its targets that keep the fit finite
where the classes do not overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from dfgame.boxed import Calibration, Thresholds, logit
from dfgame.metrics import Floats, Integers, balanced
from dfgame.records import UserError

FALSE_ALARMS = 0.05
"""Share of the real videos that may be called fake, and of the fake ones that may be called real."""
FOLDS = 5
"""Parts of the people, at most, each of which is measured by what was chosen on the others."""


@dataclass(frozen=True, slots=True)
class ScoredVideos:
    """Videos, an element each.

    Class number, group of people, fold, whether it is compressed, mean raw score, width of the face and its detail.
    """

    labels: Integers
    groups: Integers
    folds: Integers
    compressed: NDArray[np.bool_]
    raw: Floats
    widths: Floats
    details: Floats

    def where(self, these: NDArray[np.bool_]) -> "ScoredVideos":
        """Some of the videos."""
        return ScoredVideos(*(getattr(self, field.name)[these] for field in fields(self)))


def joined(parts: Sequence[ScoredVideos]) -> ScoredVideos:
    """The videos of all parts."""
    return ScoredVideos(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(parts[0])))


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen on videos: the map from raw scores to probabilities, and the thresholds."""

    calibration: Calibration
    thresholds: Thresholds


def fit(labels: ArrayLike, raw: ArrayLike) -> Calibration:
    """Platt scaling of raw scores, the two classes weighted equally, so that either is as likely beforehand.

    Raises:
        ValueError: a class is missing.
    """
    truth = np.asarray(labels, np.int64)
    real, fake = np.bincount(truth, minlength=2)
    if not real or not fake:
        raise ValueError("a class is missing")
    weights, x = balanced(truth), logit(raw)
    targets = np.where(truth == 1, (fake + 1) / (fake + 2), 1 / (real + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        z = line[0] * x + line[1]
        off = weights * (expit(z) - targets)
        return float(weights @ (np.logaddexp(0, z) - targets * z)), np.array([off @ x, off.sum()])

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return Calibration(float(slope), float(intercept))


def person_groups(labels: Integers, targets: Sequence[str], sources: Sequence[str | None]) -> Integers:
    """For each video the number of its group: nobody, as target or as source, is in two of them.

    Where so many are linked that a class would have one group only, the targets alone are kept apart.
    """
    names = sorted({*targets, *(name for name in sources if name is not None)})
    place = {name: number for number, name in enumerate(names)}
    rows = np.array([place[name] for name in targets])
    columns = np.array([place[own if other is None else other] for own, other in zip(targets, sources, strict=True)])
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    groups = connected_components(links, directed=False)[1][rows].astype(np.int64)
    return rows if any(len(np.unique(groups[labels == label])) < 2 for label in (0, 1)) else groups


def folds(labels: Integers, groups: Integers) -> Integers:
    """For each video the number of its fold; nobody is in two.

    Raises:
        UserError: there are too few people.
    """
    count = len(np.unique(groups))
    if count < 2:
        raise UserError("the videos are of one person", "calibrate on more people: see --split and --datasets")
    found = np.empty(len(groups), np.int64)
    for fold, (others, own) in enumerate(GroupKFold(min(FOLDS, count)).split(groups, groups=groups)):
        if len(np.unique(labels[others])) < 2:
            raise UserError(
                "too few people have real and fake videos", "calibrate on more people: see --split and --datasets"
            )
        found[own] = fold
    return found


def choose(videos: ScoredVideos) -> Choice:
    """The map, and thresholds by which at most 5% of the real videos are called fake, and of the fakes real.

    Only compressed videos count for these: raw ones are easier than what is met in the world. Neither passes one half,
    so that nothing is called fake that is more likely real.

    Raises:
        UserError: there are no compressed videos of a class.
    """
    calibration, compressed = fit(videos.labels, videos.raw), videos.where(videos.compressed)
    if len(np.unique(compressed.labels)) < 2:
        raise UserError(
            "too few people have compressed videos, real and fake, to choose thresholds on",
            "see --compressions, --split and --datasets",
        )
    return Choice(calibration, stricter(Choice(calibration, Thresholds(fake=0.5, real=0.5)), compressed))


def choose_by_fold(videos: ScoredVideos) -> list[Choice]:
    """For each fold what is chosen on the people of the others."""
    return [choose(videos.where(videos.folds != fold)) for fold in range(videos.folds.max() + 1)]


def stricter(choice: Choice, videos: ScoredVideos) -> Thresholds:
    """Its thresholds moved outwards until at most 5% of these real videos are called fake, and of these fakes real."""
    p_fake = choice.calibration(videos.raw)
    real, fake = (np.sort(p_fake[videos.labels == label]) for label in (0, 1))
    above, below = choice.thresholds.fake, choice.thresholds.real
    if len(real):
        above = max(above, float(np.nextafter(real[-1 - int(FALSE_ALARMS * len(real))], np.inf)))
    if len(fake):
        below = min(below, float(np.nextafter(fake[int(FALSE_ALARMS * len(fake))], -np.inf)))
    return Thresholds(fake=above, real=below)


def held_out(videos: ScoredVideos, by_fold: Sequence[Choice]) -> tuple[Floats, NDArray[np.str_]]:
    """Each video's calibrated score and verdict, by what was chosen without the people of its fold.

    That is the choice of `choose_by_fold`, its thresholds stricter where the others' videos among these need it.
    """
    p_fake, verdicts = np.empty(len(videos.raw)), np.empty(len(videos.raw), "<U12")
    for fold, choice in enumerate(by_fold):
        own = videos.folds == fold
        limits = stricter(choice, videos.where(~own))
        p_fake[own] = choice.calibration(videos.raw[own])
        verdicts[own] = [limits.verdict(p) for p in p_fake[own]]
    return p_fake, verdicts
