"""Square face crops, cut out with a margin."""

import cv2
import numpy as np

from dfgame.media import RgbImage
from dfgame.records import Face


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
