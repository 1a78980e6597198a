"""A face with what is faint in it made strong, for the eye of whoever looks."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.media import RgbImage

FINE, COARSE = 1 / 96, 1 / 10
"""Sigmas of the smoothing, as shares of the crop's side: of structure the first, of tints the second."""
FINE_GAIN, TINT_GAIN = 6.0, 2.5
MOST_ADDED = 90.0
"""What is added to a pixel stays below this: the edges of eyes and mouth would drown the rest."""
FACE_SHARE = 0.55
"""How much of the face's own contrast is left below what is added."""
_GREY = 128.0


def amplified(crop: RgbImage) -> RgbImage:
    """The crop with its fine structure and its local tints enlarged, over a toned-down grey face.

    People tell manipulated faces better from a picture in which artefacts are amplified (Fosco and others, Deepfake
    Caricatures, 2022, whose amplification is learned; this one is a plain filter). Per colour, what is finer than a
    Gaussian of 1/96 of the side is enlarged 6 times, and how the colour without its brightness departs from a wider
    surrounding 2.5 times; both are held below MOST_ADDED softly, and added to the smoothed grey face. Seams, grids,
    noise that ends at a line, skin without pores and shifts of colour show. Make-up, a beauty filter, and the blocks
    of compression show in the same way: it helps to look, and proves nothing.

    The same pixels give the same picture: the smoothing is OpenCV's in whole numbers.
    """
    smooth = _smoothed(crop, FINE)
    fine = crop.astype(np.float32) - smooth
    tint = _colour(smooth) - _colour(_smoothed(crop, COARSE))
    face = _GREY + FACE_SHARE * (smooth.mean(axis=2, keepdims=True) - _GREY)
    shown = face + _held(FINE_GAIN * fine) + _held(TINT_GAIN * tint)
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def _smoothed(crop: RgbImage, share: float) -> NDArray[np.float32]:
    sigma = share * crop.shape[0]
    return cv2.GaussianBlur(crop, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101).astype(np.float32)


def _colour(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left of the colours without their mean."""
    return image - image.mean(axis=2, keepdims=True)


def _held(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Small changes as they are, large ones ever closer to MOST_ADDED."""
    return np.asarray(change * (MOST_ADDED / (MOST_ADDED + np.abs(change))), np.float32)
