"""Videos -> face crops and their manifest: find, follow, cut out, write down.

One job a video. A finished video leaves a record in OUT/.extract; the manifest is put together from the records, so a
call that was killed goes on where it was, and the manifest depends on the data and the settings only: not on the
workers or on earlier calls. Several data sets may share an OUT: each call adds its own, or brings it up to date.
"""

import errno
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from dfgame import __version__
from dfgame.config import ExtractConfig
from dfgame.datasets import DataSet, find_data, folder, photographs
from dfgame.extract.job import ExtractJob, extract_video, make_jobs
from dfgame.extract.records import (
    MAIN,
    MANIFEST,
    RECORDS,
    claim,
    is_done,
    keep_detector,
    read_record,
    read_source,
    reason,
    with_video,
    write_source,
)
from dfgame.faces.detect import default_detector, detector_facts
from dfgame.faces.sample import spread
from dfgame.files import held_folder, read_json, write_json
from dfgame.jobs import console, run_jobs
from dfgame.manifest import SCHEMA, write_manifest
from dfgame.records import Failure, UserError

__all__ = [
    "FAILURES",
    "MANIFEST",
    "TRACKS",
    "ExtractJob",
    "ExtractReport",
    "extract_faces",
    "extract_video",
    "make_jobs",
    "report_failures",
    "spread",
    "summary",
]

FAILURES = "failures.json"
TRACKS = "tracks.parquet"
"""With `--tracks all`, the faces beside the one a video is about: a table like the manifest, for other uses than
training, since in a fake they are as a rule real."""
_TAKES_ALL = (folder.NAME, photographs.NAME)
"""Layouts that take every picture below their root for one of theirs."""
_OF_FAILURE = ("dataset", "label", "method", "compression", "split")


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did.

    The manifest and its table, the videos of this call that failed wholly or in part, what is to be said of the data,
    how many videos show several faces, how many (pictures aside) have fewer frames than asked for, and how many
    frames this call looked at in how many seconds.
    """

    manifest: Path
    table: pa.Table
    failures: list[Failure]
    notes: list[str]
    several_faces: int
    fewer_frames: int
    new_frames: int
    seconds: float


def extract_faces(root: Path, out: Path, config: ExtractConfig) -> ExtractReport:
    """Cut the faces out of every wanted video of a data set; writes OUT/manifest.parquet and OUT/failures.json.

    What an earlier call did with the same settings is kept; videos that failed or have changed are done again. Other
    data sets that earlier calls put into OUT stay in its manifest.

    Raises:
        UserError: ROOT is no data set, no video is wanted, there is no face detector, or OUT cannot be written, is
            being written, was made with other settings or another version of the detector, or is on a full disk.
    """
    data = _named(find_data(root, config.layout or None, config.splits, config.build_splits), config.name)
    jobs = make_jobs(data.root, out, data.videos, config)
    if not jobs:
        raise UserError(f"{root}: no video is left of {len(data.videos)}", "see --methods and --compressions")
    for flag, asked, there in (
        ("--methods", config.methods, {video.method for video in data.videos}),
        ("--compressions", config.compressions, {job.video.compression for job in jobs}),
    ):
        if strange := sorted({*asked} - there):
            said = f"{flag} {' '.join(strange)}: no video is of it; there are {' '.join(sorted(there))}"
            console.print(said, soft_wrap=True)
    if not all(job.file.is_dir() for job in jobs):
        default_detector(config.min_score)
    if data.layout in _TAKES_ALL and out.resolve().is_relative_to(data.root.resolve()):
        raise UserError(f"{out}: is inside {data.root}, and would be read with it", "choose a folder beside it")
    try:
        with held_folder(out):
            return _extract(data, out, config)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(f"{out}: the disk is full", "make room and run the same command again") from None


def _named(data: DataSet, name: str) -> DataSet:
    """The data set under the name that the user gives it."""
    if not name:
        return data
    if len(data.names) > 1:
        raise UserError(f"--name {name}: {data.root} holds {' and '.join(data.names)}", "leave out --name")
    return replace(data, videos=[replace(video, dataset=name) for video in data.videos])


def _extract(data: DataSet, out: Path, config: ExtractConfig) -> ExtractReport:
    number = claim(out, data, config)
    below = f"data-{number}/" if number else ""
    jobs = make_jobs(data.root, out, data.videos, config, below)
    for left_over in (out / RECORDS / "videos").glob("*.work"):
        shutil.rmtree(left_over)
    started = time.monotonic()
    failures: dict[str, str] = {}
    new_frames = 0
    waiting = [job for job in jobs if not _is_done(job)]
    if not all(job.file.is_dir() for job in waiting):
        keep_detector(out, detector_facts())
    with closing(run_jobs(extract_video, waiting, config.workers, "extract")) as outcomes:
        for job, result in outcomes:
            if isinstance(result, Exception):
                failures[job.video.path] = reason(result, job.file)
            else:
                new_frames += result
    seconds = time.monotonic() - started
    rows, found = _rows_of(jobs, failures)
    told = {
        "facts": {
            "videos": len(jobs),
            "cut_elsewhere": sum(job.file.is_dir() for job in jobs),
            "fewer_frames": found.fewer_frames,
        },
        "failures": [_told(job, failures[job.video.path]) for job in jobs if job.video.path in failures],
        "without_crops": [
            _told(job, _kind_of_failure(failures.get(job.video.path, "")))
            for job in jobs
            if job.video.path in found.without
        ],
    }
    before = read_source(out, number)
    gone = set(before[0]["video"].to_pylist()) - set(rows["video"].to_pylist()) if before else ()
    if gone:
        console.print(
            f"{out / MANIFEST}: {len(gone):,} videos of an earlier call are no longer in it; to have them together, "
            "name all --compressions and --methods in one call",
            soft_wrap=True,
        )
    write_source(out, number, rows, told)
    table = _put_together(out, config)
    failed = [Failure(entry["path"], entry["reason"]) for entry in told["failures"]]
    return ExtractReport(
        manifest=out / MANIFEST,
        table=table,
        failures=sorted(failed, key=lambda failure: failure.path),
        notes=data.notes,
        several_faces=found.several_faces,
        fewer_frames=found.fewer_frames,
        new_frames=new_frames,
        seconds=seconds,
    )


def _is_done(job: ExtractJob) -> bool:
    return is_done(job.record, job.file, job.root, job.video, None if job.file.is_dir() else job.out / job.crops)


@dataclass(slots=True)
class _Found:
    """What the records of a data set's videos say together: the videos without crops, and counts of others."""

    without: set[str] = field(default_factory=set)
    several_faces: int = 0
    fewer_frames: int = 0


