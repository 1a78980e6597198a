"""Another expression, re-rendered: what Face2Face and NeuralTextures leave behind, without their renderers.

The mouth (now and then the lower or the whole face) is moved, made as coarse or smooth as a renderer leaves it, and
blended in; what is around stays untouched.
"""

import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import alignment
from dfgame.forgery.live.still import (
    HULL,
    LOWER,
    MOUTH,
    Still,
    bent,
    blended,
    blurred,
    one_of,
    recoloured,
    resampled,
    soft_mask,
)

MOST = 0.02
"""Spread of the shifts of the mouth's corners and lips, as a share of the aligned face's side."""


def mouth(still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Re-pose and re-render the mouth."""
    image = still.image.astype(np.float32)
    face = 1 / np.hypot(*alignment(still.points, 1)[0, :2])
    left, right = still.points[3:]
    across, middle = (right - left) / 2, (left + right) / 2
    down = np.array([-across[1], across[0]]) / max(np.hypot(*across), 1e-6) * face
    lips = np.array([left, right, middle - 0.04 * down, middle + 0.08 * down])
    still_there = np.array([*still.points[:3], middle + 0.25 * down])
    corners, opening = rng.normal(0, MOST, (2, 2)) * face, rng.normal(0, 2 * MOST)
    goals = lips + np.array([*corners, -0.3 * opening * down, opening * down])
    posed = bent(image, np.vstack([lips, still_there]), np.vstack([goals, still_there]), 0.12 * face)
    region = one_of((MOUTH, MOUTH, LOWER, HULL), rng)
    rendered = resampled(posed, rng.uniform(1.2, 3.5), rng) if rng.random() < 0.6 else posed
    rendered = blurred(rendered, face / 200 * rng.uniform(0.4, 1.6)) if rng.random() < 0.5 else rendered
    rendered = recoloured(rendered, rng, 0.4)
    return blended(image, rendered, soft_mask(still, region, rng) * rng.uniform(0.75, 1))
