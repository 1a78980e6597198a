"""A CSV or Parquet file that names videos, or pictures, or folders of pictures, with their labels.

    path,label,identity,split
    clips/a.mp4,real,anna,train

Columns: path and label; where they are known also identity, source, method, compression, split, dataset, original and
mask. Paths are relative to the file's folder. Labels are real and fake, or 0 and 1.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfgame.datasets.layout import QUALITIES, Official, Place, is_there
from dfgame.records import LABELS, ORIGINAL, SPLITS, UNKNOWN, Label, Split, UserError, Video

NAME: str = "table"
EXPECTED: str = "a CSV or Parquet file with the columns path and label"
OFFICIAL: Official = {}
REQUIRED = ("path", "label")
OPTIONAL = ("identity", "source", "method", "compression", "split", "dataset", "original", "mask")
_LABELS: dict[str, Label] = {"real": "real", "0": "real", "fake": "fake", "1": "fake"}
_SPLITS: dict[str, Split | None] = {"": None, **{split: split for split in SPLITS}}
_WORDS: dict[Label, frozenset[str]] = {
    "real": frozenset({"real", "original", "originals", "youtube", "pristine"}),
    "fake": frozenset({"fake", "fakes", "manipulated", "synthesis", "forged"}),
}
"""Words in the names of folders that say what is in them."""
_FEW = 4
Row = tuple[str, dict[str, str]]
"""Where it is, and its values by column."""


def recognises(root: Path) -> bool:
    """Whether it is a file of one of the two kinds."""
    return root.suffix.lower() in (".csv", ".parquet") and root.is_file()


def find(place: Place) -> Iterator[Video]:
    """A video for each row whose file is there."""
    if not place.root.is_file():
        raise UserError(f"{place.root}: not a file", f"expected {EXPECTED}")
    columns, rows = (_read_csv if place.root.suffix.lower() == ".csv" else _read_parquet)(place.root)
    _check_columns(place, columns)
    listed: dict[str, Row] = {}
    told: list[tuple[str, Label, Label]] = []
    for where, values in rows:
        path = _inside(place, values.get("path", ""), where)
        if path in listed:
            raise UserError(f"{where}: {path} is also in {listed[path][0].rpartition(', ')[2]}", "name each path once")
        listed[path] = where, values
    people = {path: values.get("identity") or _named_by(path) for path, (_, values) in listed.items()}
    for path, (where, values) in listed.items():
        label = _LABELS.get(values.get("label", "").casefold())
        if label is None:
            raise UserError(f"{where}: the label is {values.get('label') or 'missing'}", "real or fake, or 0 or 1")
        if word := _told_by_folder(path):
            told.append((path, label, word))
        if is_there(place.base / path):
            yield _video(place, path, label, values, where, people)
        else:
            place.missing[path] = place.root.name
    turned = [f"{path} is {label} in {place.root.name}" for path, label, word in told if label != word]
    if len(told) >= _FEW and 2 * len(turned) > len(told):
        place.turn(turned, len(told), f"all {len(told):,} labels are the opposite of the folders' names")


def _named_by(path: str) -> str:
    """Who is in a video of which nobody says it: somebody who is in no other."""
    return PurePosixPath(path).with_suffix("").as_posix()


def _video(place: Place, path: str, label: Label, values: dict[str, str], where: str, people: dict[str, str]) -> Video:
    """A row's video; a fake of whom nobody says who is in it shows whom its original shows (`people` by path)."""
    split = values.get("split", "").casefold()
    if split not in _SPLITS:
        raise UserError(f"{where}: the split is {values['split']}", f"one of: {', '.join(SPLITS)}, or nothing")
    method = values.get("method", "")
    if label == "fake" and method == ORIGINAL:
        raise UserError(f"{where}: a fake whose method is {ORIGINAL}", "name the method, or leave it empty")
    original, mask = (_inside(place, values[of], where) if values.get(of) else None for of in ("original", "mask"))
    if mask and not is_there(place.base / mask):
        place.missing[mask], mask = place.root.name, None
    compression = values.get("compression") or UNKNOWN
    shown = original if original and label == "fake" else path
    return Video(
        path=path,
        label=label,
        method=ORIGINAL if label == "real" else method or UNKNOWN,
        compression=QUALITIES.get(compression, compression),
        identity=values.get("identity") or (people.get(shown) or _named_by(shown)),
        source=(values.get("source") or None) if label == "fake" else None,
        split=_SPLITS[split],
        mask=mask,
        original=original if label == "fake" else None,
        dataset=values.get("dataset") or place.base.resolve().name,
    )


def _check_columns(place: Place, columns: list[str]) -> None:
    if {"frame", "landmarks"} <= set(columns):
        raise UserError(f"{place.root}: a manifest already", "give it to `dfgame train` or `dfgame evaluate`")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UserError(f"{place.root}, line 1: no column {' and '.join(missing)}", f"it has: {', '.join(columns)}")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise UserError(f"{place.root}, line 1: two columns {', '.join(twice)}", "name each column once")
    place.note_each(set(columns) - {*REQUIRED, *OPTIONAL}, "columns passed over, their names are not known")


def _read_csv(path: Path) -> tuple[list[str], Iterator[Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(f"{path}, line {reader.line_num}", [value.strip() for value in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    columns = lines[0][1] if lines else []
    for where, row in lines:
        if len(row) != len(columns):
            raise UserError(f"{where}: {len(row)} values for {len(columns)} columns", "quote values that hold commas")
    return columns, ((where, dict(zip(columns, row, strict=True))) for where, row in lines[1:])


def _read_parquet(path: Path) -> tuple[list[str], Iterator[Row]]:
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    columns = table.schema.names
    known = [table.column(number).to_pylist() for number in range(table.num_columns)]
    rows = enumerate(zip(*known, strict=True), start=1)
    return columns, (
        (f"{path}, row {number}", {name: _text(value) for name, value in zip(columns, row, strict=True)})
        for number, row in rows
    )


def _text(value: Any) -> str:
    """A value as a CSV file has it; the numbers of labels are whole."""
    whole = isinstance(value, bool | float) and value in (0, 1)
    return "" if value is None else str(int(value) if whole else value).strip()


def _inside(place: Place, value: str, where: str) -> str:
    """A path as it is in a Video."""
    path = PurePosixPath(os.path.normpath(value.replace("\\", "/") or "."))
    bases = (place.base.absolute().as_posix(), place.base.resolve().as_posix())
    path = next((path.relative_to(base) for base in bases if path.is_relative_to(base)), path)
    if not path.parts or path.is_absolute() or path.parts[0] == "..":
        told = f"{where}: {value or 'no path'} is not below {place.base}"
        raise UserError(told, "write paths relative to the table's folder")
    return path.as_posix()


def _told_by_folder(path: str) -> Label | None:
    """The label that the names of the folders tell, the innermost first; None where they do not, or tell both."""
    for part in reversed(PurePosixPath(path).parts[:-1]):
        words = set(part.casefold().replace("-", "_").replace(" ", "_").split("_"))
        told: list[Label] = [label for label in LABELS if words & _WORDS[label]]
        if told:
            return told[0] if len(told) == 1 else None
    return None
