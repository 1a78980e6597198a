"""A plain folder with `real/` and `fake/`, or with those two below `train/`, `val/` and `test/`.

Videos and pictures lie anywhere below them. The identity is the subfolder a file is in (`real/anna/1.mp4` is of anna),
or else its name without suffix; below a split the name alone would make strangers one person, so there it is the
split and the name.
"""

from collections.abc import Iterator
from pathlib import Path

from dfgame.datasets.layout import FILE_SUFFIXES, Official, Place
from dfgame.records import LABELS, ORIGINAL, SPLITS, UNKNOWN, Split, Video

NAME: str = "folder"
EXPECTED: str = (
    "real/ and fake/ with videos or pictures below them, or train/, val/ and test/ with real/ and fake/ in each"
)
OFFICIAL: Official = {}


def recognises(root: Path) -> bool:
    """Whether both subfolders are there, in the root or in a split."""
    return any(True for _ in sections(root))


def find(place: Place) -> Iterator[Video]:
    """All videos and pictures below the subfolders."""
    for split, section in sections(place.root):
        for label in LABELS:
            for path in sorted((section / label).rglob("*")):
                if path.suffix.lower() not in FILE_SUFFIXES or path.name.startswith(".") or not path.is_file():
                    continue
                folders = path.relative_to(section / label).parts[:-1]
                name = f"{split}/{path.stem}" if split else path.stem
                yield Video(
                    path=place.relative(path),
                    label=label,
                    method=ORIGINAL if label == "real" else UNKNOWN,
                    compression=UNKNOWN,
                    identity=folders[0] if folders else name,
                    split=split,
                    dataset=place.base.resolve().name,
                )


def sections(root: Path) -> Iterator[tuple[Split | None, Path]]:
    """The folders that hold `real` and `fake`, with their split."""
    for split in (None, *SPLITS):
        section = root / split if split else root
        if all((section / label).is_dir() for label in LABELS):
            yield split, section
