"""What every live family has in common: a still face, soft regions of it, disturbances, and blending.

Regions are outlines in the unit square of an aligned face (see `align.TEMPLATE`): eyes at 0.38, the mouth at 0.74 of
its height.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import Points, alignment, moved

Image = NDArray[np.float32]
"""Height x width x 3, RGB, 0 to 255."""
Mask = NDArray[np.float32]
"""Height x width, 0 to 1."""

OVAL: Points = np.array(
    [(0.5 + 0.31 * np.sin(turn), 0.56 - 0.40 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 20, endpoint=False)]
)
"""The whole face, forehead included."""
HULL: Points = np.array(
    [
        *((0.17, 0.34), (0.22, 0.27), (0.34, 0.23), (0.50, 0.26), (0.66, 0.23), (0.78, 0.27), (0.83, 0.34)),
        *((0.82, 0.55), (0.76, 0.75), (0.64, 0.91), (0.50, 0.96), (0.36, 0.91), (0.24, 0.75), (0.18, 0.55)),
    ]
)
"""From the eyebrows to the chin and from cheek to cheek, as the hull of the usual 68 landmarks."""
INNER: Points = np.array([(0.25, 0.29), (0.75, 0.29), (0.74, 0.60), (0.65, 0.84), (0.35, 0.84), (0.26, 0.60)])
"""Eyes, nose and mouth."""
SQUARE: Points = np.array([(0.14, 0.18), (0.86, 0.18), (0.86, 0.94), (0.14, 0.94)])
"""The square patch that early face swaps paste."""
LOWER: Points = np.array(
    [(0.22, 0.52), (0.50, 0.47), (0.78, 0.52), (0.74, 0.75), (0.63, 0.92), (0.50, 0.97), (0.37, 0.92), (0.26, 0.75)]
)
"""From the nose to the chin."""
MOUTH: Points = np.array(
    [(0.5 + 0.21 * np.sin(turn), 0.76 - 0.14 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 14, endpoint=False)]
)
"""The mouth and what is close around it."""
WHOLE = (OVAL, HULL, HULL, INNER, SQUARE)
"""Regions of a face that was replaced as a whole."""

STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""What a mask is multiplied with: most forgeries replace wholly (Shiohara and Yamasaki, 2022, section 3.2)."""
_RESAMPLING = (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_NEAREST)


@dataclass(frozen=True, slots=True)
class Still:
    """A face crop (H, W, 3), RGB 0 to 255, its five points (5, 2) in its pixels, and whose it is."""

    image: NDArray[np.uint8]
    points: Points
    person: str = ""


Lookalike = Callable[[Still, np.random.Generator], Still]
"""Draws another person's face that resembles this one."""


class LiveFamily(Protocol):
    """A family of forgery that is made while training: in milliseconds, all its dice from `rng`."""

    def __call__(self, still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The forged crop, of the shape of `still.image`."""
        ...


def one_of(choices: tuple[Points, ...], rng: np.random.Generator) -> Points:
    """One of the regions."""
    return choices[rng.integers(len(choices))]


def soft_mask(still: Still, region: Points, rng: np.random.Generator) -> Mask:
    """A region of the face with a deformed outline and a soft border, both drawn anew."""
    middle = region.mean(0)
    angle, scale = rng.normal(0, 0.06), rng.uniform(0.88, 1.1, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = (region - middle) * scale @ turn.T + middle
    outline = outline + rng.normal(0, 0.02, 2) + rng.normal(0, 0.018, outline.shape)
    matrix = alignment(still.points, 1)
    face = 1 / np.hypot(*matrix[0, :2])
    corners = moved(outline, np.asarray(cv2.invertAffineTransform(matrix), np.float64))
    mask = np.zeros(still.image.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 1.0, cv2.LINE_AA, shift=4)
    extent = np.ptp(corners, axis=0).min() / face
    return blurred(mask, face * extent * rng.uniform(0.015, 0.12))


def blurred(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A Gaussian blur of `sigma` pixels; none below a fifth of a pixel."""
    if sigma < 0.2:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def blended(image: Image, face: Image, mask: Mask) -> NDArray[np.uint8]:
    """`face` where the mask is 1, `image` where it is 0."""
    mixed = image + mask[:, :, None] * (face - image)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def recoloured(image: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Another brightness, contrast, saturation and tint: one affine map of the colours."""
    saturation = 1 + strength * rng.uniform(-0.3, 0.3)
    grey = np.full((3, 3), 1 / 3)
    colours = saturation * np.eye(3) + (1 - saturation) * grey
    gain = (1 + strength * rng.uniform(-0.12, 0.12)) * (1 + strength * rng.uniform(-0.06, 0.06, 3))
    shift = strength * (rng.uniform(-16, 16) + rng.uniform(-12, 12, 3))
    matrix = np.column_stack([colours * gain[:, None], shift + 128 * (1 - gain)])
    return np.asarray(cv2.transform(image, matrix.astype(np.float32)), np.float32)


def resampled(image: NDArray[np.float32], factor: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Made smaller by `factor` and brought back, by one of the usual interpolations each way."""
    height, width = image.shape[:2]
    small = (max(round(width / factor), 8), max(round(height / factor), 8))
    down, up = _RESAMPLING[rng.integers(3)], _RESAMPLING[rng.choice(4, p=(0.45, 0.05, 0.45, 0.05))]
    return np.asarray(
        cv2.resize(cv2.resize(image, small, interpolation=down), (width, height), interpolation=up), np.float32
    )


def refocused(image: Image, rng: np.random.Generator) -> Image:
    """Another sharpness: resampled, blurred, or sharpened."""
    kind = rng.integers(4)
    if kind <= 1:
        return resampled(image, rng.uniform(1.3, 4.0), rng)
    soft = blurred(image, rng.uniform(0.6, 2.2))
    if kind == 2:
        return soft
    gain = rng.uniform(0.4, 1.5)
    return np.asarray(cv2.addWeighted(image, 1 + gain, soft, -gain, 0), np.float32)


def shifted(image: Image, points: Points, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Moved, turned and scaled a little about the face's middle."""
    face = 1 / np.hypot(*alignment(points, 1)[0, :2])
    centre = points.mean(0)
    angle = strength * rng.normal(0, 0.02)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn * (1 + strength * rng.uniform(-0.04, 0.04, 2))
    goal = centre + strength * rng.uniform(-0.02, 0.02, 2) * face
    matrix = np.column_stack([turn, goal - turn @ centre])
    size = (image.shape[1], image.shape[0])
    return np.asarray(
        cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32
    )


def bent(image: Image, points: Points, goals: Points, reach: float) -> Image:
    """Each point of an image moved to its goal, what is around it smoothly along.

    Gaussian radial basis functions of width `reach`, in pixels, laid out on a coarse grid.
    """
    kernel = np.exp(-((goals[:, None] - goals[None]) ** 2).sum(-1) / (2 * reach**2))
    weights = np.linalg.solve(kernel + 1e-3 * np.eye(len(goals)), points - goals)
    height, width = image.shape[:2]
    cells = 32
    y, x = np.mgrid[:cells, :cells].astype(np.float64)
    x, y = (x + 0.5) * width / cells - 0.5, (y + 0.5) * height / cells - 0.5
    squared = (x[..., None] - goals[:, 0]) ** 2 + (y[..., None] - goals[:, 1]) ** 2
    field = (np.exp(-squared / (2 * reach**2)) @ weights).astype(np.float32)
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.asarray(
        cv2.remap(
            image,
            field[..., 0] + columns[None],
            field[..., 1] + rows[:, None],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.float32,
    )
