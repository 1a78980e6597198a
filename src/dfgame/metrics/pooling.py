"""The scores of frames -> the score of a video or of a face."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfgame.metrics.checks import Floats


def video_means(videos: Sequence[str], scores: ArrayLike) -> tuple[NDArray[np.str_], Floats]:
    """The videos, sorted, and the mean of each one's frames. A video is told apart by the whole string."""
    values = np.asarray(scores, np.float64)
    names, of_frame = np.unique(np.asarray(videos, np.str_), return_inverse=True)
    return names, np.bincount(of_frame, values, len(names)) / np.bincount(of_frame, minlength=len(names))


def pooled(groups: Sequence[str] | NDArray[np.str_], scores: ArrayLike, how: str) -> tuple[NDArray[np.str_], Floats]:
    """The groups (videos, or faces of videos), sorted, and one score of each from those of its frames.

    Args:
        groups: (n,) names; a group is told apart by the whole string.
        scores: (n,).
        how: "mean", "median", or "top-K": the mean of the K highest, of all where there are fewer.

    Raises:
        ValueError: `how` is none of these, or groups and scores do not match.
    """
    of, values = np.asarray(groups, np.str_), np.asarray(scores, np.float64)
    if of.shape != values.shape or of.ndim != 1:
        raise ValueError(f"groups and scores do not match: {of.shape} and {values.shape}")
    if how == "mean":
        return video_means(of.tolist(), values)
    name, _, count = how.partition("-")
    if how != "median" and (name != "top" or not count.isdecimal() or int(count) < 1):
        raise ValueError(f'pooling is "mean", "median" or "top-3" with any number, not "{how}"')
    order = np.lexsort((values, of))
    names, starts = np.unique(of[order], return_index=True)
    parts = np.split(values[order], starts[1:]) if len(names) else []
    if how == "median":
        return names, np.array([np.median(part) for part in parts])
    return names, np.array([part[-int(count) :].mean() for part in parts])
