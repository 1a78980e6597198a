"""By what else the manifest says of videos, as skin tone, age or pose: who is served worse."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from dfgame.config import EvaluateConfig
from dfgame.evaluate.fitting import Fitted, Pooled, fit, pool
from dfgame.evaluate.scored import Names, Scores, scores_of
from dfgame.metrics import (
    auc_interval,
    difference_interval,
    fewest_of_a_class,
    measures,
    people_bootstrap,
    share_interval,
)
from dfgame.outcomes import Gap, Group, Measure
from dfgame.players import Entry
from dfgame.records import Interval, UserError
from dfgame.subjects import Predicted
from dfgame.summary import FEWEST_PEOPLE

MOST_VALUES = 20
"""Values of a column, at most; ages in years are to be put into classes first."""
_SIDES: dict[Measure, int] = {"real_called_fake": 0, "fake_called_real": 1}
"""The error rates, and the class that each is a share of."""


def refuse_many_values(rows: pa.Table, columns: Sequence[str]) -> None:
    """Refuse to measure by columns of which the videos of a data set have more than MOST_VALUES values.

    Raises:
        UserError: names the first.
    """
    everything = scores_of(rows, Predicted(np.zeros(rows.num_rows), np.ones(rows.num_rows, np.bool_)), columns)
    for column in columns:
        for dataset in np.unique(everything.datasets):
            values = len(np.unique(everything.by[column][everything.datasets == dataset]))
            if values > MOST_VALUES:
                raise UserError(
                    f"--by {column}: {values} different values", f"put them into classes, at most {MOST_VALUES}"
                )


def groups_of(
    entry: Entry, scores: Scores, validation: Scores, config: EvaluateConfig
) -> tuple[list[Group], list[Gap]]:
    """A detector by the values of the columns `config.by`, by video, of each data set and quality; and the gaps.

    A video's value is the one that most of its frames have, scored or not. The threshold is the same for all groups.
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
            of_column = [
                _group(entry, (column, value, dataset, compression), _only(found, values == value), fitted, config)
                for value in np.unique(values).tolist()
            ]
            groups += of_column
            gaps += _gaps(of_column)
    return groups, gaps


def _values_of(scores: Scores, column: str, videos: Names) -> Names:
    """The value of each video."""
    values = dict(zip(scores.videos.tolist(), scores.by[column].tolist(), strict=True))
    return np.array([values[video] for video in videos.tolist()], np.str_)


def _only(found: Pooled, chosen: np.ndarray) -> Pooled:
    return Pooled(found.labels[chosen], found.scores[chosen], found.names[chosen], found.people[chosen])


def _group(
    entry: Entry, names: tuple[str, str, str, str], found: Pooled, fitted: Fitted, config: EvaluateConfig
) -> Group:
    undefined = [fitted.no_threshold] if fitted.threshold is None else []
    values: dict[Measure, float] = {}
    intervals: dict[Measure, Interval] = {}
    fewest = fewest_of_a_class(found.labels, found.people)
    try:
        values["auc"] = measures(found.labels, found.scores).auc
        if fewest >= FEWEST_PEOPLE:
            draws = people_bootstrap(found.labels, found.scores, found.people, config.replicates, config.seed)
            intervals["auc"] = auc_interval(values["auc"], draws, fewest)
    except ValueError as error:
        undefined.append(str(error))
    for measure, label in _SIDES.items():
        of_class = _only(found, found.labels == label)
        if fitted.threshold is None or not len(of_class.labels):
            continue
        values[measure] = float(((of_class.scores >= fitted.threshold) == (label == 0)).mean())
        people = len(np.unique(of_class.people))
        if people >= FEWEST_PEOPLE:
            intervals[measure] = share_interval(values[measure], people)
    if values.keys() - intervals.keys():
        undefined.append(f"no interval on fewer than {FEWEST_PEOPLE} people")
    return Group(
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


def _gaps(groups: Sequence[Group]) -> Iterator[Gap]:
    """The gap of each measure that two groups have."""
    measures: tuple[Measure, ...] = ("auc", *_SIDES)
    for measure in measures:
        there = [group for group in groups if getattr(group, measure) is not None]
        if len(there) < 2:
            continue
        lowest, *_, highest = sorted(there, key=lambda group: getattr(group, measure))
        best, worst = (highest, lowest) if measure == "auc" else (lowest, highest)
        (high, of_high), (low, of_low) = (
            (getattr(group, measure), getattr(group, f"{measure}_interval")) for group in (highest, lowest)
        )
        ends = difference_interval(high, of_high, low, of_low) if of_high and of_low else (None, None)
        few = tuple(group.value for group in there if getattr(group, f"{measure}_interval") is None)
        names = (best.run, best.column, best.dataset, best.compression)
        yield Gap(*names, measure, best.value, worst.value, high - low, *ends, few)
