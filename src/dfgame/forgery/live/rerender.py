"""A face rendered anew by a small auto-encoder, as by every face swap that learns: smooth, coarse, without pores.

The network is trained once, at the start of a training, on that training's own real faces.
"""

from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfgame.dice import seeded
from dfgame.forgery.align import alignment, cut, match_colour
from dfgame.forgery.live.still import WHOLE, Still, blended, one_of, resampled, soft_mask
from dfgame.forgery.training import fit, to_faces, to_tensor, warped

SIZE = 96
"""Side of the aligned face that is rendered."""
STEPS, BATCH, RATE = 600, 16, 2e-3
CODES, GRID = 24, 12
"""Maps, and their side, that a face is pressed into."""
JITTER = 0.2
"""Noise of the codes, as a share of their spread: the rendered face is not quite the same."""


class Rerenderer(nn.Module):
    """Aligned faces (N, 3, 96, 96) in [0, 1] -> the same, rendered from a code of an eighth of their numbers."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 40, 64)
        down = [
            nn.Sequential(nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.1))
            for before, after in pairwise(widths)
        ]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], CODES, 1))
        up = [
            nn.Sequential(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.1))
            for before, after in pairwise((CODES, 64, 40))
        ]
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(40, 3, 4, stride=2, padding=1))

    def forward(self, faces: Tensor, jitter: Tensor | float = 0.0) -> Tensor:
        """Render; `jitter` is added to the codes, in units of their spread over the face."""
        codes = self.encoder(faces)
        return self.decoder(codes + jitter * codes.std(dim=(2, 3), keepdim=True))


class Rerender:
    """Forge by a trained network."""

    def __init__(self, network: Rerenderer) -> None:
        self._network = network.eval()

    def __call__(self, still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Replace the face by its rendering."""
        image = still.image.astype(np.float32)
        matrix = alignment(still.points, SIZE)
        face = aligned(still)
        noise = rng.standard_normal((1, CODES, GRID, GRID), dtype=np.float32)
        with torch.inference_mode():
            rendered = to_faces(self._network(to_tensor(face[None]), rng.uniform(0, JITTER) * torch.from_numpy(noise)))
        finer = match_colour(rendered[0], face, np.ones(face.shape[:2], np.float32))
        if rng.random() < 0.5:
            finer = resampled(finer, rng.uniform(1.0, 2.0), rng)
        size, inverse = (image.shape[1], image.shape[0]), cv2.invertAffineTransform(matrix)
        back = cv2.warpAffine(finer, inverse, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        mask = soft_mask(still, one_of(WHOLE, rng), rng) * rng.uniform(0.7, 1)
        return blended(image, np.asarray(back, np.float32), mask)


def aligned(still: Still) -> NDArray[np.float32]:
    """The face as the network sees it, (96, 96, 3), 0 to 255."""
    return cut(still.image, alignment(still.points, SIZE), SIZE)


def train_rerenderer(faces: NDArray[np.float32], seed: int) -> Rerenderer:
    """The network, from aligned faces (N, 96, 96, 3), 0 to 255; it learns to undo small distortions, too."""
    with seeded(seed):
        network = Rerenderer()

    def loss(clean: Tensor, rng: np.random.Generator) -> Tensor:
        return nn.functional.l1_loss(network(warped(clean, rng, 0.02)), clean)

    fit(network, to_tensor(faces), loss, steps=STEPS, batch=BATCH, lr=RATE, seed=(seed, 7))
    return network
