"""What a finished video leaves behind, and what a data set leaves in OUT: so that any call can go on.

OUT/.extract/settings.json       the settings that all data sets in OUT share, and where each of them lies
OUT/.extract/videos/HASH.parquet a video: its crops, what its file looked like, what was wrong with it
OUT/.extract/data-0.parquet      a data set: its part of the manifest and, marked, of the table of other faces
OUT/.extract/data-0.json         and its failures
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfgame import __version__
from dfgame.config import ExtractConfig, to_dict
from dfgame.datasets import DataSet
from dfgame.files import atomic_path, read_json, sha256, write_json
from dfgame.manifest import METADATA_KEY, SCHEMA
from dfgame.media import MediaError
from dfgame.records import UserError, Video

MANIFEST = "manifest.parquet"
RECORDS = ".extract"
MAIN = "main"
"""Column of a data set's rows: whether the face is the one that the video is about."""
OF_VIDEO = ("video", "dataset", "label", "method", "compression", "identity", "source", "split", "sha256")
"""Columns that are the video's, filled in when the manifest is put together: labels and splits may be mended."""
_RECORD_SCHEMA = pa.schema([column for column in SCHEMA if column.name not in OF_VIDEO])
_OF_ONE_CALL = {"workers", "compressions", "methods", "qualities", "layout", "splits", "build_splits", "name"}
"""Settings that choose among videos or say what they are: the crops do not depend on them."""


def record_path(out: Path, video: Video) -> Path:
    """Where a video's record is."""
    return out / RECORDS / "videos" / f"{short_hash(video.name)}.parquet"


def short_hash(text: str) -> str:
    """A name for what has a long name."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def facts_of_file(path: Path) -> dict[str, Any]:
    """What a record keeps of a file: its size, when it changed, and the hash of its content (None of a folder)."""
    stat = path.stat()
    content = sha256(path) if path.is_file() else None
    return {"size": stat.st_size, "changed": stat.st_mtime_ns, "sha256": content}


def write_record(path: Path, rows: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Leave a video's record, whole or not at all."""
    schema = _RECORD_SCHEMA.with_metadata({METADATA_KEY: json.dumps(facts)})
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)


def read_record(path: Path) -> tuple[pa.Table, dict[str, Any]] | None:
    """A finished video's rows and facts; None where there is no record, or half of one after a power cut."""
    try:
        table = pq.ParquetFile(path).read()
    except (FileNotFoundError, pa.ArrowInvalid, OSError):
        return None
    return table.replace_schema_metadata(None), json.loads(table.schema.metadata[METADATA_KEY])


def facts_beside(root: Path, video: Video) -> dict[str, Any]:
    """What a record keeps of what its crops depend on beside the file: mask, original, and the pictures of a list."""
    mask, original = (_stamp(root / name) if name else None for name in (video.mask, video.original))
    pictures = short_hash("\n".join(video.crops)) if video.crops else None
    return {"mask": mask, "original": original, "pictures": pictures}


def is_done(record: Path, file: Path, root: Path, video: Video, crops: Path | None) -> bool:
    """Whether the file, what its crops depend on beside it, and the crops are as when it was read to its end.

    An original says which of several faces was altered; of one face it says nothing. `crops` is the folder that its
    crops are to be in; None of pictures that stay where they are.
    """
    found = read_record(record)
    if found is None or found[1]["problem"] or not file.exists():
        return False
    names = [PurePosixPath(path) for path in found[0]["path"].to_pylist()]
    if crops is not None and not _are_there(names, crops, found[1].get("ends")):
        return False
    before, now = found[1].get("beside"), facts_beside(root, video)
    if before and found[1]["faces"] < 2:
        now["original"] = before["original"]
    return [found[1]["size"], found[1]["changed"]] == _stamp(file) and before == now


def ends_of(files: Sequence[Path]) -> list[int]:
    """The lengths of the first and the last crop, by which they are told from those of a video of the same name."""
    return [files[place].stat().st_size for place in (0, -1)]


def _are_there(names: Sequence[PurePosixPath], crops: Path, ends: list[int] | None) -> bool:
    if not crops.is_dir() or not {name.name for name in names} <= {path.name for path in crops.iterdir()}:
        return False
    ours = all(crops.as_posix().endswith(f"/{name.parent}") for name in names)
    return ours and ends in (None, ends_of([crops / name.name for name in names]))


