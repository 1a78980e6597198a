"""What is particular to each published layout: a folder on disk -> labelled videos."""

from collections.abc import Iterable
from pathlib import Path

from dfgame.datasets import celebdf, deepfakebench, dfdc, faceforensics, folder, frames, lists, photographs, table
from dfgame.datasets.layout import DataSet, Layout, Place
from dfgame.datasets.splits import by_identity
from dfgame.records import SPLITS, UserError, Video

LAYOUTS: tuple[Layout, ...] = (table, lists, deepfakebench, faceforensics, celebdf, dfdc, frames, folder, photographs)
"""Tried in this order, the particular before the general."""

_TAKE_SPLITS: tuple[Layout, ...] = (faceforensics, celebdf, frames, deepfakebench)
"""Those whose lists of splits may lie elsewhere; the others have none, or in the data."""

__all__ = ["LAYOUTS", "DataSet", "Layout", "Place", "find_data"]


def find_data(
    root: Path, layout: str | None = None, splits: Path | None = None, build_splits: bool = False
) -> DataSet:
    """Read a data set: told by looking at it, or by the name of its layout.

    Args:
        root: its folder, or the file that lists it.
        layout: the NAME of one of LAYOUTS.
        splits: where its lists of splits are, if not in their usual place.
        build_splits: split by identity the videos that have no split.

    Raises:
        UserError: it is missing, is of no known layout, holds no video, or one of its lists cannot be read.
    """
    if not root.exists():
        raise UserError(f"{root}: no such file or folder")
    names = {one.NAME: one for one in LAYOUTS}
    if layout is not None and layout not in names:
        raise UserError(f"--layout {layout}: not known", f"one of: {', '.join(names)}")
    if splits is not None and not splits.exists():
        raise UserError(f"--splits {splits}: no such file or folder")
    chosen = names[layout] if layout else next((one for one in LAYOUTS if one.recognises(root)), None)
    if chosen is None:
        empty = root.is_dir() and not any(root.iterdir())
        expected = "; or ".join(one.EXPECTED for one in LAYOUTS)
        raise UserError(f"{root}: {'an empty folder' if empty else 'not a known layout'}", f"expected {expected}")
    if splits is not None and chosen not in _TAKE_SPLITS:
        raise UserError(f"--splits {splits}: the layout {chosen.NAME} takes none from elsewhere", "leave out --splits")
    place = Place(root, splits)
    videos = _named(chosen.find(place), place)
    if not videos:
        raise UserError(f"{root}: looks like {chosen.NAME}, but holds no video", f"expected {chosen.EXPECTED}")
    if build_splits and any(video.split is None for video in videos):
        place.notes.append("splits were built by identity for the videos that had none (of people 72, 14 and 14%)")
        videos = by_identity(videos)
        for split in SPLITS:
            labels = {video.label for video in videos if video.split == split}
            if len(labels) < 2:
                lacks = "real" if "fake" in labels else "fake" if labels else "real or fake"
                place.notes.append(f"the split {split} has no {lacks} video: people who meet in a video stay together")
        if left := sum(video.split is None for video in videos):
            place.notes.append(f"{left:,} videos have no split still: they show people of two splits")
    return DataSet(chosen.NAME, root, place.base, videos, place.notes, place.missing, place.turned, chosen.OFFICIAL)


def _named(found: Iterable[Video], place: Place) -> list[Video]:
    """The videos sorted by path, without those whose path is no text: no table and no JSON file could name them."""
    videos, odd = [], []
    for video in found:
        (videos if _is_text(video.path) else odd).append(video)
    place.note_each((ascii(video.path) for video in odd), "videos were passed over, since their names are not UTF-8")
    return sorted(videos, key=lambda video: video.path)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
