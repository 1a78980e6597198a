"""FaceSwap: the source's face, warped to the target's landmarks and blended in.

A stand-in for FaceSwap (Kowalski) as in FaceForensics++: no learning, so the pasted face keeps its own sharpness,
light and expression, and shows a seam of geometry, colour and noise along its outline.
"""

import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import alignment, cut, face_mask, match_colour, moved, put_back, warp_to_points
from dfgame.forgery.clip import Clip
from dfgame.forgery.family import Forged, stacked

SIZE = 192
FEATHER = 0.15
REACH = 0.18


class FaceSwap:
    """Swap by landmarks."""

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Put the source's face of each moment on the target's."""
        mask = face_mask(SIZE, FEATHER)
        return stacked(
            _swap(frame, points, other, other_points, mask)
            for frame, points, other, other_points in zip(
                target.frames, target.points, source.frames, source.points, strict=True
            )
        )


def _swap(
    frame: NDArray[np.uint8],
    points: NDArray[np.float64],
    other: NDArray[np.uint8],
    other_points: NDArray[np.float64],
    mask: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    here, there = alignment(points, SIZE), alignment(other_points, SIZE)
    own = cut(frame, here, SIZE)
    face = warp_to_points(cut(other, there, SIZE), moved(other_points, there), moved(points, here), REACH)
    return put_back(frame, match_colour(face, own, mask), mask, here)
