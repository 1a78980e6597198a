"""One video: cut its faces out, or take them as they are, and leave a record."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfgame.config import ExtractConfig
from dfgame.extract.adopt import adopt
from dfgame.extract.records import ends_of, facts_beside, facts_of_file, reason, record_path, short_hash, write_record
from dfgame.faces.crop import cutter
from dfgame.faces.detect import FaceDetector, default_detector
from dfgame.faces.sample import spread
from dfgame.faces.video import FoundFace, VideoFaces, altered_by_track, find_faces, fitted
from dfgame.media import Frame, MediaError, count_frames, read_frames, transcode
from dfgame.records import UserError, Video

MASKS = "masks"
"""Folder of the crops of masks, in which they lie as their faces do beside it."""
_CRF = re.compile(r"c(\d{1,2})")
_RAW = re.compile(r"/(raw|c0)/")


@dataclass(frozen=True, slots=True)
class ExtractJob:
    """One video to do: `crops` is the folder of its crops, relative to `out`.

    Where `raw` names another video, this one is made from it by encoding it at the quality of its `compression`.
    """

    root: Path
    out: Path
    crops: str
    video: Video
    config: ExtractConfig
    raw: str | None = None

    @property
    def file(self) -> Path:
        """The file that is read."""
        return self.root / (self.raw or self.video.path)

    @property
    def record(self) -> Path:
        """Where its record is."""
        return record_path(self.out, self.video)


def make_jobs(
    root: Path, out: Path, videos: Sequence[Video], config: ExtractConfig, below: str = ""
) -> list[ExtractJob]:
    """A job for each video, and for each quality that is to be made from raw and is not there.

    The crops go to `Deepfakes_c23/001_870`, as the reference's list files name them, in the folder `below` of OUT.
    Videos that would share such a folder (in plain folders, names repeat) get their path's hash added.

    Raises:
        UserError: qualities are to be made, and there is no raw video.
    """
    there = {video.path: video for video in videos}
    made = {one.path: (one, video.path) for video in videos for one in _qualities(video, config.qualities)}
    if set(config.qualities) - {"raw"} and not made:
        raise UserError("--qualities: there is no raw video to make them from", "leave out --qualities")
    raw = {path: source for path, (_, source) in made.items() if path not in there}
    every = {path: one for path, (one, _) in made.items()} | there
    wanted = [video for video in every.values() if _is_wanted(video, config)]
    names = [f"{video.method}_{video.compression}/{Path(video.path).stem}" for video in wanted]
    uses = Counter(name.casefold() for name in names)
    folders = [
        name if uses[name.casefold()] == 1 else f"{name}-{short_hash(video.path)[:8]}"
        for name, video in zip(names, wanted, strict=True)
    ]
    return [
        ExtractJob(root, out, f"{below}{crops}", video, config, raw.get(video.path))
        for crops, video in zip(folders, wanted, strict=True)
    ]


def _qualities(video: Video, qualities: Sequence[str]) -> Iterator[Video]:
    """A raw video's fellows at these qualities, where the data set has a folder for each.

    The original that they are told from is the raw one: at their quality there may be none.
    """
    if video.compression != "raw" or not _RAW.search(video.path):
        return
    for quality in qualities:
        if quality != "raw":
            yield replace(video, path=_RAW.sub(f"/{quality}/", video.path), compression=quality)


def _is_wanted(video: Video, config: ExtractConfig) -> bool:
    asked = {*config.compressions, *config.qualities}
    return (not config.compressions or video.compression in asked) and (
        not config.methods or video.method in config.methods
    )


def extract_video(job: ExtractJob) -> int:
    """Cut the faces out of one video, and leave its record; returns the number of frames looked at.

    Raises:
        MediaError: it cannot be read at all, or no face was found.
        OSError: a crop cannot be written.
    """
    job.record.unlink(missing_ok=True)
    work = job.record.with_suffix(f".{os.getpid()}.work")
    work.mkdir(parents=True)
    try:
        if job.file.is_dir():
            return adopt(job.root, job.video, job.config, job.record)
        facts = facts_of_file(job.file) | {"beside": facts_beside(job.root, job.video)}
        path = _encoded(job, work)
        faces = _faces_of(job, path, work)
        shots = faces.main()
        if not shots:
            raise faces.problem or MediaError(f"{job.file}: no face in {faces.frames} frames")
        others = faces.others() if job.config.tracks == "all" else []
        tracks = [*shots, *others]
        rows = [_row(job, number, found) for number, shot in enumerate(tracks) for found in shot]
        _put_in_place(job, [found for shot in tracks for found in shot], rows, work)
        facts["ends"] = ends_of([job.out / row["path"] for row in rows])
        facts |= {"faces": faces.most_at_once(), "looked_at": faces.frames, "main": len(shots)}
        facts["problem"] = reason(faces.problem, path) if faces.problem else None
        write_record(job.record, rows, facts)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return faces.frames


def chosen_frames(total: int, config: ExtractConfig) -> list[int]:
    """The numbers of the frames to look at."""
    return list(range(min(total, config.frames))) if config.sampling == "first" else spread(total, config.frames)


@cache
def _detector(min_score: float) -> FaceDetector:
    return default_detector(min_score)


def _encoded(job: ExtractJob, work: Path) -> Path:
    """The video to read: the file itself, or its raw fellow encoded at the wanted quality."""
    if job.raw is None:
        return job.file
    known = _CRF.fullmatch(job.video.compression)
    if known is None:
        raise UserError(f"--qualities {job.video.compression}: not a quality", "c and an H.264 CRF: c23, c40")
    path = work / f"{job.video.compression}.mp4"
    transcode(job.file, path, int(known[1]))
    return path


def _faces_of(job: ExtractJob, path: Path, work: Path) -> VideoFaces:
    config, video = job.config, job.video
    numbers = chosen_frames(count_frames(path), config)
    cut_out = cutter(config.alignment, config.margin, config.size)
    mask = job.root / video.mask if video.mask and video.label == "fake" and config.masks else None
    if mask is not None and not mask.is_file():
        mask = None
    faces = find_faces(path, numbers, _detector(config.min_score), cut_out, work, config.detect_every, mask)
    if not faces.altered and faces.most_at_once() > 1:
        faces.altered = _pointed_at(job, path, faces)
    return faces


def _pointed_at(job: ExtractJob, path: Path, faces: VideoFaces) -> dict[int, float]:
    """How much each track was altered: by a mask, or by the difference from the real video. Empty if neither tells."""
    mask, original = (job.root / name if name else None for name in (job.video.mask, job.video.original))
    try:
        if mask is not None and mask.is_file():
            shape = next(read_frames(path)).image.shape
            return altered_by_track(
                faces,
                lambda numbers: (replace(one, image=fitted(one.image, shape)) for one in read_frames(mask, numbers)),
            )
        if original is not None and original.is_file():
            return altered_by_track(faces, lambda numbers: _differences(path, original, numbers))
    except MediaError:
        return {}
    return {}


def _differences(path: Path, original: Path, numbers: Sequence[int]) -> Iterator[Frame]:
    """Where a video's frames differ from the original's: black where they agree up to compression."""
    for ours, theirs in zip(read_frames(path, numbers), read_frames(original, numbers), strict=False):
        if ours.image.shape != theirs.image.shape:
            return
        smooth = (cv2.blur(image, (5, 5)) for image in (ours.image, theirs.image))
        difference = cv2.absdiff(*smooth).max(axis=2, keepdims=True)
        yield Frame(ours.index, ours.time, np.repeat(np.where(difference > _SAME, 255, 0), 3, axis=2).astype(np.uint8))


_SAME = 24
"""Levels of 255 by which smoothed pixels of two encodings of one frame may differ."""


def _row(job: ExtractJob, shot: int, found: FoundFace) -> dict[str, Any]:
    stem = Path(job.video.path).stem
    name = f"{job.crops}/{stem}_{found.frame:06d}_{shot}.png"
    sides = dict(zip(("left", "top", "right", "bottom"), found.face.box, strict=True))
    return sides | {
        "path": name,
        "frame": found.frame,
        "time": found.time,
        "landmarks": [value for point in found.face.points for value in point],
        "score": found.face.score,
        "track": shot,
        "mask": f"{MASKS}/{name}" if found.mask is not None else None,
    }


def _put_in_place(job: ExtractJob, found: Sequence[FoundFace], rows: Sequence[dict[str, Any]], work: Path) -> None:
    """Move the chosen crops, all at once, to the video's folder, in the place of what an earlier call left there."""
    moves = {
        job.crops: [(one.file, row["path"]) for one, row in zip(found, rows, strict=True)],
        f"{MASKS}/{job.crops}": [
            (one.mask, row["mask"]) for one, row in zip(found, rows, strict=True) if one.mask is not None
        ],
    }
    for number, (place, files) in enumerate(moves.items()):
        chosen, folder = work / f"chosen{number}", job.out / place
        chosen.mkdir()
        for file, name in files:
            file.rename(chosen / Path(name).name)
        if folder.exists():
            shutil.rmtree(folder)
        if files:
            folder.parent.mkdir(parents=True, exist_ok=True)
            chosen.rename(folder)
