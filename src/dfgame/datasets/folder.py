"""A plain folder with `real/` and `fake/`: video files anywhere below them.

A video's identity is its file's name without suffix, or the subfolder it is in: `real/anna/1.mp4` is of anna.
"""

from collections.abc import Iterator
from pathlib import Path

from dfgame.media import VIDEO_SUFFIXES
from dfgame.records import LABELS, ORIGINAL, Video

EXPECTED = "real/ and fake/ with video files below them"
UNKNOWN = "unknown"
"""The `method` of the fakes and the `compression` of all: a plain folder does not say."""


def recognises(root: Path) -> str | None:
    """`folder` if both subfolders are there, else None."""
    return "folder" if all((root / label).is_dir() for label in LABELS) else None


def find(root: Path) -> Iterator[Video]:
    """All videos below the two subfolders."""
    for label in LABELS:
        for path in (root / label).rglob("*"):
            if path.suffix.lower() not in VIDEO_SUFFIXES or path.name.startswith(".") or not path.is_file():
                continue
            folders = path.relative_to(root / label).parts[:-1]
            yield Video(
                path=path.relative_to(root).as_posix(),
                label=label,
                method=ORIGINAL if label == "real" else UNKNOWN,
                compression=UNKNOWN,
                identity=folders[0] if folders else path.stem,
            )
