"""What a layout says of a folder, and what every layout needs to say it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dfgame.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from dfgame.records import Split, Video

FILE_SUFFIXES = VIDEO_SUFFIXES | PICTURE_SUFFIXES


@dataclass(slots=True)
class Place:
    """Where a layout looks, and what it has to say beside the videos it finds.

    `root` is a folder, or the file that lists the data. `splits` is where the user says the lists of splits are.
    `notes` are decisions and things passed over, a line each. `missing` are files, relative to the root, that the
    data set's own lists name and that are not there, each with the list that names it. `turned` are contradictions
    between a list's labels and its folders, a line each.
    """

    root: Path
    splits: Path | None = None
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    turned: list[str] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """The folder that paths are relative to."""
        return self.root if self.root.is_dir() else self.root.parent

    def relative(self, path: Path) -> str:
        """A path below the base as it is written in a Video."""
        return path.relative_to(self.base).as_posix()

    def note_each(self, names: Iterable[str], what: str) -> None:
        """One note for many things of a kind: how many, what of them, and the first three by name."""
        found = sorted(names)
        if found:
            rest = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
            self.notes.append(f"{len(found):,} {what}: {', '.join(found[:3])}{rest}")


class Layout(Protocol):
    """A module of this room."""

    NAME: str
    """What `--layout` calls it."""
    EXPECTED: str
    """What it looks like, in words."""
    OFFICIAL: Mapping[str, Mapping[tuple[str, Split | None], int]]
    """Videos of each data set at each quality by (method, split), as published; None is for all splits together."""

    @staticmethod
    def recognises(root: Path) -> bool:
        """Whether it is of this layout, by a look at names only."""
        ...

    @staticmethod
    def find(place: Place) -> Iterator[Video]:
        """All videos, each with its `dataset`."""
        ...


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder, read: its layout, its videos sorted by path, and what is to be said of them (see `Place`)."""

    layout: str
    root: Path
    videos: list[Video]
    notes: list[str]
    missing: dict[str, str]
    turned: list[str]
    official: Mapping[str, Mapping[tuple[str, Split | None], int]]

    @property
    def names(self) -> tuple[str, ...]:
        """The data sets in it, that with the most videos first."""
        return tuple(name for name, _ in Counter(video.dataset for video in self.videos).most_common())


def files_below(folder: Path, suffixes: frozenset[str] = VIDEO_SUFFIXES) -> list[Path]:
    """The files directly in a folder that have one of these suffixes and are not hidden, sorted."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())
