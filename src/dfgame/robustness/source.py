"""Where the faces come from: the data set's videos, or, without them, the crops that are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfgame.config import RobustnessConfig
from dfgame.files import sha256
from dfgame.records import UserError
from dfgame.robustness.job import Cutting
from dfgame.robustness.points import KINDS, Point, points_of


@dataclass(frozen=True, slots=True)
class Source:
    """The points to measure, and what is made worse.

    `roots` are folders of data sets, empty where stored crops are made worse; `folder` is the manifest's; `cutting` is
    None where it is not known. `not_done` says which transformations were left out, and why.
    """

    points: tuple[Point, ...]
    roots: tuple[Path, ...]
    folder: Path
    cutting: Cutting | None
    not_done: tuple[str, ...]

    @property
    def done_to(self) -> str:
        """`videos` or `crops`."""
        return "videos" if self.roots else "crops"

    def file(self, video: str, dataset: str, content: str | None) -> Path | None:
        """A video's file in the roots, of several the one whose SHA-256 is `content`; else its first place."""
        path = video.removeprefix(f"{dataset}/")
        places = [root / path for root in self.roots]
        there = [place for place in places if place.is_file()]
        if len(there) > 1 and content is not None:
            there = [place for place in there if sha256(place) == content]
        return next(iter([*there, *places]), None)


def source_of(made_by: dict[str, Any], manifest: Path, data: Sequence[Path], config: RobustnessConfig) -> Source:
    """What to make worse, and in which ways: with the videos all, with crops those that can be done to them.

    Raises:
        UserError: a root is no folder, or a transformation was asked for by name that needs videos.
    """
    for root in data:
        if not root.is_dir():
            raise UserError(f"--data {root}: no such folder", "name the ROOT that `dfgame extract` read")
    points, cutting = points_of(config), _cutting(made_by)
    if data and cutting is not None:
        return Source(tuple(points), tuple(data), manifest.parent, cutting, ())
    reason = "without --data there are none"
    if data:
        reason = f"{manifest} does not say how its crops were cut out, so that they cannot be cut out again"
    needy = [name for name in config.chosen if KINDS[name].of_videos]
    if needy and config.only:
        raise UserError(f"--only {' '.join(needy)}: needs the videos, and {reason}", "give --data, or leave it out")
    left = [point for point in points if point.transformation not in needy]
    not_done = tuple(f"{name}: not done, it needs the videos, and {reason}" for name in needy)
    return Source(tuple(left), (), manifest.parent, None, not_done)


def _cutting(made_by: dict[str, Any]) -> Cutting | None:
    """How the manifest's crops were cut out, None where it does not say."""
    settings = made_by.get("settings") or {}
    known = {name: settings[name] for name in ("alignment", "margin", "size") if settings.get(name) is not None}
    return Cutting(**known) if len(known) == 3 else None
