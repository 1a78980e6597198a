"""Videos -> face crops and their manifest: find, follow, cut out, write down.

One job a video. A finished video leaves a small table in OUT/.extract, from which the manifest is put together at the
end; what has one is not done again, so a call that was killed goes on where it was.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfgame import __version__
from dfgame.config import ExtractConfig, to_dict
from dfgame.datasets import faceforensics, find_videos
from dfgame.faces.crop import crop_face
from dfgame.faces.detect import FaceDetector, default_detector
from dfgame.faces.track import area, follow, main_tracks
from dfgame.files import atomic_path, read_json, writable_folder, write_json
from dfgame.jobs import console, run_jobs
from dfgame.manifest import SCHEMA, write_manifest
from dfgame.media import Frame, MediaError, RgbImage, count_frames, read_frames
from dfgame.records import Face, Failure, UserError, Video

MANIFEST = "manifest.parquet"
MOST_FACES = 5
"""Faces of a frame that are kept until the tracks are known; the largest, so that memory stays bounded."""
_DONE = ".extract"
_FREE_TO_CHANGE = {"workers", "compressions", "methods"}


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did: the table, the videos that failed, and how fast it was."""

    manifest: Path
    table: pa.Table
    failures: list[Failure]
    new_frames: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Job:
    root: Path
    out: Path
    dataset: str
    video: Video
    config: ExtractConfig


def extract_faces(root: Path, out: Path, config: ExtractConfig) -> ExtractReport:
    """Cut the faces out of every video of a data set; writes OUT/manifest.parquet and OUT/failures.json.

    Raises:
        UserError: ROOT is no data set, OUT cannot be written or was made with other settings, or there is no face
            in any video.
    """
    dataset, videos = find_videos(root)
    if dataset == faceforensics.NAME and (root / "people.json").is_file():
        dataset = faceforensics.MINIATURE_NAME
    wanted = [video for video in videos if _is_wanted(video, config)]
    if not wanted:
        raise UserError(f"{root}: no video is left of {len(videos)}", "see --methods and --compressions")
    writable_folder(out)
    made_by = {
        "version": __version__,
        "dataset": dataset,
        "root": str(root.resolve()),
        "settings": to_dict(config),
    }
    _claim(out, made_by)
    jobs = [_Job(root, out, dataset, video, config) for video in wanted]
    waiting = [job for job in jobs if not _done_path(job).is_file()]
    started = time.monotonic()
    failures, new_frames = [], 0
    for job, result in run_jobs(extract_video, waiting, config.workers, "extract"):
        if isinstance(result, Exception):
            failures.append(Failure(job.video.path, _reason(result, root)))
        else:
            new_frames += result
    tables = [pq.read_table(path) for path in sorted((out / _DONE).glob("*.parquet"))]
    failures += _partial(tables)
    failures.sort(key=lambda failure: failure.path)
    write_json(out / "failures.json", [{"path": f.path, "reason": f.reason} for f in failures])
    if not tables:
        raise UserError(f"{root}: no face in any of {len(wanted)} videos", f"see {out / 'failures.json'}")
    table = pa.concat_tables([t.replace_schema_metadata(None) for t in tables])
    table = table.sort_by([("video", "ascending"), ("frame", "ascending")])
    write_manifest(out / MANIFEST, table, made_by)
    return ExtractReport(out / MANIFEST, table, failures, new_frames, time.monotonic() - started)


def extract_video(job: _Job) -> int:
    """Cut the faces out of one video; returns the number of frames looked at.

    Raises:
        MediaError: it cannot be read at all, or no face was found.
    """
    path = job.root / job.video.path
    total = count_frames(path)
    indices = spread(total, job.config.frames)
    frames, detections, crops, problem = _look(path, indices, job.config)
    tracks = main_tracks(follow(detections))
    if not tracks:
        raise problem or MediaError(f"{path}: no face in {len(frames)} frames")
    rows = []
    for number, track in enumerate(tracks):
        for position, face in zip(track.positions, track.faces, strict=True):
            crop = crops[position][detections[position].index(face)]
            rows.append(_write_crop(job, crop, frames[position], face, number))
    metadata = {b"problem": str(problem).removeprefix(f"{path}: ").encode()} if problem else None
    table = pa.Table.from_pylist(rows, schema=SCHEMA).replace_schema_metadata(metadata)
    with atomic_path(_done_path(job)) as temporary:
        pq.write_table(table, temporary)
    return len(frames)


def spread(total: int, wanted: int) -> list[int]:
    """The numbers of `wanted` frames spread evenly over `total`, the first and the last among them."""
    if total <= wanted:
        return list(range(total))
    return sorted({round(x) for x in np.linspace(0, total - 1, wanted)})


