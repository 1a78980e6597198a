"""A head seen from the side, drawn from a picture of its front.

The head is a solid of one shape for everybody, an ellipsoid with a nose, lips, a chin and sockets for its eyes, that
the picture is laid on by the five points of its face, turned about its upright axis, and looked at from far away. Only
the picture's own pixels are moved, along its rows, so that no seam arises that a detector could find: where it does
not show the side and the back of a head, what lies beside the cheek is stretched, and the head is too narrow there.
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
"""Pixels across an aligned face, in the grid that is drawn, which reaches one such length to each side of the axis."""
FINER = 4
"""Points of the surface for each pixel across a head seen from the front."""
SEEN = np.radians(68)
"""How far from the front the near cheek is drawn; further round the picture is too narrow."""


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
def moved(degrees: float) -> NDArray[np.float32]:
    """How far to the right of each pixel of a turned head lies what is drawn there, in the aligned face.

    The grid is centred on the axis from side to side, and begins at y = -0.25. Degrees above 0 turn the nose to the
    right.
    """
    if degrees < 0:
        return -moved(-degrees)[:, ::-1]
    across = (np.arange(2 * SIDE) + 0.5) / SIDE - 1
    heights = (np.arange(round(1.5 * SIDE)) + 0.5) / SIDE - 0.25
    return np.stack([_row(across, y, np.radians(degrees)) for y in heights])


def _row(across: Floats, y: float, angle: float) -> NDArray[np.float32]:
    """The moves of one row: to the head where it is seen, and from its edges out to nothing."""
    half = float(_half_width(np.array(y)))
    if half == 0:
        return np.zeros(len(across), np.float32)
    x = np.linspace(-half * np.sin(SEEN), half, round(2 * HALF_WIDTH * SIDE * FINER))
    u = x * np.cos(angle) + surface(x, np.full_like(x, y)) * np.sin(angle)
    seen = np.diff(np.maximum.accumulate(u), prepend=-np.inf) > 0
    last = u[seen][-1]
    at = [-1.0, *u[seen], np.nextafter(last, 1), 1.0]
    to = [-1.0, *x[seen], max(half, last), 1.0]
    return (np.interp(across, at, to) - across).astype(np.float32)


def turned_head(image: RgbImage, points: Points, degrees: float) -> RgbImage:
    """The picture with the head of the face that has these five points turned."""
    from_face = cv2.invertAffineTransform(alignment(points, SIDE))
    place = from_face.copy()
    place[:, 2] += from_face[:, :2] @ (SIDE * np.array([CENTRE[0] - 1, -0.25]))
    height, width = image.shape[:2]
    share = cv2.warpAffine(moved(degrees), place, (width, height))
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    where = [at + SIDE * share * move for at, move in zip((columns, rows), from_face[:, 0], strict=True)]
    x, y = (at.astype(np.float32) for at in where)
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
