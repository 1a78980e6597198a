"""Self-blended images: a slightly altered copy of a face, blended into itself.

Source: Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. The fake shows nobody else:
what can be learned from it are the seams of every face replacement, in colour, sharpness, place and outline. Where
the paper cuts masks from 68 landmarks, ours are outlines laid on five points.
"""

import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.live.still import (
    LOWER,
    STRENGTHS,
    WHOLE,
    Still,
    blended,
    one_of,
    recoloured,
    refocused,
    shifted,
    soft_mask,
)

FACE_IS_ALTERED = 0.65
"""How often the pasted face is the altered copy; else what is around it is."""


def selfblend(still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blend the face with an altered copy of itself."""
    image = still.image.astype(np.float32)
    altered = recoloured(image, rng)
    if rng.random() < 0.75:
        altered = refocused(altered, rng)
    face, around = (altered, image) if rng.random() < FACE_IS_ALTERED else (image, altered)
    mask = soft_mask(still, one_of((*WHOLE, LOWER), rng), rng)
    return blended(around, shifted(face, still.points, rng), mask * rng.choice(STRENGTHS))
