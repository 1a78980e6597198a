"""Lists of crops in the format of the published code: a file name and a label a line, in a `.lst` file.

Frames: `original_c23/078/078_000012_0.png REAL`, that is method and compression, then the video, then
video_frame_face. Videos: `Deepfakes_c23/001_870 FAKE`, all of whose pictures are taken; a fake's name is
target_source. Labels are REAL or FAKE, or numbers: 1 real and 0 fake, or with five classes 0 real and 1 to 4 the
manipulation methods in the order of METHODS.

As a layout, a data set is such a file, or a folder with some in it or in `benchmark/`, whose names tell the split:
ff_train_c23.lst, ff_val_all.lst, ff_test_Deepfakes_c40.lst. What the lists name is below that folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from dfgame.datasets import frames
from dfgame.datasets.faceforensics import FACEFORENSICS
from dfgame.datasets.layout import Official, Place, files_below, read_lines
from dfgame.manifest import SCHEMA
from dfgame.media import PICTURE_SUFFIXES
from dfgame.records import METHODS, ORIGINAL, SPLITS, Label, Split, UserError, Video

NAME: str = "lists"
EXPECTED: str = "lines such as `original_c23/078/078_000012_0.png REAL` or `Deepfakes_c23/001_870 FAKE` in a .lst file"
OFFICIAL: Official = {}
PICTURES = (".png", ".jpg", ".jpeg")
_WORDS: dict[str, Label] = {"REAL": "real", "1": "real", "FAKE": "fake", "0": "fake"}
_CLASSES = [str(number) for number in range(1 + len(METHODS))]
Line = tuple[str, str, str]
"""Where it is, the name it gives, and the word for its label."""


def read_lists(lists: dict[Split, Path], root: Path, multi: bool) -> pa.Table:
    """The crops of these lists as a manifest's table; paths are absolute, boxes and landmarks unknown (0).

    Args:
        lists: a list file for each split.
        root: the folder that the lists' names are relative to.
        multi: how numbers are to be read, see above.

    Raises:
        UserError: a line cannot be read, contradicts its folder, or names a picture or folder that is not there.
    """
    rows = [row for split, path in lists.items() for row in _rows(path, root.resolve(), split, multi)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _rows(path: Path, root: Path, split: Split, multi: bool) -> Iterator[dict[str, Any]]:
    for where, name, word in _lines(path):
        label = _label_of(name)
        if not _fits(name, word, multi):
            raise UserError(
                f"{where}: the label {word} is not that of {_method(name)}",
                "REAL or 1, FAKE or 0; with --multi the numbers are 0 real and 1 to 4 " + ", ".join(METHODS),
            )
        for crop in _crops(root / name, where):
            yield _row(crop, root, label, split, where)


def recognises(root: Path) -> bool:
    """Whether it is a list, or a folder with lists."""
    return any(True for _ in _lists(root))


def find(place: Place) -> Iterator[Video]:
    """The folders of crops that the lists name, each with those of its pictures that they name."""
    if place.root.is_file() and place.root.parent.name == "benchmark":
        place.start = place.root.parent.parent
    folders: dict[str, _Folder] = {}
    for path in _lists(place.root):
        lines = list(_lines(path))
        _turn(place, lines, path.name)
        split: Split | None = next((one for one in SPLITS if one in path.stem.split("_")), None)
        if split is None:
            place.notes.append(f"{path.name}: no train, val or test in its name, so it gives no split")
        for where, name, word in lines:
            one = folders.setdefault(_folder(name, word, where), _Folder(path.name))
            if split and one.split not in (None, split):
                raise UserError(f"{where}: {name} is also in a list of {one.split}", "a video is in one split only")
            one.split = one.split or split
            one.names.add(name)
    for path, one in sorted(folders.items()):
        there = {f"{path}/{file.name}" for file in files_below(place.base / path, PICTURE_SUFFIXES)}
        whole = path in one.names
        absent = one.names - there - ({path} if there else set())
        place.missing.update(dict.fromkeys(absent, one.file))
        if one.names != absent:
            crops = () if whole else tuple(sorted(one.names & there))
            yield frames.video_of(place, path, one.split, crops, FACEFORENSICS)


@dataclass(slots=True)
class _Folder:
    """What the lists say of a folder: the first that names it, its split, and the names, its own or of pictures."""

    file: str
    split: Split | None = None
    names: set[str] = field(default_factory=set)


def _lists(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield from [root] if root.suffix == ".lst" else []
    for folder in (root, root / "benchmark"):
        yield from sorted(folder.glob("*.lst"))


def _turn(place: Place, lines: list[Line], file: str) -> None:
    """Say where labels contradict the folders, whose labels count; numbers are read as fits the list best."""
    readings = ([line for line in lines if not _fits(line[1], line[2], multi)] for multi in (False, True))
    wrong = min(readings, key=len)
    of_each = [f"{Path(where).name}: {name} is {word} there" for where, name, word in wrong]
    place.turn(of_each, len(lines), f"all {len(lines):,} labels of {file} are the opposite of what the folders say")


def _folder(name: str, word: str, where: str) -> str:
    """The folder of a video that a line names, or a picture of which it names."""
    parts = PurePosixPath(name).parts
    inner = parts[:2] if name.endswith(PICTURES) else parts
    if len(inner) != 2 or len(parts) > 3 or {"..", "/"} & {*parts} or name != "/".join(parts):
        raise UserError(f"{where}: not a line of a list", f"expected {EXPECTED}")
    if word.upper() not in _WORDS and word not in _CLASSES:
        raise UserError(f"{where}: the label is {word}", "REAL, FAKE, or a number from 0 to 4")
    return "/".join(inner)


def _lines(path: Path) -> Iterator[Line]:
    for where, line in read_lines(path):
        name, _, word = line.strip().rpartition(" ")
        if not name or _method(name) is None:
            raise UserError(f"{where}: not a line of a list", f"expected {EXPECTED}")
        yield where, name, word


def _fits(name: str, word: str, multi: bool) -> bool:
    """Whether the label is that of the name's folder."""
    method = _method(name)
    if multi and word.isdecimal():
        return int(word) == (0 if method == ORIGINAL else METHODS.index(method) + 1 if method in METHODS else -1)
    return _WORDS.get(word.upper()) == _label_of(name)


