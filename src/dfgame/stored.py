"""Stored face crops, read and brought to a side."""

from pathlib import Path

import cv2
import numpy as np

from dfgame.media import RgbImage
from dfgame.records import UserError

MEND_CROPS = "extract the faces again into a new folder"


def read_stored(path: Path) -> RgbImage:
    """A face crop as it is stored.

    Raises:
        UserError: the file is missing or is not a picture.
    """
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)  # imread fails on some file names
    except (OSError, cv2.error) as error:
        problem = "no such file" if isinstance(error, FileNotFoundError) else "not a picture"
        raise UserError(f"{path}: {problem}", MEND_CROPS) from None
    if image is None:
        raise UserError(f"{path}: not a picture", MEND_CROPS)
    return np.asarray(image, np.uint8)


def is_readable(path: Path) -> bool:
    """Whether there is a stored crop, and it is a picture."""
    try:
        read_stored(path)
    except UserError:
        return False
    return True


def resized(image: RgbImage, size: int) -> RgbImage:
    """An image as `size` x `size`: areas when shrinking, bicubic when enlarging."""
    if image.shape[:2] == (size, size):
        return image
    interpolation = cv2.INTER_AREA if size < max(image.shape[:2]) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size, size), interpolation=interpolation), np.uint8)