def _stamp(path: Path) -> list[int] | None:
    """Size, and when it changed; None where it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def with_video(rows: pa.Table, video: Video, content: str | None) -> pa.Table:
    """A record's rows as the manifest has them."""
    facts = {name: getattr(video, name) for name in OF_VIDEO if name not in ("video", "sha256")}
    facts |= {"video": video.name, "sha256": content}
    columns = [
        pa.repeat(pa.scalar(facts[field.name], field.type), rows.num_rows) if field.name in facts else rows[field.name]
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def reason(error: Exception, path: Path) -> str:
    """Why a video failed, in a line that does not name it."""
    if isinstance(error, MediaError) and error.reason:
        return error.reason
    known = isinstance(error, UserError | RuntimeError)
    message = str(error) if known else f"{type(error).__name__}: {error}"
    return message.removeprefix(f"{path}: ")


def claim(out: Path, data: DataSet, config: ExtractConfig) -> int:
    """Mark OUT as made with these settings; returns the number that this data set has among those in OUT.

    Raises:
        UserError: OUT was made with other settings, or by somebody else, or another data set there has videos of the
            same names.
    """
    path = out / RECORDS / "settings.json"
    if not path.is_file() and (out / MANIFEST).exists():
        raise UserError(f"{out}: holds a manifest that was not made here", "choose another folder as OUT")
    settings = {key: value for key, value in to_dict(config).items() if key not in _OF_ONE_CALL}
    before = read_json(path) if path.is_file() else {"settings": settings, "sources": []}
    changed = [
        f"{name} was {before['settings'].get(name)} and is now {settings[name]}"
        for name in settings
        if settings[name] != before["settings"].get(name)
    ]
    if changed:
        raise UserError(
            f"{out}: was made with other settings: {', '.join(changed)}",
            "give the same settings, or another folder as OUT",
        )
    roots = [source["root"] for source in before["sources"]]
    source = {"root": str(data.given.resolve()), "layout": data.layout, "datasets": list(data.names)}
    number = roots.index(source["root"]) if source["root"] in roots else len(roots)
    _refuse_same_names(out, data, [n for n in range(len(roots)) if n != number], roots)
    sources = [*before["sources"][:number], source, *before["sources"][number + 1 :]]
    write_json(path, before | {"version": __version__, "settings": settings, "sources": sources})
    return number


def keep_detector(out: Path, detector: dict[str, str]) -> None:
    """Write down what finds the faces of OUT, which is one detector for all of them.

    Raises:
        UserError: faces in OUT were found by another one, or by another version of it.
    """
    path = out / RECORDS / "settings.json"
    settings = read_json(path)
    before = settings.get("detector")
    if before is None:
        write_json(path, settings | {"detector": detector})
    elif before != detector:
        first, now = (f"{one['name']} {one['version']}" for one in (before, detector))
        raise UserError(
            f"{out}: its faces were found by {first}, and {now} is installed",
            f"install {first}, or give another folder as OUT",
        )


def _refuse_same_names(out: Path, data: DataSet, others: Sequence[int], roots: Sequence[str]) -> None:
    names = {video.name for video in data.videos}
    for number in others:
        found = read_source(out, number)
        same = names & set(found[0]["video"].to_pylist()) if found else set()
        if same:
            raise UserError(
                f"{data.given}: {out} has a video named {min(same)} already, from {roots[number]}",
                "give this data set a name of its own with --name",
            )


def write_source(out: Path, number: int, table: pa.Table, told: dict[str, Any]) -> None:
    """Leave a data set's rows, those of other faces among them, and what is to be told of it."""
    with atomic_path(out / RECORDS / f"data-{number}.parquet") as temporary:
        pq.write_table(table, temporary)
    write_json(out / RECORDS / f"data-{number}.json", told)


def read_source(out: Path, number: int) -> tuple[pa.Table, dict[str, Any]] | None:
    """A data set's rows, and what is to be told of it; None where it was never finished."""
    path = out / RECORDS / f"data-{number}.parquet"
    if not (path.is_file() and path.with_suffix(".json").is_file()):
        return None
    return pq.ParquetFile(path).read(), read_json(path.with_suffix(".json"))
