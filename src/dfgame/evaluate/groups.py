"""By what else the manifest says of videos, as skin tone, age or pose: who is served worse."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dfgame.config import EvaluateConfig
from dfgame.evaluate.fitting import Fitted, Pooled, fit, pool
from dfgame.evaluate.scored import Names, Scores
from dfgame.metrics import Floats, interval, measures, multiplicities, people_bootstrap
from dfgame.outcomes import Gap, Group, Measure
from dfgame.players import Entry
from dfgame.records import Interval, UserError
from dfgame.summary import FEWEST_VIDEOS

MOST_VALUES = 20
"""Values of a column, at most; ages in years are to be put into classes first."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """A group, and the bootstrap replicates of each of its measures that is defined."""

    group: Group
    draws: dict[Measure, Floats]


def groups_of(
    entry: Entry, scores: Scores, validation: Scores, config: EvaluateConfig
) -> tuple[list[Group], list[Gap]]:
    """A detector by the values of the columns `config.by`, by video, of each data set and quality; and the gaps.

    A video's value is the one that most of its frames have. The threshold is the same for all groups.

    Raises:
        UserError: a column has more than MOST_VALUES values.
    """
    groups: list[Group] = []
    gaps: list[Gap] = []
    fitted = fit(validation, "video", entry, config)
    for (dataset, compression), here in scores.once().by_quality() if config.by else ():
        try:
            found = pool(here, "video", entry, config.pooling)
        except ValueError:
            continue  # a video of both labels; its cells are told as undefined
        if not np.isfinite(found.scores).all():
            continue  # so are these
        for column in config.by:
            values = _values_of(here, column, found.names)
            measured = [
                _measured(entry, (column, value, dataset, compression), _only(found, values == value), fitted, config)
                for value in np.unique(values).tolist()
            ]
            groups += [one.group for one in measured]
            gaps += _gaps(measured)
    return groups, gaps


def _values_of(scores: Scores, column: str, videos: Names) -> Names:
    """The value of each video: the one of most of its frames, of several the first by name."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for video, value in zip(scores.videos.tolist(), scores.by[column].tolist(), strict=True):
        counts[video][value] += 1
    found = [min(counts[video].items(), key=lambda pair: (-pair[1], pair[0]))[0] for video in videos.tolist()]
    if len(set(found)) > MOST_VALUES:
        raise UserError(
            f"--by {column}: {len(set(found))} different values", f"put them into classes, at most {MOST_VALUES}"
        )
    return np.array(found, np.str_)


def _only(found: Pooled, chosen: np.ndarray) -> Pooled:
    return Pooled(found.labels[chosen], found.scores[chosen], found.names[chosen], found.people[chosen])


def _measured(
    entry: Entry, names: tuple[str, str, str, str], found: Pooled, fitted: Fitted, config: EvaluateConfig
) -> _Measured:
    undefined = [fitted.no_threshold] if fitted.threshold is None else []
    values: dict[Measure, float] = {}
    draws: dict[Measure, Floats] = {}
    try:
        draws["auc"] = people_bootstrap(found.labels, found.scores, found.people, config.replicates, config.seed)
        values["auc"] = measures(found.labels, found.scores).auc
    except ValueError as error:
        undefined.append(str(error))
    sides: tuple[tuple[Measure, int], ...] = (("real_called_fake", 0), ("fake_called_real", 1))
    for measure, label in sides:
        of_class = _only(found, found.labels == label)
        if fitted.threshold is None or not len(of_class.labels):
            continue
        wrong = (of_class.scores >= fitted.threshold) == (label == 0)
        values[measure], draws[measure] = float(wrong.mean()), _drawn_share(wrong, of_class.people, config)
    intervals: dict[Measure, Interval] = {name: interval(of_measure) for name, of_measure in draws.items()}
    group = Group(
        entry.name,
        *names,
        n_real=int((found.labels == 0).sum()),
        n_fake=int((found.labels == 1).sum()),
        auc=values.get("auc"),
        auc_interval=intervals.get("auc"),
        threshold=fitted.threshold,
        real_called_fake=values.get("real_called_fake"),
        real_called_fake_interval=intervals.get("real_called_fake"),
        fake_called_real=values.get("fake_called_real"),
        fake_called_real_interval=intervals.get("fake_called_real"),
        undefined="; ".join(undefined),
    )
    return _Measured(group, draws)


def _drawn_share(wrong: np.ndarray, people: Names, config: EvaluateConfig) -> Floats:
    """The share of wrong answers when people are drawn again, each with all videos."""
    names, of_video = np.unique(people, return_inverse=True)
    weights = multiplicities(names.tolist(), config.replicates, config.seed)[:, of_video]
    return (weights @ wrong.astype(np.float64)) / weights.sum(axis=1)


def _gaps(measured: Sequence[_Measured]) -> Iterator[Gap]:
    """The gap of each measure that two groups have."""
    few = tuple(one.group.value for one in measured if min(one.group.n_real, one.group.n_fake) < FEWEST_VIDEOS)
    measures: tuple[Measure, ...] = ("auc", "real_called_fake", "fake_called_real")
    for measure in measures:
        there = [one for one in measured if measure in one.draws]
        if len(there) < 2:
            continue
        ordered = sorted(there, key=lambda one: getattr(one.group, measure), reverse=measure == "auc")
        best, worst = ordered[0], ordered[-1]
        sign = 1 if measure == "auc" else -1
        low, high = interval(sign * (best.draws[measure] - worst.draws[measure]))
        gap = sign * (getattr(best.group, measure) - getattr(worst.group, measure))
        names = (best.group.run, best.group.column, best.group.dataset, best.group.compression)
        yield Gap(*names, measure, best.group.value, worst.group.value, gap, low, high, few)
