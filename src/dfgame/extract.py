"""Videos -> face crops and their manifest: find, follow, cut out, write down.

One job a video. A finished video leaves a record in OUT/.extract: a small table of its crops, what the file looked
like, and what was wrong with it. The manifest is put together from the records, so a call that was killed goes on
where it was, and the manifest depends on ROOT and the settings only: not on the workers or on earlier calls.
"""

import errno
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfgame import __version__
from dfgame.config import ExtractConfig, to_dict
from dfgame.datasets import find_videos
from dfgame.faces.detect import FaceDetector, default_detector
from dfgame.faces.video import FoundFace, VideoFaces, find_faces, square_cropper
from dfgame.files import atomic_path, read_json, writable_folder, write_json
from dfgame.jobs import console, run_jobs
from dfgame.manifest import METADATA_KEY, SCHEMA, write_manifest
from dfgame.media import MediaError, count_frames
from dfgame.records import Failure, UserError, Video

MANIFEST = "manifest.parquet"
FAILURES = "failures.json"
_RECORDS = ".extract"
_OF_VIDEO = ("video", "dataset", "label", "method", "compression", "identity", "source", "split")
"""Columns that are the video's, filled in when the manifest is put together: labels and splits may be mended."""
_RECORD_SCHEMA = pa.schema([column for column in SCHEMA if column.name not in _OF_VIDEO])
_FREE_TO_CHANGE = {"workers", "compressions", "methods"}


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did.

    The manifest and its table, the videos that failed wholly or in part, how many videos show several faces, and
    how many frames this call looked at in how many seconds.
    """

    manifest: Path
    table: pa.Table
    failures: list[Failure]
    several_faces: int
    new_frames: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ExtractJob:
    """One video to do: `crops` is the folder of its crops, relative to `out`."""

    root: Path
    out: Path
    crops: str
    video: Video
    config: ExtractConfig

    @property
    def record(self) -> Path:
        """Where its record is."""
        return self.out / _RECORDS / f"{_short_hash(self.video.path)}.parquet"


def extract_faces(root: Path, out: Path, config: ExtractConfig) -> ExtractReport:
    """Cut the faces out of every wanted video of a data set; writes OUT/manifest.parquet and OUT/failures.json.

    What an earlier call did with the same settings is kept; videos that failed or have changed are done again.

    Raises:
        UserError: ROOT is no data set, no video is wanted, there is no face detector, or OUT cannot be written, was
            made with other settings, or is on a full disk.
    """
    dataset, videos = find_videos(root)
    jobs = [job for job in make_jobs(root, out, videos, config) if _is_wanted(job.video, config)]
    if not jobs:
        raise UserError(f"{root}: no video is left of {len(videos)}", "see --methods and --compressions")
    default_detector(config.min_score)
    writable_folder(out)
    try:
        return _extract(jobs, dataset)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(f"{out}: the disk is full", "make room and run the same command again") from None


def _extract(jobs: Sequence[ExtractJob], dataset: str) -> ExtractReport:
    root, out, config = jobs[0].root, jobs[0].out, jobs[0].config
    settings = {key: value for key, value in to_dict(config).items() if key != "workers"}
    made_by = {"version": __version__, "dataset": dataset, "root": str(root.resolve()), "settings": settings}
    _claim(out, made_by)
    for left_over in (out / _RECORDS).glob("*.work"):
        shutil.rmtree(left_over)
    started = time.monotonic()
    failures: dict[str, str] = {}
    new_frames = 0
    waiting = [job for job in jobs if not _is_done(job)]
    with closing(run_jobs(extract_video, waiting, config.workers, "extract")) as outcomes:
        for job, result in outcomes:
            if isinstance(result, Exception):
                failures[job.video.path] = _reason(result, root / job.video.path)
            else:
                new_frames += result
    tables, several = [SCHEMA.empty_table()], 0
    for job in jobs:
        record = _read_record(job)
        if record is not None:
            rows, facts = record
            tables.append(_with_video(rows, job.video, dataset))
            several += facts["faces"] > 1
            if facts["problem"]:
                failures[job.video.path] = f"only in part, {rows.num_rows} crops: {facts['problem']}"
    table = pa.concat_tables(tables).sort_by([("video", "ascending"), ("frame", "ascending")])
    failed = [Failure(path, reason) for path, reason in sorted(failures.items())]
    write_json(out / FAILURES, [{"path": f.path, "reason": f.reason} for f in failed])
    write_manifest(out / MANIFEST, table, made_by)
    return ExtractReport(out / MANIFEST, table, failed, several, new_frames, time.monotonic() - started)


def make_jobs(root: Path, out: Path, videos: Sequence[Video], config: ExtractConfig) -> list[ExtractJob]:
    """A job for each video. Its crops go to `Deepfakes_c23/001_870`, as the reference's list files name them.

    Videos that would share such a folder (in plain folders, names repeat) get their path's hash added.
    """
    names = [f"{video.method}_{video.compression}/{Path(video.path).stem}" for video in videos]
    uses = Counter(name.casefold() for name in names)
    folders = [
        name if uses[name.casefold()] == 1 else f"{name}-{_short_hash(video.path)[:8]}"
        for name, video in zip(names, videos, strict=True)
    ]
    return [ExtractJob(root, out, crops, video, config) for crops, video in zip(folders, videos, strict=True)]


def extract_video(job: ExtractJob) -> int:
    """Cut the faces out of one video, and leave its record; returns the number of frames looked at.

    Raises:
        MediaError: it cannot be read at all, or no face was found.
        OSError: a crop cannot be written.
    """
    path = job.root / job.video.path
    job.record.unlink(missing_ok=True)
    work = job.record.with_suffix(f".{os.getpid()}.work")
    work.mkdir(parents=True)
    try:
        looked_like = _looks_like(path)
        indices = spread(count_frames(path), job.config.frames)
        cut_out = square_cropper(job.config.margin, job.config.size)
        faces = find_faces(path, indices, _detector(job.config.min_score), cut_out, work)
        shots = faces.main()
        if not shots:
            raise faces.problem or MediaError(f"{path}: no face in {faces.frames} frames")
        rows = [_row(job, number, found) for number, shot in enumerate(shots) for found in shot]
        _put_in_place(job, [found.file for shot in shots for found in shot], rows, work)
        _write_record(job, rows, _facts(faces, path) | looked_like)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return faces.frames


def spread(total: int, wanted: int) -> list[int]:
    """The numbers of `wanted` frames spread evenly over `total`, the first and the last among them."""
    if total <= wanted:
        return list(range(total))
    return [round(number * (total - 1) / max(wanted - 1, 1)) for number in range(wanted)]


@cache
def _detector(min_score: float) -> FaceDetector:
    return default_detector(min_score)


def _row(job: ExtractJob, shot: int, found: FoundFace) -> dict[str, Any]:
    stem = Path(job.video.path).stem
    sides = dict(zip(("left", "top", "right", "bottom"), found.face.box, strict=True))
    return sides | {
        "path": f"{job.crops}/{stem}_{found.frame:06d}_{shot}.png",
        "frame": found.frame,
        "time": found.time,
        "landmarks": [value for point in found.face.points for value in point],
        "score": found.face.score,
        "track": shot,
    }


def _put_in_place(job: ExtractJob, files: Sequence[Path], rows: Sequence[dict[str, Any]], work: Path) -> None:
    """Move the chosen crops, all at once, to the video's folder, in the place of what an earlier call left there."""
    chosen = work / "chosen"
    chosen.mkdir()
    for file, row in zip(files, rows, strict=True):
        file.rename(chosen / Path(row["path"]).name)
    folder = job.out / job.crops
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    chosen.rename(folder)


