"""FaceForensics++ (Rössler et al., ICCV 2019), in the tree its download script makes.

    original_sequences/youtube/c23/videos/000.mp4
    manipulated_sequences/Deepfakes/c23/videos/000_003.mp4        target_source
    manipulated_sequences/Deepfakes/masks/videos/000_003.mp4
    splits/{train,val,test}.json                                  pairs; also beside the two folders

The miniature that `dfgame forge` makes has the same tree; a file `people.json` in it tells the two apart.
"""

from collections.abc import Iterator
from pathlib import Path

from dfgame.files import read_json
from dfgame.jobs import console
from dfgame.media import VIDEO_SUFFIXES
from dfgame.records import ORIGINAL, SPLITS, Split, UserError, Video

NAME = "FaceForensics++"
MINIATURE_NAME = "mini FaceForensics++ (forged by dfgame)"
EXPECTED = "original_sequences/ and manipulated_sequences/ as FaceForensics++ has them"
_ORIGINALS, _MANIPULATED = "original_sequences", "manipulated_sequences"
_QUALITIES = {"raw": "raw", "c0": "raw", "c23": "c23", "c40": "c40"}


def recognises(root: Path) -> bool:
    """Whether the folder has FaceForensics++'s two subfolders, or one of them."""
    return (root / _ORIGINALS).is_dir() or (root / _MANIPULATED).is_dir()


def find(root: Path) -> Iterator[Video]:
    """All videos of the originals from YouTube and of every manipulation method."""
    splits = read_splits(root)
    for quality, folder in _quality_folders(root / _ORIGINALS / "youtube"):
        for path in _videos_in(folder):
            yield Video(
                _relative(path, root), "real", ORIGINAL, quality, path.stem, split=splits.get(path.stem)
            )
    methods = root / _MANIPULATED
    for method in sorted(methods.iterdir()) if methods.is_dir() else ():
        for quality, folder in _quality_folders(method):
            for path in _videos_in(folder):
                target, _, source = path.stem.partition("_")
                mask = method / "masks" / "videos" / path.name
                yield Video(
                    _relative(path, root),
                    "fake",
                    method.name,
                    quality,
                    target,
                    source or None,
                    splits.get(target),
                    _relative(mask, root) if mask.is_file() else None,
                )


def read_splits(root: Path) -> dict[str, Split]:
    """Identity -> split, from the official lists of pairs; empty, and said so, where there are none.

    Raises:
        UserError: a list is not pairs of ids, or puts an identity into two splits.
    """
    splits: dict[str, Split] = {}
    for split in SPLITS:
        path = next(
            (p for p in (root / "splits" / f"{split}.json", root / f"{split}.json") if p.is_file()), None
        )
        for pair in read_json(path) if path else ():
            if not (isinstance(pair, list) and len(pair) == 2):
                raise UserError(f"{path}: not a list of pairs of ids", "take the official file again")
            for identity in pair:
                if splits.setdefault(identity, split) != split:
                    raise UserError(
                        f"{path}: {identity} is also in {splits[identity]}", "take the official files"
                    )
    if not splits:
        console.print(f"{root}: no splits/train.json, val.json, test.json: the crops will have no split")
    return splits


def _quality_folders(folder: Path) -> Iterator[tuple[str, Path]]:
    for name, quality in _QUALITIES.items():
        videos = folder / name / "videos"
        if videos.is_dir():
            yield quality, videos


def _videos_in(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith(".")]


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
