"""What is done to videos, and how strongly."""

from dataclasses import dataclass
from typing import NamedTuple

from dfgame.config import RobustnessConfig

UNTOUCHED = "none"
"""The transformation that leaves a video as it is: the first point of every curve."""


class Point(NamedTuple):
    """A transformation at a strength, in the units of `KINDS`; None is the strength of UNTOUCHED."""

    transformation: str
    strength: float | None

    @property
    def key(self) -> str:
        """Its name in records: `crf=23`."""
        return self.transformation if self.strength is None else f"{self.transformation}={self.strength:g}"

    @property
    def is_attack(self) -> bool:
        """Whether it is an adversary's, who works on the crops of fakes."""
        return self.strength is not None and KINDS[self.transformation].attack


NOTHING = Point(UNTOUCHED, None)


@dataclass(frozen=True, slots=True)
class Kind:
    """A transformation: what it is called, the unit of its strengths, and what it can be done to.

    `of_videos` transformations need the video, since a crop has not what they take; an `attack` is made on crops even
    where the video is there. All others are done to whole frames, or to crops where there are no videos. `falls`:
    lower numbers are stronger.
    """

    title: str
    unit: str
    of_videos: bool = False
    attack: bool = False
    falls: bool = False


KINDS: dict[str, Kind] = {
    "crf": Kind("H.264", "constant rate factor", of_videos=True),
    "jpeg": Kind("JPEG", "quality", falls=True),
    "scale": Kind("Scale, down and back up", "share of the sides", falls=True),
    "blur": Kind("Gaussian blur", "sigma in pixels"),
    "noise": Kind("Gaussian noise", "standard deviation in grey levels"),
    "brightness": Kind("Brightness", "grey levels added"),
    "shift": Kind("Shift of the crop", "share of the face's width", of_videos=True),
    "gradient-blur": Kind("Adversary: blur", "greatest sigma in pixels of the crop", attack=True),
    "additive": Kind("Adversary: additive noise", "greatest change in grey levels", attack=True),
}
"""All transformations, in the order in which they are reported."""


def points_of(config: RobustnessConfig) -> list[Point]:
    """The points to measure, from weak to strong in each transformation; that of the untouched video comes first."""
    found = [NOTHING]
    for name in config.chosen:
        strengths = sorted(set(config.strengths(name)), reverse=KINDS[name].falls)
        found += [Point(name, float(strength)) for strength in strengths]
    return found