def _label_of(name: str) -> Label:
    return "real" if _method(name) == ORIGINAL else "fake"


def _method(name: str) -> str | None:
    method, _, compression = name.partition("/")[0].rpartition("_")
    return method if method and compression else None


def _crops(path: Path, where: str) -> list[Path]:
    if path.suffix.lower() in PICTURES and path.is_file():
        return [path]
    found = sorted(p for p in path.glob("*") if p.suffix.lower() in PICTURES) if path.is_dir() else []
    if not found:
        problem = "no such picture" if path.suffix.lower() in PICTURES else "no pictures in it"
        raise UserError(f"{where}: {path}: {problem}", "--data_root is the folder that the names are relative to")
    return found


def _row(crop: Path, root: Path, label: Label, split: Split, where: str) -> dict[str, Any]:
    folder, video = crop.relative_to(root).parts[:2]
    method, _, compression = folder.rpartition("_")
    try:
        frame, face = (int(part) for part in crop.stem.split("_")[-2:])
    except ValueError:
        raise UserError(f"{where}: {crop.name} is not named video_frame_face", f"expected {EXPECTED}") from None
    target, _, source = video.partition("_")
    return {
        "path": str(crop),
        "video": f"{folder}/{video}",
        "dataset": "list",
        "frame": frame,
        "time": 0.0,
        "label": label,
        "method": method,
        "compression": "raw" if compression == "c0" else compression,
        "identity": target,
        "source": source or None,
        "split": split,
        **dict.fromkeys(("left", "top", "right", "bottom"), 0.0),
        "landmarks": [0.0] * 10,
        "score": 0.0,
        "track": face,
    }
