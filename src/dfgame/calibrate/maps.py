"""The map from raw scores to probabilities, the thresholds, and what either is worth on people left out.

Source: Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with its targets that keep the fit finite
where the classes do not overlap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from dfgame.boxed import Calibration, Thresholds, logit
from dfgame.metrics import balanced
from dfgame.records import UserError

FALSE_ALARMS = 0.05
"""Share of the real videos that may be called fake, and of the fake ones that may be called real."""
FOLDS = 5
"""Parts of the people, at most, each of which is measured by a map fitted to the others."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoredVideos:
    """Videos, one an element: class number, mean raw score, whether it is compressed, and its group of people."""

    labels: Integers
    raw: Floats
    compressed: NDArray[np.bool_]
    groups: Integers


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


def person_groups(targets: Sequence[str], sources: Sequence[str | None]) -> Integers:
    """For each video the number of its group: nobody, as target or as source, is in two of them.

    Where everybody is linked to everybody, only the targets are kept apart.
    """
    names = sorted({*targets, *(name for name in sources if name is not None)})
    place = {name: number for number, name in enumerate(names)}
    rows = np.array([place[name] for name in targets])
    columns = np.array([place[own if other is None else other] for own, other in zip(targets, sources, strict=True)])
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    count, groups = connected_components(links, directed=False)
    return rows if count == 1 else groups[rows].astype(np.int64)


def folds(scored: ScoredVideos) -> Iterator[tuple[Integers, Integers]]:
    """(videos to fit on, videos held out) of each fold; every video is held out once, and no person is in two folds.

    Raises:
        UserError: there are too few people.
    """
    groups = len(np.unique(scored.groups))
    if groups < 2:
        raise UserError("the videos are of one person", "calibrate on more people: see --split and --datasets")
    for fitted, held in GroupKFold(min(FOLDS, groups)).split(scored.raw, groups=scored.groups):
        if len(set(scored.labels[fitted].tolist())) < 2:
            raise UserError(
                "too few people have real and fake videos", "calibrate on more people: see --split and --datasets"
            )
        yield fitted, held


def held_out(scored: ScoredVideos) -> Floats:
    """Each video's calibrated score, by the map that was fitted to other people."""
    found = np.empty(len(scored.raw))
    for fitted, held in folds(scored):
        found[held] = fit(scored.labels[fitted], scored.raw[fitted])(scored.raw[held])
    return found


def choose_thresholds(scored: ScoredVideos, calibration: Calibration) -> Thresholds:
    """The lowest `fake` that at most 5% of the real videos reach; the highest `real` that 5% of the fakes stay below.

    Only compressed videos count: raw ones are easier than what is met in the world. Neither passes one half, so that
    nothing is called fake that is more likely real.

    Raises:
        UserError: there are no compressed videos of a class.
    """
    p_fake = calibration(scored.raw)
    real, fake = (p_fake[scored.compressed & (scored.labels == label)] for label in (0, 1))
    if not len(real) or not len(fake):
        raise UserError("no compressed videos, real and fake, to choose thresholds on", "see --compressions")
    return stricter(Thresholds(fake=0.5, real=0.5), real, fake)


def stricter(thresholds: Thresholds, real: Floats, fake: Floats) -> Thresholds:
    """The thresholds moved outwards until at most 5% of these real scores are called fake, and of these fakes real."""
    above, below = thresholds.fake, thresholds.real
    if len(real):
        above = max(above, float(np.nextafter(np.sort(real)[-1 - int(FALSE_ALARMS * len(real))], np.inf)))
    if len(fake):
        below = min(below, float(np.nextafter(np.sort(fake)[int(FALSE_ALARMS * len(fake))], -np.inf)))
    return Thresholds(fake=above, real=below)
