"""A face with another past: it went through another H.264 encoding, at another size, than what is around it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.live.still import WHOLE, Still, blended, one_of, recoloured, soft_mask
from dfgame.media import through_h264

WORSE = (26, 44)
"""Range of the constant rate factor of the face's encoding."""
SMALLER = (0.35, 1.0)
"""Range of the size at which it was encoded, as a share of the crop's."""


def recompress(still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blend in the face as another video would have kept it."""
    height, width = still.image.shape[:2]
    share = rng.uniform(*SMALLER)
    small = (max(round(width * share / 2), 8) * 2, max(round(height * share / 2), 8) * 2)
    encoded = cv2.resize(still.image, small, interpolation=cv2.INTER_AREA)
    (seen,) = through_h264([np.asarray(encoded, np.uint8)], int(rng.integers(*WORSE, endpoint=True)))
    face = cv2.resize(seen, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    mask = soft_mask(still, one_of(WHOLE, rng), rng)
    return blended(still.image.astype(np.float32), recoloured(face, rng, 0.5), mask)
