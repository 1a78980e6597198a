"""Which files are meant: names, folders, patterns that no shell expanded, and lists of them on standard input."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from dfgame.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from dfgame.records import UserError

LIST = "-"
"""Stands for a list of files on standard input."""


def named_files(places: Iterable[Path | str], lists: BinaryIO | None = None, null: bool = False) -> list[Path]:
    """The files that are named, each once; all pictures and videos below a folder, all that match a pattern.

    Args:
        places: files, folders, patterns with *, ? or [ (** is any folders between), and `-` for what `lists` names.
        lists: names, one a line; empty lines are passed over.
        null: names in `lists` end with a null character, not with a line.

    Raises:
        UserError: a folder or a pattern stands for nothing, or there is nothing to read a list from.
    """
    found: list[Path] = []
    for place in places:
        if str(place) == LIST:
            if lists is None:
                raise UserError("-: there is no standard input to read a list of files from", "name the files")
            found += files_below([Path(name) for name in _listed(lists.read(), null)], listed=True)
        else:
            found += files_below(_matching(Path(place)))
    return list(dict.fromkeys(found))


def files_below(places: Sequence[Path], listed: bool = False) -> list[Path]:
    """The files that are named, and all pictures and videos below the folders that are named.

    A folder that cannot be read stands for itself, and fails like a bad file.

    Raises:
        UserError: a folder holds none. If it is one of a list, it stands for itself, and fails like a bad file.
    """
    found: list[Path] = []
    for place in places:
        inside = [place]
        if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            known = PICTURE_SUFFIXES | VIDEO_SUFFIXES
            failed: list[OSError] = []
            files = (path for path in _walked(place, failed) if path.suffix.lower() in known)
            inside = sorted(path for path in files if path.is_file() or path.is_symlink())
            inside += sorted(Path(error.filename) for error in failed)
            if not inside and listed:
                inside = [place]
            if not inside:
                raise UserError(f"{place}: no picture or video below", "name a folder that has some")
        found += inside
    return list(dict.fromkeys(found))


def _walked(place: Path, failed: list[OSError]) -> Iterator[Path]:
    """All below a folder but what is hidden; folders that cannot be read are noted."""
    for folder, folders, names in os.walk(place, onerror=failed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _matching(place: Path) -> list[Path]:
    """What a pattern stands for; a name that exists is no pattern."""
    if os.path.exists(place) or not glob.has_magic(str(place)):  # noqa: PTH110
        return [place]
    found = sorted(Path(name) for name in glob.glob(str(place), recursive=True))  # noqa: PTH207
    if not found:
        raise UserError(f"{place}: nothing matches", "name files, folders, or a pattern that matches some")
    return found


def _listed(content: bytes, null: bool) -> Iterator[str]:
    """The names in a list, as the file system encodes them."""
    for name in content.split(b"\0") if null else content.splitlines():
        if name.strip():
            yield name.decode("utf-8", "surrogateescape")
