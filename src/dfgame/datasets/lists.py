"""Lists of crops in the format of the published code: a file name and a label a line, in a `.lst` file.

Frames: `original_c23/078/078_000012_0.png REAL`, that is method and compression, then the video, then
video_frame_face. Videos: `Deepfakes_c23/001_870 FAKE`, all of whose pictures are taken; a fake's name is
target_source. Labels are REAL or FAKE, or numbers: 1 real and 0 fake, or with five classes 0 real and 1 to 4 the
manipulation methods in the order of METHODS.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dfgame.manifest import SCHEMA
from dfgame.records import METHODS, ORIGINAL, Label, Split, UserError

EXPECTED = "lines such as `original_c23/078/078_000012_0.png REAL` or `Deepfakes_c23/001_870 FAKE`"
PICTURES = (".png", ".jpg", ".jpeg")


def read_lists(lists: dict[Split, Path], root: Path, multi: bool) -> pa.Table:
    """The crops of these lists as a manifest's table; paths are absolute, boxes and landmarks unknown (0).

    Args:
        lists: a list file for each split.
        root: the folder that the lists' names are relative to.
        multi: how numbers are to be read, see above.

    Raises:
        UserError: a line cannot be read, contradicts its folder, or names what is not there.
    """
    rows = [row for split, path in lists.items() for row in _rows(path, root.resolve(), split, multi)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _rows(path: Path, root: Path, split: Split, multi: bool) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}, line {number}"
            name, label = _parsed(line, where, multi)
            for crop in _crops(root / name, where):
                yield _row(crop, root, label, split, where)


def _parsed(line: str, where: str, multi: bool) -> tuple[str, Label]:
    """The name, and the label, which must be that of the name's folder."""
    name, _, word = line.strip().rpartition(" ")
    method = _method(name)
    if not name or method is None:
        raise UserError(f"{where}: not a line of a list", f"expected {EXPECTED}")
    of_folder: Label = "real" if method == ORIGINAL else "fake"
    if multi and word.isdigit():
        fits = int(word) == (0 if method == ORIGINAL else METHODS.index(method) + 1 if method in METHODS else -1)
    else:
        fits = {"REAL": "real", "1": "real", "FAKE": "fake", "0": "fake"}.get(word.upper()) == of_folder
    if not fits:
        raise UserError(
            f"{where}: the label {word} is not that of {method}",
            "REAL or 1, FAKE or 0; with --multi the numbers are 0 real and 1 to 4 " + ", ".join(METHODS),
        )
    return name, of_folder


def _method(name: str) -> str | None:
    method, _, compression = name.partition("/")[0].rpartition("_")
    return method if method and compression else None


def _crops(path: Path, where: str) -> list[Path]:
    if path.suffix.lower() in PICTURES:
        return [path]
    found = sorted(p for p in path.glob("*") if p.suffix.lower() in PICTURES) if path.is_dir() else []
    if not found:
        raise UserError(f"{where}: no pictures in {path}", "--data_root is the folder that the names are relative to")
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
