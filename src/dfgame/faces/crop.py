"""Square face crops, cut out with a margin, upright as they are or turned so that the eyes are level."""

from collections.abc import Callable
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.media import RgbImage
from dfgame.records import Face

Cutter = Callable[[RgbImage, Face], RgbImage]
"""An image and a face in it -> its crop."""
TEMPLATE = np.array([[0.342, 0.462], [0.656, 0.460], [0.500, 0.641], [0.371, 0.825], [0.631, 0.824]])
"""Where the five points of an aligned face lie in a crop of margin 1, as shares of its side (as ArcFace has them)."""


def cutter(alignment: str, margin: float, size: int) -> Cutter:
    """`align_face` for the alignment "similarity", `crop_face` for "none"."""
    cut = align_face if alignment == "similarity" else crop_face
    return lambda image, face: cut(image, face, margin, size)


def crop_square(face: Face, margin: float) -> tuple[float, float, float]:
    """The square around a face: (left, top, side) in pixels of the frame.

    Its centre is the box's, its side is `margin` times the box's longer side; it may reach beyond the frame.
    """
    left, top, right, bottom = face.box
    side = margin * max(right - left, bottom - top)
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def crop_face(image: RgbImage, face: Face, margin: float, size: int) -> RgbImage:
    """The face's square as size x size pixels; beyond the frame its border pixels are repeated.

    Shrinking averages areas, enlarging is bicubic.
    """
    left, top, side = crop_square(face, margin)
    x, y, whole = round(left), round(top), max(round(side), 1)
    height, width = image.shape[:2]
    inside = image[max(y, 0) : max(y + whole, 0), max(x, 0) : max(x + whole, 0)]
    if inside.shape[:2] != (whole, whole):
        rows = np.clip(np.arange(y, y + whole), 0, height - 1)
        columns = np.clip(np.arange(x, x + whole), 0, width - 1)
        inside = image[rows[:, None], columns]
    interpolation = cv2.INTER_AREA if size < whole else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(inside, (size, size), interpolation=interpolation), np.uint8)


def align_face(image: RgbImage, face: Face, margin: float, size: int) -> RgbImage:
    """The face turned, scaled and moved so that its five points come closest to TEMPLATE, as size x size pixels.

    `margin` scales what is seen around the face as in `crop_face`; beyond the frame its border pixels are repeated.
    Shrinking averages: the face is warped at a whole multiple of the size first.
    """
    wanted = ((TEMPLATE - 0.5) / margin + 0.5) * size
    matrix = similarity(np.array(face.points), wanted)
    finer = min(max(round(1 / max(hypot(matrix[0, 0], matrix[1, 0]), 1e-3)), 1), 8)
    matrix = np.array([[finer, 0, (finer - 1) / 2], [0, finer, (finer - 1) / 2]]) @ np.vstack([matrix, [0, 0, 1]])
    sides = (finer * size, finer * size)
    warped = cv2.warpAffine(image, matrix, sides, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def points_in_crop(face: Face, margin: float, size: int, alignment: str) -> NDArray[np.float64]:
    """Where the face's five points lie in its crop, (5, 2), in pixels of the crop."""
    points = np.array(face.points, np.float64)
    if alignment == "similarity":
        matrix = similarity(points, ((TEMPLATE - 0.5) / margin + 0.5) * size)
        return points @ matrix[:, :2].T + matrix[:, 2]
    left, top, side = crop_square(face, margin)
    return (points - (round(left), round(top))) * (size / max(round(side), 1))


def similarity(points: NDArray[np.floating], onto: NDArray[np.floating]) -> NDArray[np.float64]:
    """The 2 x 3 matrix of rotation, scale and shift that brings points closest to others, by least squares."""
    x, y = points.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, left, top = np.linalg.lstsq(system, onto.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, left], [b, a, top]])
