"""The forger: real face crops -> fakes, a family drawn for each; all dice from the seed of the image."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dfgame.config import LiveFamilyName
from dfgame.forgery.align import TEMPLATE, Points, moved, similarity
from dfgame.forgery.live.lookalike import LookalikeSwap
from dfgame.forgery.live.mouth import mouth
from dfgame.forgery.live.recompress import recompress
from dfgame.forgery.live.selfblend import selfblend
from dfgame.forgery.live.spectrum import spectrum
from dfgame.forgery.live.still import LiveFamily, Still

CANDIDATES = 24
"""Faces that are looked at for a lookalike; the one with the most similar proportions is taken."""

Reader = Callable[[str], NDArray[np.uint8]]
"""A crop's path -> its pixels as they are stored, (H, W, 3), RGB."""


class Forger:
    """Makes a fake of each crop it is given, by one of the families.

    Args:
        crops: all that there are, for those families that need another face: path -> (points in it, identity).
        read: reads a crop.
        families: their names; a name twice is drawn twice as often.
    """

    def __init__(self, crops: dict[str, tuple[Points, str]], read: Reader, families: Sequence[LiveFamilyName]) -> None:
        self._crops, self._read = crops, read
        self._paths = sorted(crops)
        self._proportions = np.array([_proportions(crops[path][0]) for path in self._paths])
        self._people = np.array([crops[path][1] for path in self._paths])
        known: dict[str, LiveFamily] = {
            "selfblend": selfblend,
            "mouth": mouth,
            "spectrum": spectrum,
            "recompress": recompress,
            "lookalike": LookalikeSwap(self._lookalike),
        }
        self._families = [known[name] for name in families]

    def __call__(self, path: str, seed: int) -> NDArray[np.uint8]:
        """A forgery of this crop, of its size."""
        rng = np.random.default_rng(seed)
        family = self._families[rng.integers(len(self._families))]
        return family(self._still(path), rng)

    def _still(self, path: str) -> Still:
        points, person = self._crops[path]
        return Still(self._read(path), points, person)

    def _lookalike(self, still: Still, rng: np.random.Generator) -> Still:
        """Another person's face; the same person's where none of the candidates is somebody else."""
        drawn = rng.integers(len(self._paths), size=CANDIDATES)
        distances = ((self._proportions[drawn] - _proportions(still.points)) ** 2).sum(1)
        distances[self._people[drawn] == still.person] += 1e6
        return self._still(self._paths[drawn[distances.argmin()]])


def _proportions(points: Points) -> NDArray[np.float64]:
    """Where the five points lie once the face is aligned, (10,)."""
    return moved(points, similarity(points, TEMPLATE)).ravel()
