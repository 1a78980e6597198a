"""A swap between people who resemble each other: the other's face, bent onto these landmarks, colours matched."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import match_colour, moved, similarity
from dfgame.forgery.live.still import (
    WHOLE,
    Lookalike,
    Still,
    bent,
    blended,
    one_of,
    recoloured,
    refocused,
    soft_mask,
)


class LookalikeSwap:
    """Swap with a face that `other` finds."""

    def __init__(self, other: Lookalike) -> None:
        self._other = other

    def __call__(self, still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Put a lookalike's face on this one."""
        image, other = still.image.astype(np.float32), self._other(still, rng)
        matrix = similarity(other.points, still.points)
        size = (image.shape[1], image.shape[0])
        laid = cv2.warpAffine(
            other.image.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        reach = 0.5 * np.ptp(still.points, axis=0).max()
        face = bent(np.asarray(laid, np.float32), moved(other.points, matrix), still.points, reach)
        mask = soft_mask(still, one_of(WHOLE, rng), rng)
        face = match_colour(face, image, mask)
        face = recoloured(face, rng, 0.5)
        if rng.random() < 0.5:
            face = refocused(face, rng)
        return blended(image, face, mask)
