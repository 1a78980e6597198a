"""What every family of forgery is: a target's clip and a source's clip -> forged frames and their masks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.clip import Clip


@dataclass(frozen=True, slots=True)
class Forged:
    """Forged frames (T, H, W, 3), and masks (T, H, W): 255 where the face was changed, else 0."""

    frames: NDArray[np.uint8]
    masks: NDArray[np.uint8]


class Family(Protocol):
    """A family of forgery. It works on the target's frames as they are, noise included, as FaceForensics++ did."""

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Forge every frame of the target's clip; the two clips have as many frames."""
        ...


def stacked(pairs: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> Forged:
    """Frame and mask pairs as one Forged."""
    frames, masks = zip(*pairs, strict=True)
    return Forged(np.stack(frames), np.stack(masks))