def _rows_of(jobs: Sequence[ExtractJob], failures: dict[str, str]) -> tuple[pa.Table, _Found]:
    """Read the records; what was wrong with a part of a video is added to the failures."""
    found = _Found()
    tables = [SCHEMA.empty_table().append_column(MAIN, pa.array([], pa.bool_()))]
    for job in jobs:
        record = read_record(job.record)
        if record is None:
            found.without.add(job.video.path)
            continue
        rows, facts = record
        if facts["problem"]:
            failures[job.video.path] = f"only in part, {rows.num_rows} crops: {facts['problem']}"
        adopted = job.file.is_dir()
        found.several_faces += facts["faces"] > 1
        found.fewer_frames += 1 < facts["looked_at"] < job.config.frames and not facts["problem"]
        main = [adopted or track < facts["main"] for track in rows["track"].to_pylist()]
        tables.append(with_video(rows, job.video, facts["sha256"]).append_column(MAIN, pa.array(main, pa.bool_())))
    return pa.concat_tables(tables), found


def _kind_of_failure(why: str) -> str:
    """What the manifest says of a video without crops: that there is no face in it, or that it cannot be read."""
    return "no face" if why.startswith("no face in") else "unreadable"


def _told(job: ExtractJob, why: str) -> dict[str, Any]:
    facts = {name: getattr(job.video, name) for name in _OF_FAILURE}
    return {"path": job.video.path, "reason": why} | facts


def _put_together(out: Path, config: ExtractConfig) -> pa.Table:
    """Write the manifest and the failures of all data sets in OUT; returns the manifest's table."""
    settings = read_json(out / RECORDS / "settings.json")
    tables, failures, without, sources = [], [], Counter(), []
    for number, source in enumerate(settings["sources"]):
        finished = read_source(out, number)
        if finished is not None:
            tables.append(finished[0])
            failures += finished[1]["failures"]
            without.update(
                (*(entry[name] for name in _OF_FAILURE), entry["reason"]) for entry in finished[1]["without_crops"]
            )
            sources.append(source | finished[1]["facts"])
    order = [(name, "ascending") for name in ("video", "frame", "track")]
    table = pa.concat_tables(tables).sort_by(order)
    of_main = table[MAIN].to_numpy()
    main, others = (table.filter(pa.array(rows)).drop_columns(MAIN) for rows in (of_main, ~of_main))
    made_by = {
        "version": __version__,
        **_cutting(settings["settings"], settings.get("detector") or detector_facts(), sources),
        "sources": sources,
        "failures": [
            dict(zip((*_OF_FAILURE, "reason"), key, strict=True)) | {"videos": count}
            for key, count in sorted(without.items(), key=str)
        ],
    }
    write_json(out / FAILURES, sorted(failures, key=lambda entry: (entry["dataset"], entry["path"])))
    if config.tracks == "all":
        write_manifest(out / TRACKS, others, made_by)
    write_manifest(out / MANIFEST, main, made_by)
    return main


def _cutting(settings: dict[str, Any], detector: dict[str, Any], sources: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How the crops were made, as far as it is known: nothing is known where some were cut out elsewhere."""
    if not any(source["cut_elsewhere"] for source in sources):
        return {"settings": settings, "detector": detector}
    unknown = dict.fromkeys(("size", "margin", "alignment", "min_score", "detect_every"))
    return {"settings": settings | unknown, "detector": None}


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
