"""NeuralTextures: the mouth region, re-rendered by a small network.

A stand-in for NeuralTextures (Thies et al., SIGGRAPH 2019) as in FaceForensics++, where only the mouth was changed. A
small U-Net, trained on the spot on everybody's faces, renders an aligned face from one whose mouth region was blurred
away and from heat maps of where the nose and the corners of the mouth shall be. The forgery asks it for the source's
mouth and blends the answer into the mouth region only. Artefacts: a smooth, rendered mouth inside an untouched face.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from dfgame.forgery.align import alignment, cut, ellipse_mask, moved, put_back
from dfgame.forgery.clip import Clip
from dfgame.forgery.family import Forged, stacked
from dfgame.forgery.photographs import Person, prepared
from dfgame.forgery.training import MOST_PHOTOGRAPHS, SIZE, aligned_frames, fit, to_faces, to_tensor

STEPS, BATCH = 350, 12
MOUTH_CENTRE, MOUTH_RADII, FEATHER = (0.5, 0.75), (0.26, 0.19), 0.45
BLUR_SIGMA = 4.0
HEAT_SIGMA = 0.03
SPEECH = 0.03
"""Largest movement of the rendered mouth over the clip, as a share of the aligned face's side."""


class MouthRenderer(nn.Module):
    """Face without mouth (3 maps) and heat maps of nose and mouth corners (3) -> face, (N, 3, 64, 64) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = _block(6, 16, stride=1)
        self.down2 = _block(16, 24, stride=2)
        self.down3 = _block(24, 48, stride=2)
        self.up2 = _block(48 + 24, 24, stride=1)
        self.up1 = _block(24 + 16, 16, stride=1)
        self.out = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Render; what is learned is the difference from the blurred face."""
        fine = self.down1(inputs)
        middle = self.down2(fine)
        coarse = nn.functional.interpolate(self.down3(middle), scale_factor=2)
        middle = nn.functional.interpolate(self.up2(torch.cat([coarse, middle], 1)), scale_factor=2)
        return inputs[:, :3] + self.out(self.up1(torch.cat([middle, fine], 1)))


class NeuralTextures:
    """Re-render the mouth as the source moves it."""

    def __init__(self, renderer: MouthRenderer) -> None:
        self._renderer = renderer.eval()

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Forge the mouth region of every frame."""
        faces, matrices = aligned_frames(target)
        points = np.stack([moved(p, m) for p, m in zip(target.points, matrices, strict=True)]) / SIZE
        others = np.stack([moved(p, alignment(p, SIZE)) for p in source.points]) / SIZE
        points[:, 3:] = others[:, 3:]
        points[:, 3:, 1] += SPEECH * np.sin(np.linspace(0, 4 * np.pi, len(points)))[:, None]
        with torch.inference_mode():
            rendered = to_faces(self._renderer(condition(faces, points)))
        mask = _mouth_mask()
        return stacked(
            put_back(frame, face, mask, matrix)
            for frame, face, matrix in zip(target.frames, rendered, matrices, strict=True)
        )


def condition(faces: Tensor, points: NDArray[np.float64]) -> Tensor:
    """The renderer's input: faces whose mouth is blurred away, and heat maps of nose and mouth corners.

    Args:
        faces: (N, 3, SIZE, SIZE).
        points: (N, 5, 2), as shares of the side.
    """
    mask = torch.from_numpy(_mouth_mask())
    blurred = gaussian_blur(faces, [25, 25], [BLUR_SIGMA, BLUR_SIGMA])
    hidden = faces + mask * (blurred - faces)
    at = (torch.arange(SIZE) + 0.5) / SIZE
    centres = torch.from_numpy(points[:, 2:]).float()
    squared = (at - centres[:, :, 0, None]).square()[:, :, None, :]
    squared = squared + (at - centres[:, :, 1, None]).square()[:, :, :, None]
    return torch.cat([hidden, torch.exp(-squared / (2 * HEAT_SIGMA**2))], dim=1)


def train_renderer(people: Sequence[Person], size: int, effort: float, seed: int) -> MouthRenderer:
    """The mouth renderer, from everybody's photographs."""
    torch.manual_seed(seed)
    model = MouthRenderer()
    inputs, faces = _examples(people, size)
    both = torch.cat([inputs, faces], dim=1)
    weight = 1 + 4 * torch.from_numpy(_mouth_mask())

    def loss(chosen: Tensor, rng: np.random.Generator) -> Tensor:
        return ((model(chosen[:, :6]) - chosen[:, 6:]).abs() * weight).mean()

    steps = max(round(STEPS * effort), 1)
    fit([model], both, loss, steps=steps, batch=BATCH, lr=2e-3, seed=(seed, 4), mirror=False)
    return model.eval()


def _examples(people: Sequence[Person], size: int) -> tuple[Tensor, Tensor]:
    faces, points = [], []
    for person in people:
        for photograph in person.photographs[:MOST_PHOTOGRAPHS]:
            given = np.array(photograph.points)
            matrix = alignment(given, SIZE)
            faces.append(cut(prepared(photograph.path, size), matrix, SIZE))
            points.append(moved(given, matrix) / SIZE)
    images = to_tensor(np.stack(faces))
    return condition(images, np.stack(points)), images


def _mouth_mask() -> NDArray[np.float32]:
    return ellipse_mask(SIZE, MOUTH_CENTRE, MOUTH_RADII, FEATHER)


def _block(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.LeakyReLU(0.1))
