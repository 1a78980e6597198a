"""What is fitted on validation videos before anything is tested: the threshold, and scores as likelihood ratios."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dfgame.config import EvaluateConfig
from dfgame.evaluate.scored import Names, Scores
from dfgame.metrics import EDGE, THRESHOLD, Floats, Integers, bounded_llrs, calibrate_llrs, llr_bounds, pooled
from dfgame.outcomes import Level
from dfgame.players import Entry
from dfgame.records import LABELS, Interval


@dataclass(frozen=True, slots=True)
class Pooled:
    """What is scored at a level, one an element, in the order of the names: class number, score, name, person."""

    labels: Integers
    scores: Floats
    names: Names
    people: Names


@dataclass(frozen=True, slots=True)
class Fitted:
    """A threshold and where it comes from, what makes scores log likelihood ratios, and the bounds of these.

    Of what there is not, the reason.
    """

    threshold: float | None
    threshold_from: str
    no_threshold: str = ""
    llr: Callable[[Floats], Floats] | None = None
    no_llr: str = ""
    bounds: Interval | None = None
    no_bounds: str = ""

    def llrs(self, scores: Floats) -> Floats | None:
        """The log likelihood ratios as they are reported: brought between the bounds, where there are any."""
        if self.llr is None:
            return None
        found = self.llr(scores)
        return found if self.bounds is None else bounded_llrs(found, self.bounds)


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


def calibrated(scores: Floats, entry: Entry) -> Floats:
    """The probabilities that scores mean, where the detector says how; the scores themselves otherwise."""
    said = entry.info.get("calibration")
    if not said:
        return scores
    inside = np.clip(scores, EDGE, 1 - EDGE)
    return 1 / (1 + np.exp(-(said["slope"] * np.log(inside / (1 - inside)) + said["intercept"])))


def fit(validation: Scores, level: Level, entry: Entry, config: EvaluateConfig) -> Fitted:
    """The threshold and the likelihood ratios of a level, fitted on the validation videos of what is asked.

    The threshold is the one with the highest balanced accuracy on them, halfway between two neighbouring scores; of
    several equally good ones the middle one. Without validation videos it is 0.5, if that makes sense.
    """
    if not len(validation.labels):
        return _without(entry, config, "no validation videos were scored")
    try:
        found = pool(validation, level, entry, config.pooling)
        for label, name in enumerate(LABELS):
            if not (found.labels == label).any():
                raise ValueError(f"no {name} validation videos were scored")
        if not np.isfinite(found.scores).all():
            raise ValueError("scores of validation videos are not finite numbers")
        llr = calibrate_llrs(found.labels, found.scores)
    except ValueError as error:
        return _without(entry, config, str(error))
    bounds, no_bounds = None, ""
    try:
        bounds = llr_bounds(found.labels, llr(found.scores), found.people)
    except ValueError as error:
        no_bounds = str(error)
    if not isinstance(config.threshold, str):
        threshold, origin = config.threshold, "given"
    else:
        threshold, origin = best_threshold(found.labels, found.scores), "validation"
    return Fitted(threshold, origin, llr=llr, bounds=bounds, no_bounds=no_bounds)


def probabilities(scores: Scores, validation: Scores, entry: Entry) -> bool:
    """Whether all that a detector says can be probabilities of fake."""
    said = calibrated(np.concatenate([scores.scores, validation.scores]), entry)
    return bool(((said >= 0) & (said <= 1)).all())


def usable(fitted: Fitted, scores: Scores, entry: Entry) -> Fitted:
    """Without its likelihood ratios, if what is tested has scores that they are not defined for."""
    try:
        if fitted.llr:
            fitted.llr(calibrated(scores.scores, entry))
    except ValueError as error:
        return replace(fitted, llr=None, no_llr=str(error), bounds=None, no_bounds=str(error))
    return fitted


def _without(entry: Entry, config: EvaluateConfig, why: str) -> Fitted:
    if not isinstance(config.threshold, str):
        return Fitted(config.threshold, "given", no_llr=why, no_bounds=why)
    if entry.kind == "scores":
        no_threshold = f"{why}, and scores of another tool may mean anything: see --threshold"
        return Fitted(None, "", no_threshold, no_llr=why, no_bounds=why)
    return Fitted(THRESHOLD, "default", no_llr=why, no_bounds=why)


def best_threshold(labels: Integers, scores: Floats) -> float:
    """The score from which calling things fake gives the highest balanced accuracy."""
    values = np.unique(scores)
    candidates = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2])
    real, fake = (np.sort(scores[labels == label]) for label in (0, 1))
    right = np.searchsorted(real, candidates) / len(real) + 1 - np.searchsorted(fake, candidates) / len(fake)
    best = candidates[right >= right.max() - 1e-12]
    return float(best[len(best) // 2])