def _look(
    path: Path, indices: list[int], config: ExtractConfig
) -> tuple[list[Frame], list[list[Face]], list[list[RgbImage]], MediaError | None]:
    """Decode once; of each frame keep its number and time, its faces and their crops, not its pixels."""
    detect = _detector(config.min_score)
    frames, detections, crops = [], [], []
    nothing = np.empty((0, 0, 3), np.uint8)
    problem = None
    try:
        for frame in read_frames(path, frozenset(indices)):
            faces = sorted(detect(frame.image), key=lambda face: -area(face.box))[:MOST_FACES]
            detections.append(faces)
            crops.append([crop_face(frame.image, face, config.margin, config.size) for face in faces])
            frames.append(Frame(frame.index, frame.time, nothing))
    except MediaError as error:
        if not frames:
            raise
        problem = error
    return frames, detections, crops, problem


@cache
def _detector(min_score: float) -> FaceDetector:
    return default_detector(min_score)


def _write_crop(job: _Job, crop: RgbImage, frame: Frame, face: Face, track: int) -> dict[str, Any]:
    """Write a crop as PNG; returns its row of the manifest."""
    video = job.video
    path = f"{crop_folder(job.dataset, video)}/{Path(video.path).stem}_{frame.index:06d}_{track}.png"
    file = job.out / path
    file.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    file.write_bytes(encoded.tobytes())
    left, top, right, bottom = face.box
    return {
        "path": path,
        "video": video.path,
        "dataset": job.dataset,
        "frame": frame.index,
        "time": frame.time,
        "label": video.label,
        "method": video.method,
        "compression": video.compression,
        "identity": video.identity,
        "source": video.source,
        "split": video.split,
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
        "landmarks": [value for point in face.points for value in point],
        "score": face.score,
        "track": track,
    }


def crop_folder(dataset: str, video: Video) -> str:
    """Where a video's crops go: `Deepfakes_c23/001_870`, as the reference's list files name them.

    In other layouts two videos may share a file name, so there the whole path names the folder.
    """
    official = dataset in (faceforensics.NAME, faceforensics.MINIATURE_NAME)
    name = Path(video.path).stem if official else video.path.replace("/", "__")
    return f"{video.method}_{video.compression}/{name}"


def summary(table: pa.Table) -> list[tuple[str, str, str, int, int]]:
    """(method, compression, split, videos, crops) of a manifest, sorted."""
    keys = [table[name].to_pylist() for name in ("method", "compression", "split", "video")]
    crops = Counter(zip(*keys[:3], strict=True))
    videos = Counter(key[:3] for key in set(zip(*keys, strict=True)))
    return [(m, c, s or "-", videos[m, c, s], crops[m, c, s]) for m, c, s in sorted(crops, key=str)]


def _is_wanted(video: Video, config: ExtractConfig) -> bool:
    return (not config.compressions or video.compression in config.compressions) and (
        not config.methods or video.method in config.methods
    )


def _claim(out: Path, made_by: dict[str, Any]) -> None:
    """Mark OUT as made with these settings, or refuse it where it was made with others."""
    path = out / _DONE / "settings.json"
    if path.is_file():
        before = read_json(path)
        old = {k: v for k, v in before["settings"].items() if k not in _FREE_TO_CHANGE} | {"ROOT": before["root"]}
        new = {k: v for k, v in made_by["settings"].items() if k not in _FREE_TO_CHANGE} | {"ROOT": made_by["root"]}
        changed = [f"{name} was {old.get(name)}" for name in new if new[name] != old.get(name)]
        if changed:
            raise UserError(
                f"{out}: was made with other settings ({', '.join(changed)})",
                "give the same settings, or another folder as OUT",
            )
    else:
        write_json(path, made_by)


def _done_path(job: _Job) -> Path:
    name = hashlib.sha256(job.video.path.encode()).hexdigest()[:24]
    return job.out / _DONE / f"{name}.parquet"


def _partial(tables: Iterable[pa.Table]) -> list[Failure]:
    """The videos of which only a part could be read."""
    found = []
    for table in tables:
        problem = (table.schema.metadata or {}).get(b"problem")
        if problem is not None:
            reason = f"only a part was read, {table.num_rows} crops: {problem.decode()}"
            found.append(Failure(table["video"][0].as_py(), reason))
    return found


def _reason(error: Exception, root: Path) -> str:
    message = str(error) if isinstance(error, UserError | RuntimeError) else f"{type(error).__name__}: {error}"
    before, _, after = message.partition(": ")
    return after if before.startswith(str(root)) else message


def report_failures(failures: list[Failure], where: Path, shown: int = 20) -> None:
    """List the failed inputs on stderr, the first ones by name, all of them in a file."""
    for failure in failures[:shown]:
        console.print(f"failed: {failure.path}: {failure.reason}", soft_wrap=True)
    if failures:
        rest = f", {len(failures) - shown} not shown" if len(failures) > shown else ""
        console.print(f"{len(failures)} failed{rest}; all are in {where}", soft_wrap=True)
