"""Face2Face: the target's own face, re-posed to the source's expression.

A stand-in for Face2Face (Thies et al., CVPR 2016): the identity stays, the expression comes from the source. Here a
smooth warp driven by the landmarks takes the place of the fitted 3D model; its artefacts are those of resampling:
stretched skin, locally changed sharpness and noise, no seam of colour.
"""

from dfgame.forgery.align import alignment, cut, face_mask, put_back
from dfgame.forgery.clip import Clip
from dfgame.forgery.expression import reposed
from dfgame.forgery.family import Forged, stacked

SIZE = 192
FEATHER = 0.3


class Face2Face:
    """Reenactment by a warp."""

    def __call__(self, target: Clip, source: Clip) -> Forged:
        """Give the target the source's expression of each moment."""
        mask = face_mask(SIZE, FEATHER)
        matrices = [alignment(points, SIZE) for points in target.points]
        faces = [cut(frame, matrix, SIZE) for frame, matrix in zip(target.frames, matrices, strict=True)]
        posed = reposed(faces, target.points, source.points)
        return stacked(
            put_back(frame, face, mask, matrix)
            for frame, (face, _), matrix in zip(target.frames, posed, matrices, strict=True)
        )
