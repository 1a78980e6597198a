"""Some frames of any file, a picture or a video, spread evenly over it: their faces followed and cut out."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dfgame.faces.crop import cutter
from dfgame.faces.detect import default_detector
from dfgame.faces.track import main_tracks
from dfgame.faces.video import FoundFace, find_faces
from dfgame.files import sha256
from dfgame.media import PICTURE_SUFFIXES, MediaError, count_frames
from dfgame.records import CropRule, Kind

_detector = cache(default_detector)


@dataclass(frozen=True, slots=True)
class SampleJob:
    """One file to look at: in at most `frames` frames; its crops go to the new folder `to`."""

    file: Path
    to: Path
    frames: int
    rule: CropRule


@dataclass(frozen=True, slots=True)
class Sample:
    """What a file holds: how many frames were looked at, and the faces of each track in the order of time.

    `main` are the numbers of the main tracks (see `main_tracks`); `problem` says why the file ended early.
    """

    sha256: str
    kind: Kind
    looked_at: int
    tracks: dict[int, list[FoundFace]]
    main: tuple[int, ...]
    problem: MediaError | None


def sample_faces(job: SampleJob) -> Sample:
    """Find, follow and cut out the faces in evenly spread frames of a file, which is decoded once.

    Raises:
        MediaError: nothing of it can be read.
        UserError: there is no face detector.
    """
    if not job.file.is_file():
        raise MediaError(f"{job.file}: {'not a file' if job.file.exists() else 'no such file'}")
    content = sha256(job.file)
    kind: Kind = "picture" if job.file.suffix.lower() in PICTURE_SUFFIXES else "video"
    numbers = spread(count_frames(job.file), job.frames)
    job.to.mkdir(parents=True)
    cut_out = cutter(job.rule.alignment, job.rule.margin, job.rule.size)
    faces = find_faces(job.file, numbers, _detector(job.rule.min_score), cut_out, job.to)
    main = tuple(track.number for track in main_tracks(faces.tracks))
    return Sample(content, kind, faces.frames, faces.found, main, faces.problem)


def spread(total: int, wanted: int) -> list[int]:
    """The numbers of `wanted` frames spread evenly over `total`, the first and the last among them."""
    if total <= wanted:
        return list(range(total))
    return [round(number * (total - 1) / max(wanted - 1, 1)) for number in range(wanted)]
