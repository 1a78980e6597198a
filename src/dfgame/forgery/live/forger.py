"""The forger: real face crops -> fakes, a family drawn for each; all dice from the seed of the image."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from dfgame.config import LiveConfig
from dfgame.faces.sample import spread
from dfgame.files import atomic_path
from dfgame.forgery.align import TEMPLATE, Points, moved, similarity
from dfgame.forgery.heads import turned_head
from dfgame.forgery.live.lookalike import LookalikeSwap
from dfgame.forgery.live.mouth import mouth
from dfgame.forgery.live.recompress import recompress
from dfgame.forgery.live.rerender import Rerender, Rerenderer, aligned, train_rerenderer
from dfgame.forgery.live.selfblend import selfblend
from dfgame.forgery.live.spectrum import spectrum
from dfgame.forgery.live.still import LiveFamily, Still
from dfgame.records import UserError

CANDIDATES = 24
"""Faces that are looked at for a lookalike; the one with the most similar proportions is taken."""

MOST_FACES = 1024
"""Faces that the network which renders learns from."""

MADE_OF = "made_of"
"""Where the network's file says which crops and which seed it was trained with."""

Reader = Callable[[str], NDArray[np.uint8]]
"""A crop's path -> its pixels as they are stored, (H, W, 3), RGB."""


class Forger:
    """Makes a fake of each crop it is given, by one of the families; now and then of a head that is turned.

    Args:
        crops: all that there are, for those families that need another face: path -> (points in it, identity).
        read: reads a crop.
        config: the families; how often heads are turned, and how far.
        network: where the weights of the family that learns are, or will be once they are trained.
        seed: of its training.

    Raises:
        UserError: `network` is there and is damaged, or a lookalike is asked for where all crops show one person.
    """

    def __init__(
        self,
        crops: dict[str, tuple[Points, str]],
        read: Reader,
        config: LiveConfig,
        network: Path,
        seed: int,
    ) -> None:
        self._crops, self._read, self._config = crops, read, config
        families = config.families
        self._paths = sorted(crops)
        self._proportions = np.array([_proportions(crops[path][0]) for path in self._paths])
        self._people = np.array([crops[path][1] for path in self._paths])
        if "lookalike" in families and len(set(self._people)) < 2:
            raise UserError(
                "the family lookalike: all crops to learn from show one person", "leave it out, or add other people"
            )
        known: dict[str, LiveFamily] = {
            "selfblend": selfblend,
            "mouth": mouth,
            "spectrum": spectrum,
            "recompress": recompress,
            "lookalike": LookalikeSwap(self._lookalike),
        }
        if "rerender" in families:
            known["rerender"] = Rerender(self._rerenderer(network, seed))
        self._families = [known[name] for name in families]

    def original(self, path: str, seed: int) -> NDArray[np.uint8]:
        """The real half of the pair that this crop and seed give: the crop, its head turned as the forgery's."""
        return self._turned(self._read(path), path, seed)

    def __call__(self, path: str, seed: int) -> NDArray[np.uint8]:
        """A forgery of this crop, of its size."""
        rng = np.random.default_rng(seed)
        family = self._families[rng.integers(len(self._families))]
        return self._turned(family(self._still(path), rng), path, seed)

    def _turned(self, image: NDArray[np.uint8], path: str, seed: int) -> NDArray[np.uint8]:
        """A forgery is turned once it is made, as the seams of a mask lie on the head."""
        rng = np.random.default_rng((seed, 2))
        if rng.random() >= self._config.turned:
            return image
        angles = (rng.integers(-most, most, endpoint=True) for most in (self._config.yaw, self._config.pitch))
        return turned_head(image, self._crops[path][0], *map(int, angles))

    def _rerenderer(self, file: Path, seed: int) -> Rerenderer:
        """The trained network: trained on at most MOST_FACES of the crops and kept in its file, or from there.

        A file that was trained on other crops, or with another seed, is replaced.
        """
        some = [self._paths[place] for place in spread(len(self._paths), MOST_FACES)]
        made_of = json.dumps([seed, [(path, np.asarray(self._crops[path][0]).tolist()) for path in some]])
        name = hashlib.sha256(made_of.encode()).hexdigest()
        network = Rerenderer()
        try:
            if file.is_file() and _made_of(file) == name:
                network.load_state_dict(load_file(file))
                return network
        except (SafetensorError, RuntimeError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{file}: not a rerenderer's weights ({reason})", "remove it: it is made anew") from None
        trained = train_rerenderer(np.stack([aligned(self._still(path)) for path in some]), seed)
        weights = {key: value.contiguous() for key, value in trained.state_dict().items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            save_file(weights, temporary, {MADE_OF: name})
        network.load_state_dict(weights)
        return network

    def _still(self, path: str) -> Still:
        points, person = self._crops[path]
        return Still(self._read(path), points, person)

    def _lookalike(self, still: Still, rng: np.random.Generator) -> Still:
        """Another person's face."""
        drawn = rng.integers(len(self._paths), size=CANDIDATES)
        others = drawn[self._people[drawn] != still.person]
        if not len(others):
            others = rng.choice(np.flatnonzero(self._people != still.person), size=CANDIDATES)
        distances = ((self._proportions[others] - _proportions(still.points)) ** 2).sum(1)
        return self._still(self._paths[others[distances.argmin()]])


def _made_of(file: Path) -> str | None:
    with safe_open(file, "pt") as opened:
        return (opened.metadata() or {}).get(MADE_OF)


def _proportions(points: Points) -> NDArray[np.float64]:
    """Where the five points lie once the face is aligned, (10,)."""
    return moved(points, similarity(points, TEMPLATE)).ravel()
