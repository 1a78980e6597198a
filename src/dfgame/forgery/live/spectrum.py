"""A face whose spectrum is not a camera's: frequencies raised or lowered, and the grids that upsampling leaves.

Generators miss the natural fall-off of high frequencies and repeat a pattern every few pixels (Durall, Keuper and
Keuper, "Watch your Up-Convolution", CVPR 2020).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import alignment
from dfgame.forgery.live.still import WHOLE, Image, Still, blended, one_of, soft_mask

SIZE = 128
"""Side of the aligned face whose spectrum is changed."""
BANDS = 6
SPREAD = 0.8
"""Standard deviation of the log gain of the highest band; the lowest keeps its own."""
_HEIGHT, _WIDTH = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]
_RADIUS = np.sqrt(_HEIGHT**2 + _WIDTH**2) / 0.5


def spectrum(still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change the face's spectrum."""
    image = still.image.astype(np.float32)
    matrix = alignment(still.points, SIZE)
    face = cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    change = _coloured_noise(np.asarray(face, np.float32), rng) - face
    size, inverse = (image.shape[1], image.shape[0]), cv2.invertAffineTransform(matrix)
    back = cv2.warpAffine(np.asarray(change, np.float32), inverse, size, flags=cv2.INTER_LINEAR)
    return blended(image, image + back, soft_mask(still, one_of(WHOLE, rng), rng))


def _coloured_noise(face: Image, rng: np.random.Generator) -> Image:
    """The face with other gains of its frequencies, and a faint grid."""
    levels = np.linspace(0, 1, BANDS)
    gains = np.exp(np.interp(_RADIUS, levels, rng.normal(0, SPREAD, BANDS) * levels))
    coefficients = np.fft.rfft2(face, axes=(0, 1)) * gains[:, :, None]
    changed = np.fft.irfft2(coefficients, s=(SIZE, SIZE), axes=(0, 1)).astype(np.float32)
    if rng.random() < 0.5:
        period, strength = rng.choice((2, 4, 8)), rng.uniform(0.5, 4)
        wave = np.cos(2 * np.pi * np.arange(SIZE) / period + rng.uniform(0, 2 * np.pi))
        changed += (strength * (wave[:, None] + wave[None]))[:, :, None].astype(np.float32)
    return changed
