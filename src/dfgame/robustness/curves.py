"""Videos' scores at every point -> curves of the AUC, with intervals over people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dfgame.metrics import auc_interval, fewest_of_a_class, measures, people_bootstrap
from dfgame.records import LABELS, Failure
from dfgame.robustness.points import KINDS, NOTHING, Point


@dataclass(frozen=True, slots=True)
class ScoredVideo:
    """A video that is scored: its name, its class's name, and the person whose face is seen in it."""

    name: str
    label: str
    person: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A detector's video-level AUC at a point, and its 95% interval over people, None where there are too few."""

    subject: str
    transformation: str
    strength: float | None
    auc: float
    low: float | None
    high: float | None
    n_real: int
    n_fake: int

    @property
    def point(self) -> Point:
        """Where it was measured."""
        return Point(self.transformation, self.strength)


@dataclass(frozen=True, slots=True)
class Robustness:
    """All that was measured: `rows` by detector and point, in order; `failures` are videos in none of them.

    `not_done` says why transformations that were asked for were left out, `notes` what else is to be known.
    """

    rows: tuple[Measured, ...]
    settings: dict[str, Any]
    failures: tuple[Failure, ...] = ()
    not_done: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    subjects: tuple[str, ...] = field(default=())

    @property
    def transformations(self) -> list[str]:
        """Those that have a curve, in their order."""
        there = {row.transformation for row in self.rows}
        return [name for name in KINDS if name in there]

    def measured_by(self, transformation: str) -> list[str]:
        """The detectors that have a curve of a transformation, in their order."""
        there = {row.subject for row in self.rows if row.transformation == transformation}
        return [name for name in self.subjects if name in there]

    def curve(self, subject: str, transformation: str) -> list[Measured]:
        """A detector's curve from weak to strong, the untouched videos' point where it belongs.

        That is first, but in the middle of a transformation that has two directions.
        """
        own = [row for row in self.rows if row.subject == subject]
        (untouched,) = (row for row in own if row.point == NOTHING)
        found = [row for row in own if row.transformation == transformation]
        below = sum((row.strength or 0) < 0 for row in found)
        return [*found[:below], untouched, *found[below:]]

    def half_lost(self, subject: str, transformation: str) -> float | None:
        """The weakest strength tried at which half of what the detector is better than a coin is lost.

        None where no strength does that. A strength counts by how far it is from none.
        """
        curve = self.curve(subject, transformation)
        (untouched,) = (row.auc for row in curve if row.strength is None)
        lost = [row.strength for row in curve if row.strength is not None and row.auc - 0.5 <= (untouched - 0.5) / 2]
        if not lost:
            return None
        return max(lost) if KINDS[transformation].falls else min(lost, key=abs)


def measured(
    subject: str, point: Point, videos: Sequence[ScoredVideo], scores: Mapping[str, float], replicates: int, seed: int
) -> Measured:
    """The AUC of the videos' scores, and its interval.

    Raises:
        ValueError: there are only real or only fake videos.
    """
    labels = np.array([LABELS.index(video.label) for video in videos], np.int64)
    values = np.array([scores[video.name] for video in videos])
    found = measures(labels, values)
    people = [video.person for video in videos]
    try:
        draws = people_bootstrap(labels, values, people, replicates, seed)
    except ValueError:
        low = high = None
    else:
        low, high = auc_interval(found.auc, draws, fewest_of_a_class(labels, people))
    return Measured(subject, *point, found.auc, low, high, found.n_real, found.n_fake)
