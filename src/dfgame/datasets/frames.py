"""Faces that were cut out before, a folder of pictures for each video, without a list.

    original_c23/078/078_000012_0.png        method and quality, the video, a picture
    Deepfakes_c23/001_870/001_870_000012_0.png
    masks/Deepfakes_c23/001_870/...          where there are any

Extraction writes this form; the quality is raw, c0, c23, c40 or unknown. The official lists of pairs count for
FaceForensics++. Another form is read only where it is asked for by its name, since the files in `real` and `fake` are
otherwise videos and pictures of their own; train/, val/ and test/ may be above the two:

    real/VIDEO/*.png, fake/VIDEO/*.png
"""

import re
from collections.abc import Iterator
from pathlib import Path

from dfgame.datasets import celebdf, faceforensics, folder
from dfgame.datasets.faceforensics import DFD, FACEFORENSICS, KNOWN_METHODS, people
from dfgame.datasets.layout import QUALITIES, Official, People, Place, folders_below, has_pictures
from dfgame.datasets.splits import official_pairs, split_of_each
from dfgame.records import LABELS, ORIGINAL, UNKNOWN, Split, UserError, Video

NAME: str = "frames"
EXPECTED: str = "folders of pictures such as original_c23/078/ and Deepfakes_c23/001_870/"
OFFICIAL: Official = faceforensics.OFFICIAL
_KIND = re.compile(rf"(.+)_({'|'.join([*QUALITIES, UNKNOWN])})")


def recognises(root: Path) -> bool:
    """Whether there are folders in a folder that is named after a method and a quality."""
    return any(folders_below(kind) for kind in _kinds(root))


def find(place: Place) -> Iterator[Video]:
    """A video for each folder of pictures."""
    empty = []
    for path, video in _of_methods(place) if recognises(place.root) else _of_labels(place):
        if has_pictures(path):
            yield video
        else:
            empty.append(video.path)
    place.note_each(empty, "folders passed over, no picture in them")


def video_of(place: Place, path: str, split: Split | None, crops: tuple[str, ...], dataset: str) -> Video:
    """The video of a folder METHOD_QUALITY/VIDEO; what its name does not tell of FaceForensics++ is of `dataset`."""
    kind, _, name = path.partition("/")
    method, _, quality = kind.rpartition("_")
    dataset, named = _named(method, quality, name, dataset)
    mask = f"masks/{path}"
    return Video(
        path=path,
        label="real" if method == ORIGINAL else "fake",
        method=method,
        compression=QUALITIES.get(quality, quality),
        identity=named.identity,
        source=named.source,
        split="test" if dataset == DFD and split is None else split,
        mask=mask if (place.base / mask).is_dir() else None,
        original=f"{ORIGINAL}_{quality}/{named.original}" if named.original else None,
        dataset=dataset,
        crops=crops,
    )


def _named(method: str, quality: str, name: str, dataset: str) -> tuple[str, People]:
    """The data set and the people of a video, by its folder's name; by that alone where it follows no known rule."""
    if quality in QUALITIES and method in (ORIGINAL, *KNOWN_METHODS, DFD):
        return DFD if "__" in name else FACEFORENSICS, people(method, name) or People(name)
    rule = celebdf.FAKES if method == celebdf.FAKES else celebdf.CELEBRITIES
    return dataset, celebdf.people(rule, name) or People(name)


def _kinds(root: Path) -> list[Path]:
    return [kind for kind in folders_below(root) if _KIND.fullmatch(kind.name)]


def _of_methods(place: Place) -> Iterator[tuple[Path, Video]]:
    pairs = official_pairs(place, place.root, place.root / "splits")
    splits = split_of_each(pairs)
    kinds = _kinds(place.root)
    raw = {kind.name.removesuffix("_raw") for kind in kinds if kind.name.endswith("_raw")}
    for name in {kind.name.removesuffix("_c0") for kind in kinds if kind.name.endswith("_c0")} & raw:
        raise UserError(f"{place.root}: has both {name}_c0 and {name}_raw, which are one", "remove one of the two")
    if not pairs:
        place.notes.append("no train.json, val.json or test.json: FaceForensics++ has no splits here; see --splits")
    for path in (path for kind in kinds for path in folders_below(kind)):
        name = place.relative(path)
        video = video_of(place, name, splits.get(path.name.partition("_")[0]), (), place.base.resolve().name)
        yield path, video


def _of_labels(place: Place) -> Iterator[tuple[Path, Video]]:
    for split, section in folder.sections(place.root):
        for label in LABELS:
            for path in folders_below(section / label):
                yield (
                    path,
                    Video(
                        path=place.relative(path),
                        label=label,
                        method=ORIGINAL if label == "real" else UNKNOWN,
                        compression=UNKNOWN,
                        identity=f"{split}/{path.name}" if split else path.name,
                        split=split,
                        dataset=place.base.resolve().name,
                    ),
                )
