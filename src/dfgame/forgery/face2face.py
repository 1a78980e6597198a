"""Face2Face: the target's own face, re-posed to the source's expression.

A stand-in for Face2Face (Thies et al., CVPR 2016): the identity stays, the expression comes from the source. Here a
smooth warp driven by the landmarks takes the place of the fitted 3D model; its artefacts are those of resampling:
stretched skin, locally changed sharpness and noise, no seam of colour.
"""

import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import alignment, cut, face_mask, moved, put_back, warp_to_points
from dfgame.forgery.clip import Clip
from dfgame.forgery.family import Forged, stacked

SIZE = 192
FEATHER = 0.3
REACH = 0.14
EXPRESSION = np.array([0.5, 0.5, 0.3, 1.6, 1.6])[:, None]
"""How much of the source's difference each point takes over; the mouth's is exaggerated, as it carries speech."""
SPEECH = 0.02
"""Largest opening and closing of the mouth's corners over the clip, as a share of the aligned face's side."""
OUTLINE = np.array([[0.18, 0.45], [0.82, 0.45], [0.5, 0.15], [0.22, 0.75], [0.78, 0.75], [0.5, 0.97]])
"""Points of the aligned face that stay: temples, forehead, jaw, chin."""


class Face2Face:
    """Reenactment by a warp."""

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Give the target the source's expression of each moment."""
        mask = face_mask(SIZE, FEATHER)
        speech = SPEECH * np.sin(np.linspace(0, 3 * np.pi, len(target.frames)) + 1)
        return stacked(
            _reenact(frame, points, other_points, opening, mask)
            for frame, points, other_points, opening in zip(
                target.frames, target.points, source.points, speech, strict=True
            )
        )


def _reenact(
    frame: NDArray[np.uint8],
    points: NDArray[np.float64],
    other_points: NDArray[np.float64],
    opening: float,
    mask: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    here = alignment(points, SIZE)
    own = moved(points, here)
    wanted = own + EXPRESSION * (moved(other_points, alignment(other_points, SIZE)) - own)
    wanted[3:, 1] += opening * SIZE
    wanted[3:, 0] += np.array([-0.5, 0.5]) * opening * SIZE
    still = OUTLINE * SIZE
    face = warp_to_points(cut(frame, here, SIZE), np.concatenate([own, still]), np.concatenate([wanted, still]), REACH)
    return put_back(frame, face, mask, here)
