"""What the adversary did, as a picture: clean, adversarial, their difference, and sigma."""

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from dfgame.adversaries import Perturbed
from dfgame.blur import sigma

DIFFERENCE_GAIN = 8.0
"""The difference is shown around mid-grey, this many times as strong."""
SIGMA_SHOWN = 2.0
"""The sigma, in pixels, that the brightest colour of its map stands for."""
_GAP = 4


def adversarial_grid(clean: Tensor, perturbed: Perturbed, most: int = 8) -> UInt8[np.ndarray, "H W 3"]:
    """A row for each of clean, adversarial, difference and sigma; a column for each image.

    Args:
        clean: (B, 3, H, W) in [0, 1]; half of the columns are its first images, half its last ones: in a
            batch of the game, real and fake ones.
        perturbed: what the adversary made of them.
        most: columns at most.
    """
    half = min(most, len(clean)) // 2
    chosen = torch.tensor([*range(half), *range(len(clean) - half, len(clean))])
    clean, images, precision = (t.detach().float().cpu()[chosen] for t in (clean, *perturbed))
    difference = 0.5 + DIFFERENCE_GAIN * (images - clean)
    rows = [*(_row(t) for t in (clean, images, difference)), _sigma_row(precision)]
    return np.concatenate([part for row in rows for part in (row, _gap(row))][:-1], axis=0)


def _row(images: Tensor) -> NDArray[np.uint8]:
    bytes_ = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return np.concatenate(list(bytes_), axis=1)


def _sigma_row(precision: Tensor) -> NDArray[np.uint8]:
    shown = (sigma(precision).mean(dim=1, keepdim=True) / SIGMA_SHOWN).expand(-1, 3, -1, -1)
    coloured = cv2.applyColorMap(_row(shown), cv2.COLORMAP_INFERNO)
    return np.asarray(coloured[:, :, ::-1], np.uint8)


def _gap(row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.full((_GAP, row.shape[1], 3), 255, np.uint8)
