"""What the adversary did, as a picture: clean, adversarial, their difference, and how strong it was (blur: sigma)."""

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from dfgame.adversaries import Perturbed
from dfgame.perturb import Perturbation

DIFFERENCE_GAIN = 8.0
"""The difference is shown around mid-grey, this many times as strong."""
_GAP = 4


def adversarial_grid(
    clean: Tensor, perturbed: Perturbed, perturbation: Perturbation, most: int = 8
) -> UInt8[np.ndarray, "H W 3"]:
    """A row for each of clean, adversarial, difference and strength; a column for each image.

    Args:
        clean: (B, 3, H, W) in [0, 1]; half of the columns are its first images, half its last ones: in a
            batch of the game, real and fake ones. Of a single image there is one column.
        perturbed: what the adversary made of them.
        perturbation: by what kind of move.
        most: columns at most.
    """
    half = min(most, len(clean)) // 2
    first = len(clean) - half if half else 0
    chosen = torch.tensor([*range(half), *range(first, len(clean))])
    clean, images, maps = (t.detach().float().cpu()[chosen] for t in (clean, *perturbed))
    difference = 0.5 + DIFFERENCE_GAIN * (images - clean)
    rows = [*(_row(t) for t in (clean, images, difference)), _strength_row(perturbation.strength(maps))]
    return np.concatenate([part for row in rows for part in (row, _gap(row))][:-1], axis=0)


def _row(images: Tensor) -> NDArray[np.uint8]:
    bytes_ = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return np.concatenate(list(bytes_), axis=1)


def _strength_row(strength: Tensor) -> NDArray[np.uint8]:
    coloured = cv2.applyColorMap(_row(strength.expand(-1, 3, -1, -1)), cv2.COLORMAP_INFERNO)
    return np.asarray(coloured[:, :, ::-1], np.uint8)


def _gap(row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.full((_GAP, row.shape[1], 3), 255, np.uint8)