def _facts(faces: VideoFaces, path: Path) -> dict[str, Any]:
    """What the record says beside the crops: the most faces at one moment, and why the video ended early."""
    moments = Counter(found.frame for track in faces.found.values() for found in track)
    return {"faces": max(moments.values()), "problem": _reason(faces.problem, path) if faces.problem else None}


def _looks_like(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "changed": stat.st_mtime_ns}


def _write_record(job: ExtractJob, rows: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    schema = _RECORD_SCHEMA.with_metadata({METADATA_KEY: json.dumps(facts)})
    with atomic_path(job.record) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)


def _read_record(job: ExtractJob) -> tuple[pa.Table, dict[str, Any]] | None:
    """A finished video's rows and facts; None where there is no record, or half of one after a power cut."""
    try:
        table = pq.ParquetFile(job.record).read()
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    return table.replace_schema_metadata(None), json.loads(table.schema.metadata[METADATA_KEY])


def _is_done(job: ExtractJob) -> bool:
    """Whether the video as it is now was read to its end."""
    record = _read_record(job)
    if record is None or record[1]["problem"]:
        return False
    return record[1].items() >= _looks_like(job.root / job.video.path).items()


def _with_video(rows: pa.Table, video: Video, dataset: str) -> pa.Table:
    facts = {name: getattr(video, name) for name in _OF_VIDEO if name not in ("video", "dataset")}
    facts |= {"video": video.path, "dataset": dataset}
    columns = [
        pa.repeat(pa.scalar(facts[field.name], field.type), rows.num_rows) if field.name in facts else rows[field.name]
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def _is_wanted(video: Video, config: ExtractConfig) -> bool:
    return (not config.compressions or video.compression in config.compressions) and (
        not config.methods or video.method in config.methods
    )


def _claim(out: Path, made_by: dict[str, Any]) -> None:
    """Mark OUT as made with these settings, or refuse it where it was made with others, or by somebody else."""
    path = out / _RECORDS / "settings.json"
    if not path.is_file():
        if (out / MANIFEST).exists():
            raise UserError(f"{out}: holds a manifest that was not made here", "choose another folder as OUT")
        write_json(path, made_by)
        return
    before, now = (
        {"ROOT": made["root"]} | {key: made["settings"][key] for key in made["settings"] if key not in _FREE_TO_CHANGE}
        for made in (read_json(path), made_by)
    )
    changed = [
        f"{name} was {before.get(name)} and is now {now[name]}" for name in now if now[name] != before.get(name)
    ]
    if changed:
        raise UserError(
            f"{out}: was made with other settings: {', '.join(changed)}",
            "give the same settings, or another folder as OUT",
        )


def _reason(error: Exception, path: Path) -> str:
    known = isinstance(error, UserError | RuntimeError)
    message = str(error) if known else f"{type(error).__name__}: {error}"
    return message.removeprefix(f"{path}: ")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def summary(table: pa.Table) -> list[tuple[str, str, str, int, int]]:
    """(method, compression, split, videos, crops) of a manifest, sorted; a split that is not known is `-`."""
    keys = [table[name].to_pylist() for name in ("method", "compression", "split", "video")]
    crops = Counter(zip(*keys[:3], strict=True))
    videos = Counter(key[:3] for key in set(zip(*keys, strict=True)))
    return [(m, c, s or "-", videos[m, c, s], crops[m, c, s]) for m, c, s in sorted(crops, key=str)]


def report_failures(failures: list[Failure], where: Path, shown: int = 20) -> None:
    """List the failed inputs on stderr, the first ones by name, all of them in a file."""
    for failure in failures[:shown]:
        console.print(f"failed: {failure.path}: {failure.reason}", soft_wrap=True)
    if failures:
        rest = f", {len(failures) - shown} not shown" if len(failures) > shown else ""
        console.print(f"{len(failures)} failed{rest}; all are in {where}", soft_wrap=True)
