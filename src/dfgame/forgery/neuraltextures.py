"""NeuralTextures: the mouth region, re-rendered by a small network.

A stand-in for NeuralTextures (Thies et al., SIGGRAPH 2019) as in FaceForensics++, where only the mouth was changed.
There a learned texture is laid on the face in its new expression, and a network renders it. Here the texture is the
target's own mouth, moved to the source's expression and then made coarse and noisy; a small U-Net, trained on the spot
on everybody's photographs, renders the mouth from it and from heat maps of the mouth's corners. The answer is blended
into the mouth region only. Artefacts: a smooth, rendered mouth and chin inside an untouched face.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfgame.forgery.align import Points, alignment, cut, ellipse_mask, moved, put_back
from dfgame.forgery.clip import Clip
from dfgame.forgery.expression import reposed
from dfgame.forgery.family import Forged, stacked
from dfgame.forgery.photographs import Person, prepared
from dfgame.forgery.training import MOST_PHOTOGRAPHS, fit, to_faces, to_tensor

SIDE = 128
"""Side of the aligned face that the mouth's window is cut out of."""
TOP, LEFT, SIZE = 76, 32, (48, 64)
"""The window in it, and its height and width."""
STEPS, BATCH = 600, 12
COARSER = 4
"""The network sees the mouth at this fraction of its resolution."""
NOISE = 0.03
HEAT_SIGMA = 3.0
CENTRE, RADII, FEATHER = (0.5, 0.78), (0.23, 0.17), 0.5
"""The blended ellipse, in shares of the aligned face's side."""


class MouthRenderer(nn.Module):
    """Coarse mouth (3 maps) and heat maps of its corners (2) -> mouth, (N, 3, 48, 64), about 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.PixelUnshuffle(2), _block(5 * 4, 24))
        self.middle = _block(24, 32, stride=2)
        self.coarse = nn.Sequential(_block(32, 48, stride=2), nn.Upsample(scale_factor=2))
        self.up_middle = nn.Sequential(_block(48 + 32, 32), nn.Upsample(scale_factor=2))
        self.up_fine = _block(32 + 24, 24)
        self.out = nn.Sequential(nn.Conv2d(24, 3 * 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, inputs: Tensor) -> Tensor:
        """Render; what is learned is the difference from the coarse mouth."""
        fine = self.fine(inputs)
        middle = self.middle(fine)
        up = self.up_middle(torch.cat([self.coarse(middle), middle], 1))
        return inputs[:, :3] + self.out(self.up_fine(torch.cat([up, fine], 1)))


class NeuralTextures:
    """Re-render the mouth as the source moves it."""

    def __init__(self, renderer: MouthRenderer, seed: int) -> None:
        self._renderer, self._seed = renderer.eval(), seed

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Forge the mouth region of every frame."""
        matrices = [alignment(points, SIDE) for points in target.points]
        faces = [cut(frame, matrix, SIDE) for frame, matrix in zip(target.frames, matrices, strict=True)]
        posed = reposed(faces, target.points, source.points)
        mouths = to_tensor(np.stack([_window(face) for face, _ in posed]))
        corners = np.stack([points[3:] for _, points in posed])
        whose = np.abs(np.rint(np.concatenate([target.points[0], source.points[0]]))).astype(int)
        rng = np.random.default_rng((self._seed, 5, *whose.ravel()))  # one noise for all would be a mark of the fakes
        with torch.inference_mode():
            rendered = to_faces(self._renderer(condition(mouths, corners, rng)))
        mask = ellipse_mask(SIDE, CENTRE, RADII, FEATHER)
        return stacked(
            put_back(frame, _with_window(face, mouth), mask, matrix)
            for frame, face, mouth, matrix in zip(target.frames, faces, rendered, matrices, strict=True)
        )


def condition(mouths: Tensor, corners: NDArray[np.float64], rng: np.random.Generator) -> Tensor:
    """The renderer's input, (N, 5, 48, 64): mouths made coarse and noisy, and heat maps of their two corners.

    `corners` is (N, 2, 2), x and y in pixels of the aligned face.
    """
    noisy = mouths + NOISE * torch.from_numpy(rng.standard_normal(mouths.shape, dtype=np.float32))
    coarse = nn.functional.avg_pool2d(noisy, COARSER)
    coarse = nn.functional.interpolate(coarse, scale_factor=COARSER, mode="bilinear")
    centres = torch.from_numpy(corners - (LEFT, TOP)).float()
    across = (torch.arange(SIZE[1]) - centres[:, :, 0, None]).square()
    down = (torch.arange(SIZE[0]) - centres[:, :, 1, None]).square()
    heat = torch.exp(-(across[:, :, None] + down[:, :, :, None]) / (2 * HEAT_SIGMA**2))
    return torch.cat([coarse, heat], dim=1)


def train_renderer(people: Sequence[Person], size: int, effort: float, seed: int) -> MouthRenderer:
    """The mouth renderer, from everybody's photographs, brought to `size`."""
    torch.manual_seed(seed)
    model = MouthRenderer()
    mouths, corners = _examples(people, size)
    inputs = condition(mouths, corners, np.random.default_rng((seed, 6)))

    def loss(chosen: Tensor, _rng: np.random.Generator) -> Tensor:
        return nn.functional.l1_loss(model(chosen[:, :5]), chosen[:, 5:])

    steps = max(round(STEPS * effort), 1)
    both = torch.cat([inputs, mouths], 1)
    fit(model, both, loss, steps=steps, batch=BATCH, lr=2e-3, seed=(seed, 4), mirror=False)
    return model


def _examples(people: Sequence[Person], size: int) -> tuple[Tensor, NDArray[np.float64]]:
    mouths, corners = [], []
    for photograph in (p for person in people for p in person.photographs[:MOST_PHOTOGRAPHS]):
        given: Points = np.array(photograph.points)
        matrix = alignment(given, SIDE)
        mouths.append(_window(cut(prepared(photograph.path, size), matrix, SIDE)))
        corners.append(moved(given, matrix)[3:])
    return to_tensor(np.stack(mouths)), np.stack(corners)


def _window(face: NDArray[np.float32]) -> NDArray[np.float32]:
    return face[TOP : TOP + SIZE[0], LEFT : LEFT + SIZE[1]]


def _with_window(face: NDArray[np.float32], mouth: NDArray[np.float32]) -> NDArray[np.float32]:
    whole = face.copy()
    _window(whole)[:] = mouth
    return whole


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.LeakyReLU(0.1))
