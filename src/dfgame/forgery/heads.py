"""A head seen from the side, from above or below, drawn from a picture of its front.

The head is a solid of one shape for everybody, an ellipsoid with a nose, lips, a chin and sockets for its eyes, that
the picture is laid on by the five points of its face, bowed, turned about its upright axis, and looked at from far
away. Only the picture's own pixels are moved, along its columns and rows, so that no seam arises that a detector could
find: where it does not show the side and the back of a head, what lies beside the cheek is stretched, and the head is
too narrow there.
Lengths are shares of an aligned face's side (see `align`); x to the right, y down, z towards the camera.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import Points, alignment
from dfgame.media import RgbImage

Floats = NDArray[np.float64]

CENTRE = (0.5, 0.47)
HALF_WIDTH, HALF_HEIGHT, HALF_DEPTH = 0.39, 0.60, 0.50
NARROWER = 0.25
"""The share of its width and depth that the head loses from the middle to the chin."""
SIDE = 240
"""Pixels across an aligned face, in the grid that is drawn."""
ACROSS = DOWN = (np.arange(2 * SIDE) + 0.5) / SIDE - 1
"""How far the columns and rows of the grid lie from the head's centre."""
POINTS = 800
"""Points of the surface that are looked at on a line across the head."""
SEEN = np.radians(68)
"""How far from the front the near cheek, or the crown, is drawn; further round the picture is too narrow."""


def _half_width(y: Floats) -> Floats:
    """Half the head's width at a height; 0 above and below it."""
    down = (y - CENTRE[1]) / HALF_HEIGHT
    return HALF_WIDTH * np.sqrt(np.maximum(1 - down**2, 0)) * (1 - NARROWER * np.clip(down, 0, 1))


def surface(x: Floats, y: Floats) -> Floats:
    """How far the front half lies before the upright axis, x being taken from it; -inf where there is no head."""
    inside = _half_width(y) ** 2 - x**2

    def bump(height: float, at: tuple[float, float], width: tuple[float, float], across: Floats) -> Floats:
        return height * np.exp(-(((across - at[0]) / width[0]) ** 2) - ((y - at[1]) / width[1]) ** 2)

    nose = 0.13 * np.exp(-((x / 0.055) ** 2))
    nose *= np.clip((y - 0.36) / 0.19, 0, 1) ** 1.3 * np.clip((0.615 - y) / 0.03, 0, 1)
    lips, chin = bump(0.035, (0, 0.73), (0.12, 0.06), x), bump(0.04, (0, 0.90), (0.12, 0.06), x)
    sockets = bump(-0.04, (0.16, 0.385), (0.08, 0.05), np.abs(x))
    depth = HALF_DEPTH / HALF_WIDTH * np.sqrt(np.maximum(inside, 0)) + nose + lips + chin + sockets
    return np.where(inside >= 0, depth, -np.inf)


@cache
def _to_side(yaw: int) -> NDArray[np.float32]:
    """How far to the right of each pixel of a head turned to a side lies what is drawn there."""
    if yaw < 0:
        return -_to_side(-yaw)[:, ::-1]
    moves = np.zeros((len(DOWN), len(ACROSS)), np.float32)
    for row, y in enumerate(DOWN + CENTRE[1]):
        half = float(_half_width(np.array(y)))
        if half:
            x = np.linspace(-half * np.sin(SEEN), half, POINTS)
            moves[row] = _line(ACROSS, x, surface(x, np.full_like(x, y)), yaw)
    return moves


@cache
def _up_or_down(pitch: int) -> NDArray[np.float32]:
    """How far below each pixel of a bowed head lies what is drawn there."""
    moves, way = np.zeros((len(DOWN), len(ACROSS)), np.float32), 1 if pitch >= 0 else -1
    steps = np.linspace(-HALF_HEIGHT, HALF_HEIGHT, POINTS)
    for column, x in enumerate(ACROSS):
        ahead = surface(np.full_like(steps, x), CENTRE[1] + way * steps)
        there = np.isfinite(ahead)
        if there.any():
            there &= steps >= steps[there][0] * np.sin(SEEN)
            along = _line((way * DOWN)[::way], steps[there], ahead[there], abs(pitch))
            moves[:, column] = (way * along)[::way]
    return moves


def _line(grid: Floats, from_axis: Floats, ahead: Floats, degrees: int) -> Floats:
    """The moves along one line across the axis: to the head where it is seen, and from its edges out to nothing."""
    angle = np.radians(degrees)
    seen_at = from_axis * np.cos(angle) + ahead * np.sin(angle)
    seen = np.diff(np.maximum.accumulate(seen_at), prepend=-np.inf) > 0
    last = seen_at[seen][-1]
    at = [grid[0], *seen_at[seen], np.nextafter(last, np.inf), grid[-1]]
    to = [grid[0], *from_axis[seen], max(from_axis[-1], last), grid[-1]]
    return np.interp(grid, at, to) - grid


def moved(yaw: int, pitch: int = 0) -> NDArray[np.float32]:
    """How far to the right of and below each pixel of a turned head lies what is drawn there, in the aligned face.

    The grid is that of DOWN and ACROSS, (rows, columns, 2). Whole degrees; above 0 the nose goes to the
    right, and down.
    """
    right = _to_side(yaw)
    columns, rows = np.meshgrid(*(np.arange(len(line), dtype=np.float32) for line in (ACROSS, DOWN)))
    below = cv2.remap(_up_or_down(pitch), columns + SIDE * right, rows, cv2.INTER_LINEAR)
    return np.dstack([right, np.asarray(below, np.float32)])


def turned_head(image: RgbImage, points: Points, yaw: int, pitch: int = 0) -> RgbImage:
    """The picture with the head of the face that has these five points turned; for the angles see `moved`."""
    from_face = cv2.invertAffineTransform(alignment(points, SIDE))
    place = from_face.copy()
    place[:, 2] += from_face[:, :2] @ (SIDE * np.array([CENTRE[0] + ACROSS[0], CENTRE[1] + DOWN[0]]))
    height, width = image.shape[:2]
    shares = SIDE * cv2.warpAffine(moved(yaw, pitch), place, (width, height))
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    where = [at + shares @ turn for at, turn in zip((columns, rows), from_face[:, :2], strict=True)]
    x, y = (at.astype(np.float32) for at in where)
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
