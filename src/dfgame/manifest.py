"""The table of face crops, one row a crop. Everything after extraction reads only this."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfgame.files import atomic_path
from dfgame.records import LABELS, ORIGINAL, Split, UserError

METADATA_KEY = b"dfgame"
"""Under this key the Parquet schema holds, as JSON, how the table was made."""

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("video", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("time", pa.float64(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("compression", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("split", pa.string()),
        *(pa.field(side, pa.float32(), nullable=False) for side in ("left", "top", "right", "bottom")),
        pa.field("landmarks", pa.list_(pa.float32(), 10), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("track", pa.int16(), nullable=False),
        pa.field("mask", pa.string()),
        pa.field("sha256", pa.string()),
    ]
)
"""Columns of a manifest.

- `path`: the crop, relative to the manifest's folder; of one that was cut out elsewhere, from the root of the disk.
- `video`: the data set's name and the path in its root; it is the video's name everywhere, unique in the table.
- `dataset`: the data set's published name.
- `frame`: its number from 0; `time`: its time stamp in seconds.
- `method`: `original` for a real video.
- `identity`, `source`: the target and the source person.
- `left` to `bottom`: the face's box in pixels of the upright frame.
- `landmarks`: x, y of left eye, right eye, nose, left and right mouth corner, in the same pixels.
- `score`: the face detector's confidence; `track`: the number of the face among those of the video.
- `mask`: the crop of the altered region, white, where the data set has masks; as `path`.
- `sha256`: of the video's file, so that a copy under another name is known.

