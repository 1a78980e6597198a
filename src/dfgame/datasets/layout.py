"""What a layout says of a folder, and what every layout needs to say it."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple, Protocol

from dfgame.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from dfgame.records import Split, UserError, Video

FILE_SUFFIXES = VIDEO_SUFFIXES | PICTURE_SUFFIXES
QUALITIES = {"raw": "raw", "c0": "raw", "c23": "c23", "c40": "c40"}
"""The compression that each of FaceForensics++'s folders of a quality stands for."""
Official = Mapping[str, Mapping[tuple[str, Split | None], int]]
"""Videos of each data set at each quality by (method, split), as published; None is for all splits together."""


class People(NamedTuple):
    """Who is in a video, as its name tells: the target, the source, and the original's name without suffix."""

    identity: str
    source: str | None = None
    original: str | None = None


@dataclass(slots=True)
class Place:
    """Where a layout looks, and what it has to say beside the videos it finds.

    `root` is a folder, or the file that lists the data. `splits` is where the user says the lists of splits are.
    `notes` are decisions and things passed over, a line each. `missing` are files, relative to the root, that the
    data set's own lists name and that are not there, each with the list that names it. `turned` are contradictions
    between a list's labels and its folders, a line each. `start` is the folder that a list's names are relative to,
    where that is not the list's own.
    """

    root: Path
    splits: Path | None = None
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    turned: list[str] = field(default_factory=list)
    start: Path | None = None

    @property
    def base(self) -> Path:
        """The folder that paths are relative to."""
        return self.start or (self.root if self.root.is_dir() else self.root.parent)

    def relative(self, path: Path) -> str:
        """A path below the base as it is written in a Video."""
        return path.relative_to(self.base).as_posix()

    def note_each(self, names: Iterable[str], what: str) -> None:
        """One note for many things of a kind: how many, what of them, and the first three by name."""
        found = sorted(names)
        if found:
            rest = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
            self.notes.append(f"{len(found):,} {what}: {', '.join(found[:3])}{rest}")

    def turn(self, contradictions: Sequence[str], of_all: int, altogether: str) -> None:
        """Say which labels contradict their folders: in one line if all do and are many, else the first by name."""
        if len(contradictions) == of_all > 3:
            self.turned.append(altogether)
            return
        self.turned += contradictions[:3]
        if len(contradictions) > 3:
            self.turned.append(f"and {len(contradictions) - 3:,} more of {of_all:,}")


class Layout(Protocol):
    """A module of this room."""

    NAME: str
    """What `--layout` calls it."""
    EXPECTED: str
    """What it looks like, in words."""
    OFFICIAL: Official
    """What was published of its data sets."""

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
    """A data set, read: its layout, its videos sorted by path, and what is to be said of them (see `Place`).

    `root` is the folder that paths are relative to, `given` what the user named: a folder, or the file that lists it.
    """

    layout: str
    given: Path
    root: Path
    videos: list[Video]
    notes: list[str]
    missing: dict[str, str]
    turned: list[str]
    official: Official

    @property
    def names(self) -> tuple[str, ...]:
        """The data sets in it, that with the most videos first."""
        return tuple(name for name, _ in Counter(video.dataset for video in self.videos).most_common())


def natural(text: str) -> list[tuple[int, int | str]]:
    """A key that sorts s2 before s10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text) if part]


def files_below(folder: Path, suffixes: frozenset[str] = VIDEO_SUFFIXES) -> list[Path]:
    """The files directly in a folder that have one of these suffixes and are not hidden, sorted."""
    return [folder / entry.name for entry in _entries(folder) if _suffix(entry) in suffixes and entry.is_file()]


def folders_below(folder: Path) -> list[Path]:
    """The folders directly in a folder that are not hidden, sorted; none where it is not there."""
    return [folder / entry.name for entry in _entries(folder) if entry.is_dir()]


def has_pictures(folder: Path) -> bool:
    """Whether there is a picture directly in a folder."""
    return any(_suffix(entry) in PICTURE_SUFFIXES for entry in _entries(folder))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden, sorted; they know what they are without another look at the disk."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _suffix(entry: os.DirEntry[str]) -> str:
    return PurePath(entry.name).suffix.lower()


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; False of names that no disk can have."""
    try:
        return path.exists()
    except OSError:
        return False


def read_lines(path: Path) -> list[tuple[str, str]]:
    """(where, line) of every line of a text file that is not empty; `where` names the file and the line.

    Raises:
        UserError: it cannot be read, or is not text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    return [(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
