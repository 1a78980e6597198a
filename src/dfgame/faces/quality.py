"""How good a look at a face one has: how wide it is, how far it is turned away, how much fine structure is left."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfgame.media import RgbImage
from dfgame.records import Face

_INNER = 0.6
"""Share of the crop's side, in its middle, that counts: the face itself."""
_ROUNDING = 1 / 12
"""Variance that rounding to whole levels leaves in every pixel, spread evenly over all frequencies."""
_LEAST = 1e-2
"""Energy, in levels squared, that counts as none."""
_AXIS = 1 / 16
"""Cycles a pixel across or down below which the highest octave leaves out: there lie the edges of a codec's blocks."""
_NOTHING = -4.0
"""What a crop without fine structure has; less cannot be told from rounding."""
_HIGHEST = 1 / 4
"""Cycles a pixel at which the highest octave begins."""
_PROFILE = 10.0
"""How far a face counts as turned whose eyes cannot be told apart."""
_SMALLEST = 32
"""Side in pixels below which a crop is not measured any smaller."""


def face_width(face: Face) -> float:
    """The width of a face's box, in pixels of its frame."""
    return face.box[2] - face.box[0]


def face_turn(points: ArrayLike) -> float:
    """How far a face is turned to a side: how far its nose lies off the middle of its eyes, in the eyes' distance.

    0 straight ahead, or where no points are known; 10 where one eye covers the other.

    Args:
        points: (5, 2), those of a `Face`, or none.
    """
    found = np.asarray(points, np.float64)
    if not len(found):
        return 0.0
    left, right, nose = found[:3]
    across, off = right - left, nose - (left + right) / 2
    distance = float(np.hypot(*across))
    if distance <= np.hypot(*off) / _PROFILE:
        return _PROFILE
    return abs(float(off @ across)) / distance**2


def detail(crop: RgbImage, native: float) -> float:
    """How much fine structure a crop holds: log10 of the energy of its highest octave over all energy below.

    The highest octave is that which the native resolution could hold: a crop that was enlarged from fewer pixels is
    brought back to them first, so that a small sharp face does not count as a blurred one. It falls as a face is
    blurred, compressed harder, or enlarged before it became a video; noise counts as structure. Only the middle of the
    crop counts.

    Args:
        crop: (H, W, 3), 0 to 255.
        native: the side in pixels of the frame that the crop was cut out of.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    fitting = max(round(native), _SMALLEST)
    if fitting < grey.shape[0]:
        grey = cv2.resize(grey, (fitting, fitting), interpolation=cv2.INTER_AREA)
    edge = round(grey.shape[0] * (1 - _INNER) / 2)
    inner = grey[edge:-edge, edge:-edge].astype(np.float32)
    window, fine, coarse = _bands(inner.shape[0])
    waves = cv2.dft((inner - inner.mean()) * window, flags=cv2.DFT_COMPLEX_OUTPUT)
    power = cv2.mulSpectrums(waves, waves, 0, conjB=True)
    energy = power[:, :, 0] / inner.size
    highest = max(float(energy[fine].sum()) / inner.size - _ROUNDING * float(fine.mean()), _LEAST)
    lower = max(float(energy[coarse].sum()) / inner.size, 1.0)
    return max(float(np.log10(highest / lower)), _NOTHING)


@lru_cache(maxsize=256)
def _bands(side: int) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """A window of mean square 1 that leaves out the borders; which frequencies are high, and lower."""
    hann = np.hanning(side + 2)[1:-1]
    window = np.outer(hann, hann)
    across, down = np.abs(np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency = np.hypot(across, down)
    fine = (frequency >= _HIGHEST) & (np.minimum(across, down) >= _AXIS)
    coarse = frequency < _HIGHEST
    return (window / np.sqrt((window**2).mean())).astype(np.float32), fine, coarse
