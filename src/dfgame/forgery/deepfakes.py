"""Deepfakes: an autoencoder with one shared encoder and a decoder for each identity.

A stand-in for faceswap-github's Deepfakes as in FaceForensics++, trained on the spot: the encoder and a common decoder
learn from everybody's distorted faces to give back the undistorted ones; then each source's own decoder is tuned to
that person's clip. The target's face, encoded and decoded by the source's decoder, is pasted back with its colours
matched. Artefacts: a face of 64 x 64 pixels that is enlarged, smooth skin without sensor noise, a soft outline.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dfgame.forgery.align import cut, face_mask, match_colour, put_back
from dfgame.forgery.clip import Clip
from dfgame.forgery.family import Forged, stacked
from dfgame.forgery.photographs import Person
from dfgame.forgery.training import SIZE, aligned_frames, aligned_photographs, fit, to_faces, warped

SHARED_STEPS, OWN_STEPS = 450, 60
SHARED_BATCH, OWN_BATCH = 16, 8
LATENT = 96
FEATHER = 0.25


class Autoencoder(nn.Module):
    """(N, 3, 64, 64) in [0, 1] -> the same, through a code of LATENT numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2, padding=2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 32, 5, stride=2, padding=2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, 64, 5, stride=2, padding=2),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(64 * 8 * 8, LATENT),
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, 64 * 8 * 8),
            nn.Unflatten(1, (64, 8, 8)),
            *_upscale(64, 32),
            *_upscale(32, 24),
            *_upscale(24, 16),
            nn.Conv2d(16, 3, 5, padding=2),
            nn.Sigmoid(),
        )

    def forward(self, faces: Tensor) -> Tensor:
        """Encode and decode."""
        return self.decoder(self.encoder(faces))


class Deepfakes:
    """Swap by a source's own decoder, tuned to the source's clip when it is first needed."""

    def __init__(self, shared: Autoencoder, effort: float, seed: int) -> None:
        self._shared, self._effort, self._seed = shared.eval(), effort, seed

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Render the source's face with the target's pose on every frame."""
        decoder = self.own_decoder(source)
        faces, matrices = aligned_frames(target)
        with torch.inference_mode():
            rendered = to_faces(decoder(self._shared.encoder(faces)))
        mask = face_mask(SIZE, FEATHER)
        return stacked(
            put_back(frame, match_colour(face, cut(frame, matrix, SIZE), mask), mask, matrix)
            for frame, face, matrix in zip(target.frames, rendered, matrices, strict=True)
        )

    def own_decoder(self, source: Clip) -> nn.Module:
        """The shared decoder, tuned to one person's faces while the encoder stays."""
        decoder = copy.deepcopy(self._shared.decoder).train()
        faces, _ = aligned_frames(source)

        def loss(clean: Tensor, rng: np.random.Generator) -> Tensor:
            with torch.no_grad():
                code = self._shared.encoder(warped(clean, rng))
            return nn.functional.l1_loss(decoder(code), clean)

        steps = max(round(OWN_STEPS * self._effort), 1)
        fit([decoder], faces, loss, steps=steps, batch=OWN_BATCH, lr=1.5e-3, seed=(self._seed, 3))
        return decoder.eval()


def train_shared(people: Sequence[Person], size: int, effort: float, seed: int) -> Autoencoder:
    """The autoencoder that everybody's decoders start from."""
    torch.manual_seed(seed)
    model = Autoencoder()

    def loss(clean: Tensor, rng: np.random.Generator) -> Tensor:
        return nn.functional.l1_loss(model(warped(clean, rng)), clean)

    steps = max(round(SHARED_STEPS * effort), 1)
    faces = aligned_photographs(people, size)
    fit([model], faces, loss, steps=steps, batch=SHARED_BATCH, lr=2e-3, seed=(seed, 2))
    return model.eval()


def _upscale(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1)
