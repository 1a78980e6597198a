"""What happens to a frame: JPEG, scale, blur, noise, brightness; and to the place of a face in it: shift."""

import zlib
from dataclasses import replace
from math import cos, pi, sin

import cv2
import numpy as np

from dfgame.media import RgbImage, scaled
from dfgame.records import Face
from dfgame.robustness.points import Point

GREY_LEVELS = 255


def transformed(image: RgbImage, point: Point, seed: tuple[int, ...]) -> RgbImage:
    """The frame (or crop) after a transformation; it is as large as before.

    Args:
        image: the frame.
        point: jpeg by quality, scale by share of the sides, blur by sigma in pixels, noise by standard deviation and
            brightness by offset in grey levels of 255, or the untouched frame.
        seed: of the noise, which has the same field at every strength, so that a curve shows the strength alone.
    """
    strength = point.strength
    if strength is None:
        return image
    match point.transformation:
        case "jpeg":
            return jpeg(image, int(strength))
        case "scale":
            return scaled(image, strength)
        case "blur":
            return np.asarray(cv2.GaussianBlur(image, (0, 0), strength, borderType=cv2.BORDER_REFLECT_101), np.uint8)
        case "noise":
            field = np.random.default_rng(seed).standard_normal(image.shape, dtype=np.float32)
            return _rounded(image + np.float32(strength) * field)
        case "brightness":
            return _rounded(image + np.float32(strength))
    raise ValueError(f"{point.transformation} is nothing that is done to a frame")


def jpeg(image: RgbImage, quality: int) -> RgbImage:
    """The picture after JPEG at a quality from 1 to 100, colours at half the resolution, as most encoders do."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)


def shifted(face: Face, share: float, seed: tuple[int, ...]) -> Face:
    """The face with its box and points moved by a share of the box's width, in a direction that the seed draws."""
    direction = np.random.default_rng(seed).uniform(0, 2 * pi)
    left, top, right, bottom = face.box
    x, y = (share * (right - left) * along for along in (cos(direction), sin(direction)))
    points = tuple((across + x, down + y) for across, down in face.points)
    return replace(face, box=(left + x, top + y, right + x, bottom + y), points=points)


def seed_of(name: str, seed: int) -> tuple[int, int]:
    """A seed for each video, the same on every machine."""
    return seed, zlib.crc32(name.encode())


def _rounded(values: np.ndarray) -> RgbImage:
    return np.clip(np.rint(values), 0, GREY_LEVELS).astype(np.uint8)
