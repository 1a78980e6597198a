"""Faces in a common pose: cut out by five points, put back, blended.

The unit square of an aligned face has its eyes and mouth where TEMPLATE says; `size` is its side in pixels.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""5 x 2: left eye, right eye, nose, left and right mouth corner, (x, y)."""

TEMPLATE: Points = np.array([[0.34, 0.38], [0.66, 0.38], [0.50, 0.57], [0.37, 0.74], [0.63, 0.74]])
"""Where the five points lie in an aligned face, as shares of its side."""
FACE_CENTRE, FACE_RADII = (0.5, 0.56), (0.31, 0.40)
"""The ellipse that an aligned face fills from the eyebrows to the chin."""


def similarity(source: Points, target: Points) -> NDArray[np.float64]:
    """The 2 x 3 similarity (rotation, scale, shift) that brings `source` closest to `target` (Umeyama, 1991)."""
    centre, goal = source.mean(0), target.mean(0)
    x, y = source - centre, target - goal
    norm = (x**2).sum()
    a, b = (x * y).sum() / norm, (x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum() / norm
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, goal - turn @ centre])


def moved(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Points under a 2 x 3 affine map."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def alignment(points: Points, size: int) -> NDArray[np.float64]:
    """The map from the frame to an aligned face of `size` x `size` pixels."""
    return similarity(points, TEMPLATE * size)


def cut(frame: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """The aligned face, (size, size, 3), 0 to 255; where it shrinks, a pixel is the mean of what it covers."""
    scale = np.hypot(*matrix[0, :2])
    finer = max(1, round(1 / scale))
    grid = matrix * finer + np.array([0, 0, (finer - 1) / 2])
    side = (size * finer, size * finer)
    flags = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    face = cv2.warpAffine(frame, grid, side, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)


def put_back(
    frame: NDArray[np.uint8],
    face: NDArray[np.float32],
    alpha: NDArray[np.float32],
    matrix: NDArray[np.float64],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Blend an aligned face into the frame it was cut from; `alpha` may have a finer grid than the face.

    Returns the frame and the mask of what was touched: 255 where the blended share is above 0, else 0.
    """
    size = (frame.shape[1], frame.shape[0])
    inverse = cv2.invertAffineTransform(matrix)
    back = cv2.warpAffine(face, inverse, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    finer = inverse * (face.shape[0] / alpha.shape[0], face.shape[0] / alpha.shape[0], 1)
    share = cv2.warpAffine(alpha, finer, size, flags=cv2.INTER_LINEAR)[:, :, None]
    touched = share > 1 / 255
    blended = frame + np.where(touched, share, 0) * (back - frame)
    mask = np.where(touched[:, :, 0], 255, 0).astype(np.uint8)
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8), mask


def ellipse_mask(
    size: int, centre: tuple[float, float], radii: tuple[float, float], feather: float
) -> NDArray[np.float32]:
    """A filled ellipse in shares of the side, from 1 inside to 0 over `feather` of its radius."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    return np.clip((1 - distance) / max(feather, 1e-6), 0, 1).astype(np.float32)


def face_mask(size: int, feather: float) -> NDArray[np.float32]:
    """The ellipse of a whole face."""
    return ellipse_mask(size, FACE_CENTRE, FACE_RADII, feather)


def match_colour(
    face: NDArray[np.float32], like: NDArray[np.float32], mask: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Give `face` the mean and spread of each colour that `like` has under the mask (Reinhard et al., 2001)."""
    inside = mask > 0.5
    mean, spread = face[inside].mean(0), face[inside].std(0) + 1e-3
    wanted_mean, wanted_spread = like[inside].mean(0), like[inside].std(0) + 1e-3
    gain = np.clip(wanted_spread / spread, 0.5, 2)
    return np.clip((face - mean) * gain + wanted_mean, 0, 255).astype(np.float32)


def warp_to_points(face: NDArray[np.float32], points: Points, goals: Points, reach: float) -> NDArray[np.float32]:
    """Move each point of an aligned face to its goal, and what is around it smoothly along.

    Gaussian radial basis functions of width `reach` (a share of the side) interpolate the shifts, which fade to
    nothing away from the points.
    """
    size = face.shape[0]
    width = reach * size
    shifts = points - goals
    kernel = np.exp(-((goals[:, None] - goals[None]) ** 2).sum(-1) / (2 * width**2))
    weights = np.linalg.solve(kernel + 1e-3 * np.eye(len(goals)), shifts)
    y, x = np.mgrid[:size, :size].astype(np.float64)
    squared = (x[..., None] - goals[:, 0]) ** 2 + (y[..., None] - goals[:, 1]) ** 2
    field = np.exp(-squared / (2 * width**2)) @ weights
    map_x, map_y = (x + field[..., 0]).astype(np.float32), (y + field[..., 1]).astype(np.float32)
    warped = cv2.remap(face, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return warped.astype(np.float32)
