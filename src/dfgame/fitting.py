"""What is fitted on validation videos before anything is tested: the threshold, and scores as likelihood ratios."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dfgame.config import EvaluateConfig
from dfgame.metrics import THRESHOLD, Floats, Integers, pooled
from dfgame.outcomes import Level
from dfgame.players import Entry
from dfgame.scored import Names, Scores

NO_VALIDATION = "no validation videos were scored"


@dataclass(frozen=True, slots=True)
class Pooled:
    """What is scored at a level, one an element, in the order of the names: class number, score, name, person."""

    labels: Integers
    scores: Floats
    names: Names
    people: Names


@dataclass(frozen=True, slots=True)
class Fitted:
    """A threshold and where it comes from, and what makes scores log likelihood ratios; or why there is none."""

    threshold: float | None
    threshold_from: str
    no_threshold: str = ""
    llr: Callable[[Floats], Floats] | None = None
    no_llr: str = ""


def pool(scores: Scores, level: Level, entry: Entry, how: str) -> Pooled:
    """The scores at a level, calibrated where the detector brings its own calibration.

    Raises:
        ValueError: a video, or a face, is labelled real and fake.
    """
    names, first, of_frame = np.unique(scores.groups(level), return_index=True, return_inverse=True)
    labels = scores.labels[first]
    if (labels[of_frame] != scores.labels).any():
        raise ValueError("a video is labelled real and fake")
    values = pooled(scores.groups(level), scores.scores, how)[1] if level != "frame" else scores.scores
    if level == "frame":
        names, labels, first = scores.groups(level), scores.labels, np.arange(len(scores.labels))
    return Pooled(labels, calibrated(values, entry), names, scores.people[first])
