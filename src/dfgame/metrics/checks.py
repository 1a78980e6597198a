"""What every metric takes: labels and scores that fit each other."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

THRESHOLD = 0.5
"""A probability of fake from which an image or a video counts as fake unless another is given; not calibrated."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Integers, Floats]:
    """Labels and scores, each (n,).

    Raises:
        ValueError: they do not match, a class is missing, or a score is not a finite number.
    """
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
