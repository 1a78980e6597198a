"""Detectors that name the method: which class was called which."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from dfgame.metrics.checks import Integers

Name = TypeVar("Name", bound=Hashable)


def confusion(labels: Sequence[Name], predicted: Sequence[Name], classes: Sequence[Name]) -> Integers:
    """(classes, classes): how often each class (row) was called each class (column), in the order of `classes`.

    Raises:
        ValueError: there is nothing, the two do not match, or one of them has something that is no class.
    """
    if len(labels) != len(predicted) or not len(labels):
        raise ValueError(f"{len(labels)} labels and {len(predicted)} answers")
    place = {name: number for number, name in enumerate(classes)}
    strangers = ({*labels} | {*predicted}) - place.keys()
    if strangers:
        raise ValueError(f"not among the classes: {', '.join(sorted(map(str, strangers)))}")
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, ([place[name] for name in labels], [place[name] for name in predicted]), 1)
    return counts


def class_accuracy(counts: ArrayLike) -> float:
    """The share of right answers of a matrix of `confusion`.

    Raises:
        ValueError: the matrix is empty.
    """
    matrix = _filled(counts)
    return float(matrix.trace() / matrix.sum())


def balanced_class_accuracy(counts: ArrayLike) -> float:
    """The mean of the classes' shares of right answers, of a matrix of `confusion`.

    Raises:
        ValueError: there is nothing of a class.
    """
    matrix = _filled(counts)
    of_class = matrix.sum(axis=1)
    if not of_class.all():
        raise ValueError(f"nothing of {(of_class == 0).sum()} of {len(of_class)} classes")
    return float((matrix.diagonal() / of_class).mean())


def _filled(counts: ArrayLike) -> Integers:
    matrix = np.asarray(counts, np.int64)
    if not matrix.sum():
        raise ValueError("nothing to measure on")
    return matrix
