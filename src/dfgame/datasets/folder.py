"""A plain folder with `real/` and `fake/`, or with those two below `train/`, `val/` and `test/`.

Video files lie anywhere below them. A video's identity is the subfolder it is in (`real/anna/1.mp4` is of anna), or
else its file's name without suffix; below a split the name alone would make strangers one person, so there it is
the split and the name.
"""

from collections.abc import Iterator
from pathlib import Path

from dfgame.media import VIDEO_SUFFIXES
from dfgame.records import LABELS, ORIGINAL, SPLITS, Split, Video

EXPECTED = "real/ and fake/ with video files below them, or train/, val/ and test/ with real/ and fake/ in each"
UNKNOWN = "unknown"
"""The `method` of the fakes and the `compression` of all: a plain folder does not say."""


def recognises(root: Path) -> str | None:
    """`folder` if both subfolders are there, in the root or in a split, else None."""
    return "folder" if any(True for _ in _sections(root)) else None


def find(root: Path) -> Iterator[Video]:
    """All videos below the subfolders."""
    for split, section in _sections(root):
        for label in LABELS:
            for path in (section / label).rglob("*"):
                if path.suffix.lower() not in VIDEO_SUFFIXES or path.name.startswith(".") or not path.is_file():
                    continue
                folders = path.relative_to(section / label).parts[:-1]
                name = f"{split}/{path.stem}" if split else path.stem
                yield Video(
                    path=path.relative_to(root).as_posix(),
                    label=label,
                    method=ORIGINAL if label == "real" else UNKNOWN,
                    compression=UNKNOWN,
                    identity=folders[0] if folders else name,
                    split=split,
                )


def _sections(root: Path) -> Iterator[tuple[Split | None, Path]]:
    """The folders that hold `real` and `fake`, with their split."""
    for split in (None, *SPLITS):
        section = root / split if split else root
        if all((section / label).is_dir() for label in LABELS):
            yield split, section
