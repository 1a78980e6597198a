"""Some frames of any file, a picture or a video: their faces followed, cut out, and handed over one by one."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dfgame.faces.crop import crop_square, cutter
from dfgame.faces.detect import default_detector
from dfgame.faces.quality import detail
from dfgame.faces.track import main_tracks
from dfgame.faces.video import MOST_FACES, follow_faces
from dfgame.files import sha256
from dfgame.media import (
    Frame,
    MediaError,
    RgbImage,
    ahead,
    count_frames,
    frame_times,
    kind_of,
    media_facts,
    read_frames,
)
from dfgame.records import CropRule, Face, Kind, MediaFacts

MOST_IN: dict[Kind, int] = {"picture": 100, "video": MOST_FACES}
"""Faces of a frame that are looked at: the largest."""
_detector = cache(default_detector)
_DECIMALS = 2
"""Places are rounded to hundredths of a pixel before faces are cut out, so that what is printed is what was cut."""


@dataclass(frozen=True, slots=True)
class SampleJob:
    """One file to look at.

    In `frames` frames spread evenly over it, or, where `every` is more than 0, in a frame every so many seconds, but
    in no more than `most`, which are then spread evenly.
    """

    file: Path
    frames: int
    rule: CropRule
    every: float = 0.0
    most: int = 2_000


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face in a frame, of the track with this number: its crop as the rule says, and how much detail that holds."""

    track: int
    frame: int
    time: float
    face: Face
    detail: float
    crop: RgbImage


@dataclass(frozen=True, slots=True)
class Sample:
    """What a file is, how many frames were looked at, and whose faces it is about.

    `main` are the numbers of the main tracks (see `main_tracks`); `problem` says why the file ended early; `left_out`
    is how many faces of one frame, at most, are beyond the MOST_IN that are looked at.
    """

    sha256: str
    kind: Kind
    facts: MediaFacts | None
    looked_at: int
    main: tuple[int, ...]
    problem: MediaError | None
    left_out: int = 0


def sample_faces(
    job: SampleJob, take: Callable[[SeenFace], None], looked: Callable[[int, int], None] = lambda _, __: None
) -> Sample:
    """Find, follow and cut out the faces of a file, which is decoded once and meanwhile; no crop stays in memory.

    Args:
        job: the file, and where to look.
        take: takes each face; those of one track come in the order of time.
        looked: is told after each frame how many were looked at, and how many there are.

    Raises:
        MediaError: nothing of it can be read.
        UserError: there is no face detector.
    """
    kind = kind_of(job.file)  # which opens nothing that could make the hash wait
    numbers = chosen_frames(job, kind)
    cut_out = cutter(job.rule.alignment, job.rule.margin, job.rule.size)

    def cut(track: int, frame: Frame, found: Face, _mask: RgbImage | None) -> None:
        face = rounded(found)
        crop = cut_out(frame.image, face)
        take(SeenFace(track, frame.index, frame.time, face, detail(crop, native_side(face, job.rule)), crop))

    def told(frames: Iterator[Frame]) -> Iterator[Frame]:
        for number, frame in enumerate(frames, start=1):
            yield frame
            looked(number, len(numbers))

    with ahead(read_frames(job.file, numbers)) as frames:
        facts, content = media_facts(job.file), sha256(job.file)
        followed = follow_faces(told(frames), _detector(job.rule.min_score), cut, most=MOST_IN[kind])
    main = tuple(track.number for track in main_tracks(followed.tracks))
    return Sample(content, kind, facts, followed.frames, main, followed.problem, followed.left_out)


def native_side(face: Face, rule: CropRule) -> float:
    """The side of the square that a face's crop shows, in pixels of the frame."""
    return crop_square(face, rule.margin)[2]


def rounded(face: Face) -> Face:
    """The face with its places rounded to hundredths of a pixel."""
    left, top, right, bottom = (round(side, _DECIMALS) for side in face.box)
    points = tuple((round(x, _DECIMALS), round(y, _DECIMALS)) for x, y in face.points)
    return Face((left, top, right, bottom), points, face.score)


def chosen_frames(job: SampleJob, kind: Kind) -> list[int]:
    """The numbers of the frames to look at.

    Raises:
        MediaError: it is not a video, or nobody knows how many frames it has.
    """
    if kind == "picture":
        return [0]
    if not job.every:
        return spread(count_frames(job.file), min(job.frames, job.most))
    numbers = _every(frame_times(job.file).tolist(), job.every)
    return [numbers[place] for place in spread(len(numbers), job.most)]


def spread(total: int, wanted: int) -> list[int]:
    """The numbers of `wanted` frames spread evenly over `total`, the first and the last among them."""
    if total <= wanted:
        return list(range(total))
    return [round(number * (total - 1) / max(wanted - 1, 1)) for number in range(wanted)]


def _every(times: Sequence[float], seconds: float) -> list[int]:
    """The number of the first frame, and of the first at or after each multiple of `seconds` from there."""
    numbers, place = [], 0
    while place < len(times):
        numbers.append(place)
        due = times[0] + seconds * (int((times[place] - times[0] + _SLACK) / seconds) + 1)
        place = max(bisect_left(times, due - _SLACK), place + 1)
    return numbers


_SLACK = 1e-4
"""Seconds by which a time stamp may be early: containers round them."""
