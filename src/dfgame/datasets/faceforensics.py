"""FaceForensics++ (Rössler et al., ICCV 2019), in the tree its download script makes.

    original_sequences/youtube/c23/videos/000.mp4
    manipulated_sequences/Deepfakes/c23/videos/000_003.mp4        target_source
    manipulated_sequences/Deepfakes/masks/videos/000_003.mp4
    splits/{train,val,test}.json                                  pairs; also beside the two folders

The miniature that `dfgame forge` makes has the same tree; a file `people.json` in it tells the two apart. The script
can put DeepFakeDetection into the same tree, another data set with other names: it is passed over, and said so.
"""

from collections.abc import Iterator
from pathlib import Path

from dfgame.files import read_json
from dfgame.jobs import console
from dfgame.media import VIDEO_SUFFIXES
from dfgame.records import METHODS, ORIGINAL, SPLITS, Split, UserError, Video

EXPECTED = "original_sequences/ and manipulated_sequences/ as FaceForensics++ has them"
KNOWN_METHODS = (*METHODS, "FaceShifter")
"""The four of the paper, and the one that was added in 2020."""
_ORIGINALS, _MANIPULATED = "original_sequences", "manipulated_sequences"
_QUALITIES = {"raw": "raw", "c0": "raw", "c23": "c23", "c40": "c40"}


def recognises(root: Path) -> str | None:
    """The data set's name if the folder has FaceForensics++'s two subfolders, or one of them; else None."""
    if not (root / _ORIGINALS).is_dir() and not (root / _MANIPULATED).is_dir():
        return None
    return "mini FaceForensics++ (forged by dfgame)" if (root / "people.json").is_file() else "FaceForensics++"


def find(root: Path) -> Iterator[Video]:
    """All videos of the originals from YouTube and of every manipulation method."""
    splits = read_splits(root)
    for quality, path in _videos_below(root / _ORIGINALS / "youtube"):
        yield Video(_relative(path, root), "real", ORIGINAL, quality, path.stem, split=splits.get(path.stem))
    for method in _methods(root / _MANIPULATED):
        yield from _fakes(root, method, splits)


def read_splits(root: Path) -> dict[str, Split]:
    """Identity -> split, from the official lists of pairs; empty, and said so, where there are none.

    Raises:
        UserError: a list is not pairs of ids, or puts an identity into two splits.
    """
    splits: dict[str, Split] = {}
    for split in SPLITS:
        places = (root / "splits" / f"{split}.json", root / f"{split}.json")
        path = next((place for place in places if place.is_file()), None)
        for pair in read_json(path) if path else ():
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
                raise UserError(f"{path}: not a list of pairs of ids", "take the official file again")
            for identity in pair:
                if splits.setdefault(identity, split) != split:
                    raise UserError(f"{path}: {identity} is also in {splits[identity]}", "take the official files")
    if not splits:
        console.print(f"{root}: no splits/train.json, val.json, test.json: the crops will have no split")
    return splits


def _methods(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for path in found:
        if path.name not in KNOWN_METHODS:
            console.print(f"{path}: passed over, not a method of FaceForensics++")
    return [path for path in found if path.name in KNOWN_METHODS]


def _fakes(root: Path, method: Path, splits: dict[str, Split]) -> Iterator[Video]:
    for quality, path in _videos_below(method):
        target, _, source = path.stem.partition("_")
        if not source:
            console.print(f"{path}: passed over, its name is not TARGET_SOURCE")
            continue
        mask = method / "masks" / "videos" / path.name
        yield Video(
            path=_relative(path, root),
            label="fake",
            method=method.name,
            compression=quality,
            identity=target,
            source=source,
            split=splits.get(target),
            mask=_relative(mask, root) if mask.is_file() else None,
        )


def _videos_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """(compression, file) of every video in the qualities' folders."""
    for name, quality in _QUALITIES.items():
        for path in (folder / name / "videos").glob("*"):
            if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith("."):
                yield quality, path


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