`source`, `split`, `mask` and `sha256` may be missing, as values or as columns.
"""


def write_manifest(path: Path, table: pa.Table, made_by: dict[str, Any]) -> None:
    """Write a manifest, whole or not at all; `made_by` says how it was made and is kept inside.

    Raises:
        ValueError: the table's columns are not SCHEMA's.
    """
    if table.schema.names != SCHEMA.names:
        raise ValueError(f"columns {table.schema.names} are not a manifest's")
    metadata = {METADATA_KEY: json.dumps(made_by, sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(table.cast(SCHEMA).replace_schema_metadata(metadata), temporary, compression="zstd")


def read_manifest(path: Path, further: Sequence[str] = ()) -> pa.Table:
    """Read a manifest: SCHEMA's columns and these further ones, whatever others there are.

    Raises:
        UserError: the file is missing, is not Parquet, lacks columns of a manifest, or holds in one what cannot
            be there.
    """
    remedy = "`dfgame extract` writes manifests"
    if not path.is_file():
        raise UserError(f"{path}: no such file", remedy)
    try:
        table = pq.ParquetFile(path).read()  # read_table would take a folder named a=b for a column
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})", remedy) from None
    for field in SCHEMA:
        if field.nullable and field.name not in table.schema.names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    missing = [name for name in SCHEMA.names if name not in table.schema.names]
    if missing:
        raise UserError(f"{path}: not a manifest, it has no column {', '.join(missing)}", remedy)
    absent = [name for name in further if name not in table.schema.names]
    if absent:
        there = ", ".join(name for name in table.schema.names if name not in SCHEMA.names) or "none but the usual ones"
        raise UserError(f"{path}: there is no column {', '.join(absent)}", f"further columns there: {there}")
    columns = [_typed(table[field.name], field, path) for field in SCHEMA]
    labels = sorted(set(table["label"].to_pylist()) - set(LABELS))
    if labels:
        raise UserError(f"{path}: labels {', '.join(labels)}", f"a label is one of: {', '.join(LABELS)}")
    found = pa.table(columns, schema=SCHEMA.with_metadata(table.schema.metadata))
    for name in further:
        if name not in SCHEMA.names:
            found = found.append_column(name, table[name])
    return found


def _typed(column: pa.ChunkedArray, field: pa.Field, path: Path) -> pa.ChunkedArray:
    """The column as SCHEMA has it; text is never read as numbers."""
    try:
        if column.type in (pa.string(), pa.large_string()) and field.type != pa.string():
            raise pa.ArrowInvalid("it holds text")
        if column.null_count and not field.nullable:
            raise pa.ArrowInvalid(f"{column.null_count} values are missing")
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path}: column {field.name} is not {field.type} ({reason})", "`dfgame extract` writes manifests"
        ) from None


def made_by(table: pa.Table) -> dict[str, Any]:
    """How a manifest was made, as its writer said; empty where nothing is said."""
    return json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))


def select(
    table: pa.Table,
    split: Split | None = None,
    methods: Collection[str] = (),
    compressions: Collection[str] = (),
) -> pa.Table:
    """The rows of a split, of these manipulation methods and qualities; an empty choice is all of them.

    `methods` chooses among the fakes only: the real rows always stay.
    """
    keep = np.ones(table.num_rows, bool)
    if split is not None:
        keep &= _column(table, "split") == split
    if methods:
        keep &= (_column(table, "label") == "real") | np.isin(_column(table, "method"), list(methods))
    if compressions:
        keep &= np.isin(_column(table, "compression"), list(compressions))
    return table.filter(pa.array(keep))


def evenly(table: pa.Table, frames: int) -> pa.Table:
    """At most `frames` rows of each video, spread evenly over its frames; 0 is all of them."""
    if not frames:
        return table
    videos = np.array(table["video"].to_pylist(), np.str_)
    in_order = np.lexsort((table["frame"].to_numpy(), videos))
    _, starts = np.unique(videos[in_order], return_index=True)
    kept = [
        of_video[np.linspace(0, len(of_video) - 1, min(frames, len(of_video))).round().astype(int)]
        for of_video in np.split(in_order, starts[1:])
    ]
    return table.take(np.sort(np.concatenate(kept)))


def _column(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.array(["" if value is None else value for value in table[name].to_pylist()], dtype=np.str_)


def check_choice(table: pa.Table, methods: Sequence[str], compressions: Sequence[str], source: Path | str) -> None:
    """Refuse methods and qualities that the table, read from `source`, does not have.

    Raises:
        UserError: names them, and what there is.
    """
    for column, asked in (("method", methods), ("compression", compressions)):
        there = sorted(set(table.column(column).to_pylist()) - {ORIGINAL})
        missing = [name for name in asked if name not in there]
        if missing:
            raise UserError(
                f"--{column}s {' '.join(missing)}: not in {source}", f"it has: {', '.join(there) or 'none'}"
            )


def check_leaks(table: pa.Table) -> None:
    """Refuse a table in which a person, as target or as source, or the same file is in two splits.

    Raises:
        UserError: names the first such people or videos.
    """
    people: dict[tuple[str, str], set[str]] = {}
    for column in ("identity", "source"):
        found = table.group_by(["dataset", column, "split"]).aggregate([])
        columns = (found[name].to_pylist() for name in ("dataset", column, "split"))
        for dataset, person, split in zip(*columns, strict=True):
            if person is not None and split is not None:
                people.setdefault((dataset, person), set()).add(split)
    leaks = sorted(person for (_, person), of_person in people.items() if len(of_person) > 1)
    if leaks:
        raise UserError(
            f"people are in two splits: {_first(leaks)}", "split by person: see the data set's splits/*.json"
        )
    files: dict[str, dict[str, str]] = {}
    found = table.group_by(["sha256", "split", "video"]).aggregate([])
    for content, split, video in zip(*(found[name].to_pylist() for name in ("sha256", "split", "video")), strict=True):
        if content is not None and split is not None:
            files.setdefault(content, {})[split] = video
    copies = sorted(min(of_file.values()) for of_file in files.values() if len(of_file) > 1)
    if copies:
        raise UserError(f"copies of a video are in two splits: {_first(copies)}", "`dfgame doctor` names all of them")


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
