"""Where a face went between two detections, by what its pixels did: Lucas and Kanade's optical flow."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.media import RgbImage
from dfgame.records import Face

Grey = NDArray[np.uint8]
Point = NDArray[np.float64]

SMALL_SIDE = 320
"""Motion is measured in grey pictures of at most this many pixels on the longer side."""
FURTHEST = 0.5
"""Share of a face's width that it may be off the straight line; more is a measurement gone wrong."""
_POINTS_ACROSS = 7


def small_grey(image: RgbImage) -> tuple[Grey, float]:
    """A frame as a small grey picture, and how many pixels of the frame one of its pixels is."""
    height, width = image.shape[:2]
    scale = max(max(height, width) / SMALL_SIDE, 1.0)
    size = max(round(width / scale), 1), max(round(height / scale), 1)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def travel(pictures: Sequence[Grey], scale: float, face: Face) -> list[Point]:
    """How far a face has moved in each of the pictures since the first, (0, 0) for that, in pixels of the frame.

    From picture to picture it moves by the median motion of a grid of points in it.

    Args:
        pictures: consecutive frames, see `small_grey`.
        scale: how many pixels of a frame one of theirs is.
        face: where it is in the first of them, in pixels of the frame.
    """
    way = [np.zeros(2)]
    for before, after in pairwise(pictures):
        way.append(way[-1] + scale * _step(before, after, moved(face, way[-1]), scale))
    return way


def detours(way: Sequence[Point], face: Face) -> list[Point]:
    """How far a face was off the straight line between two detections, in each frame between them.

    What the steps of its `way` sum up to differs from the way between the two detections; the difference is shared
    out evenly, so that it is the detections that say where the face began and ended.
    """
    steps = len(way) - 1
    found = [way[k] - k / steps * way[-1] for k in range(1, steps)]
    furthest = FURTHEST * (face.box[2] - face.box[0])
    return [by if np.hypot(*by) <= furthest else np.zeros(2) for by in found]


def moved(face: Face, by: Point) -> Face:
    """The face in another place."""
    x, y = by.tolist()
    left, top, right, bottom = face.box
    points = tuple((px + x, py + y) for px, py in face.points)
    return Face((left + x, top + y, right + x, bottom + y), points, face.score)


def _step(before: Grey, after: Grey, face: Face, scale: float) -> Point:
    """The median motion of the points of a face from one picture to the next, in their pixels."""
    left, top, right, bottom = (side / scale for side in face.box)
    across = np.linspace(0.15, 0.85, _POINTS_ACROSS)
    x, y = np.meshgrid(left + across * (right - left), top + across * (bottom - top))
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)[:, None]
    ends, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, np.empty_like(points))
    good = found.ravel() == 1
    return np.median((ends - points)[good, 0], axis=0).astype(np.float64) if good.any() else np.zeros(2)
