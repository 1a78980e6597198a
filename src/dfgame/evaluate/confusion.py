"""Detectors that name the method: how often each class is called which."""

import numpy as np

from dfgame.evaluate.scored import Scores
from dfgame.metrics import Floats
from dfgame.outcomes import Confusion, Level
from dfgame.players import Entry
from dfgame.records import LABELS, METHODS

CLASSES = (LABELS[0], *METHODS)
"""The classes, in the order of their numbers."""


def confusions_of(entry: Entry, scores: Scores) -> list[Confusion]:
    """Of each data set and quality, by frame and by video; none where the detector does not name methods.

    A video's class is the most probable by the mean of its frames' probabilities.
    """
    if scores.classes is None:
        return []
    found = []
    for (dataset, compression), here in scores.once().by_quality():
        for level in ("frame", "video"):
            one = _confusion(entry, here, dataset, compression, level)
            found += [one] if one else []
    return found


def _confusion(entry: Entry, scores: Scores, dataset: str, compression: str, level: Level) -> Confusion | None:
    truth = np.array(
        [_class(label, method) for label, method in zip(scores.labels, scores.methods.tolist(), strict=True)]
    )
    names, first, of_frame = np.unique(scores.groups(level), return_index=True, return_inverse=True)
    truth, said = truth[first], _means(scores.classes, of_frame, len(names)).argmax(axis=1)
    known = truth >= 0
    if not known.any():
        return None
    counts = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    np.add.at(counts, (truth[known], said[known]), 1)
    of_class = counts.sum(axis=1)
    there = of_class > 0
    return Confusion(
        entry.name,
        dataset,
        compression,
        level,
        CLASSES,
        tuple(tuple(row) for row in counts.tolist()),
        float(counts.trace() / counts.sum()),
        float((counts.diagonal()[there] / of_class[there]).mean()),
        int((~known).sum()),
    )


def _class(label: int, method: str) -> int:
    """The number of a frame's class, -1 where its method has none."""
    if label == 0:
        return 0
    return METHODS.index(method) + 1 if method in METHODS else -1


def _means(classes: Floats | None, of_frame: np.ndarray, count: int) -> Floats:
    assert classes is not None
    sums = np.zeros((count, classes.shape[1]))
    np.add.at(sums, of_frame, classes)
    return sums / np.bincount(of_frame, minlength=count)[:, None]
