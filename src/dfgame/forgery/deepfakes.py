"""Deepfakes: an autoencoder with one shared encoder and a decoder for each identity.

A stand-in for faceswap-github's Deepfakes as in FaceForensics++, trained on the spot: the encoder and a common decoder
learn from everybody's distorted faces to give back the undistorted ones; then each source's own decoder is tuned to
that person's clip, and renders the target's code. As the decoders see few photographs and few steps, they get two
crutches that the original does without: each holds a map of its person's mean face, and the target's code is moved
towards the source's. The face is pasted back with its colours matched. Artefacts: a face of 64 x 64 pixels that is
enlarged, smooth skin without sensor noise, a soft outline.
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

SHARED_STEPS, OWN_STEPS = 500, 24
SHARED_BATCH, OWN_BATCH = 16, 8
LATENT = 96
PULL = 0.7
"""How far the mean code of the target's clip is moved towards that of the source's clip."""
FEATHER, MASK_SIZE = 0.25, 192


class Decoder(nn.Module):
    """(N, LATENT) -> faces (N, 3, 64, 64), about 0 to 1: a mean face, and what the code changes about it."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(3, SIZE, SIZE))
        self.layers = nn.Sequential(
            nn.Linear(LATENT, 64 * 8 * 8),
            nn.Unflatten(1, (64, 8, 8)),
            nn.LeakyReLU(0.1),
            nn.Conv2d(64, 4 * 32, 3, padding=1),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, 4 * 24, 3, padding=1),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(24, 4 * 3, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Render faces."""
        return self.mean + self.layers(codes)


class Autoencoder(nn.Module):
    """The shared encoder, (N, 3, 64, 64) in [0, 1] -> (N, LATENT), and the decoder that all others start from."""

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
        self.decoder = Decoder()

    def forward(self, faces: Tensor) -> Tensor:
        """Encode and decode."""
        return self.decoder(self.encoder(faces))


class Deepfakes:
    """Swap by a source's own decoder, which is tuned to the source's clip first."""

    def __init__(self, shared: Autoencoder, effort: float, seed: int) -> None:
        self._shared, self._effort, self._seed = shared.eval(), effort, seed

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Render the source's face with the target's pose on every frame."""
        faces, matrices = aligned_frames(target)
        own, _ = aligned_frames(source)
        decoder = self._own_decoder(own)
        with torch.inference_mode():
            codes = self._shared.encoder(faces)
            codes = codes + PULL * (self._shared.encoder(own).mean(0) - codes.mean(0))
            rendered = to_faces(decoder(codes))
        inside, alpha = face_mask(SIZE, FEATHER), face_mask(MASK_SIZE, FEATHER)
        return stacked(
            put_back(frame, match_colour(face, cut(frame, matrix, SIZE), inside), alpha, matrix)
            for frame, face, matrix in zip(target.frames, rendered, matrices, strict=True)
        )

    def _own_decoder(self, faces: Tensor) -> Decoder:
        """The shared decoder, tuned to one person's faces while the encoder stays."""
        encoder, decoder = self._shared.encoder, copy.deepcopy(self._shared.decoder)
        with torch.no_grad():
            decoder.mean.add_((faces - decoder(encoder(faces))).mean(0))

        def loss(clean: Tensor, rng: np.random.Generator) -> Tensor:
            with torch.no_grad():
                codes = encoder(warped(clean, rng))
            return nn.functional.l1_loss(decoder(codes), clean)

        steps = max(round(OWN_STEPS * self._effort), 1)
        fit(decoder, faces, loss, steps=steps, batch=OWN_BATCH, lr=1e-3, seed=(self._seed, 3))
        return decoder


def train_shared(people: Sequence[Person], size: int, effort: float, seed: int) -> Autoencoder:
    """The autoencoder of everybody, from pictures whose longer side is `size`."""
    torch.manual_seed(seed)
    model = Autoencoder()
    faces = aligned_photographs(people, size)
    with torch.no_grad():
        model.decoder.mean.copy_(faces.mean(0))

    def loss(clean: Tensor, rng: np.random.Generator) -> Tensor:
        return nn.functional.l1_loss(model(warped(clean, rng)), clean)

    steps = max(round(SHARED_STEPS * effort), 1)
    fit(model, faces, loss, steps=steps, batch=SHARED_BATCH, lr=2e-3, seed=(seed, 2))
    return model
