"""A face's expression, as far as five points tell it, moved from one face to another by a smooth warp."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import Points, alignment, moved, warp_to_points

MOST = 0.05
"""The furthest a corner of the mouth is moved to where the source has it, as a share of the aligned face's side."""
SPEECH = 0.025
"""Largest opening of the mouth over the clip, in the same unit; photographs do not speak, so the warp does."""
SYLLABLES = 2.5
"""How often the mouth opens and closes over the clip."""
REACH = 0.12
STILL: Points = np.array([[0.2, 0.5], [0.8, 0.5], [0.5, 0.15], [0.2, 0.75], [0.8, 0.75]])
"""Points of the aligned face that stay besides eyes and nose: temples, forehead, cheeks; shares of its side."""
BELOW = 0.09
"""How far below the middle between the mouth's corners the lower lip ends."""


def reposed(
    faces: Sequence[NDArray[np.float32]], points: NDArray[np.float64], other_points: NDArray[np.float64]
) -> list[tuple[NDArray[np.float32], Points]]:
    """Aligned faces with the mouths of other faces, each with its five points after the change.

    Args:
        faces: square aligned faces of one clip, one a frame.
        points: (T, 5, 2), the same faces' points in pixels of the frames they were cut from.
        other_points: (T, 5, 2), the points of the faces whose expression is wanted, in pixels of their own frames.
    """
    opening = SPEECH * np.sin(np.linspace(0, np.pi * SYLLABLES, len(faces)) + 0.5) ** 2
    return [_reposed(*frame) for frame in zip(faces, points, other_points, opening, strict=True)]


def _reposed(
    face: NDArray[np.float32], points: Points, other_points: Points, opening: float
) -> tuple[NDArray[np.float32], Points]:
    size = face.shape[0]
    own = moved(points, alignment(points, size)) / size
    wanted = own.copy()
    difference = moved(other_points, alignment(other_points, size))[3:] / size - own[3:]
    wanted[3:] += MOST * np.tanh(difference / MOST)
    lip, lip_wanted = (corners[3:].mean(0) + np.array([0, BELOW]) for corners in (own, wanted))
    lip_wanted[1] += 2 * opening
    goals = np.vstack([wanted, lip_wanted, STILL])
    warped = warp_to_points(face, np.vstack([own, lip, STILL]) * size, goals * size, REACH)
    return warped, wanted * size
