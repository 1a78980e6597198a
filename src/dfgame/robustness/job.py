"""One video, decoded once: made worse in every way, its faces cut out again. Or its stored crops made worse."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfgame.faces.crop import Cutter, cutter
from dfgame.files import sha256
from dfgame.media import Frame, H264Clip, MediaError, RgbImage, read_frames, read_image
from dfgame.records import Face
from dfgame.robustness.points import Point
from dfgame.robustness.transform import seed_of, shifted, transformed
from dfgame.stored import resized

Crops = NDArray[np.uint8]
"""(points, frames, side, side, 3), RGB: the crops of one video at every point."""
PRESET = "fast"
"""x264's, as of the videos that `dfgame forge` and `dfgame extract --qualities` write."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How the crops of a manifest were cut out: the settings of `dfgame extract` of these names."""

    alignment: str
    margin: float
    size: int


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One video to make worse.

    `file` is the video, None where its stored crops take its place. `content` is the SHA-256 that it should have,
    None where that is not known. An element each of `frames`, `faces` and `crops` are the rows of the manifest.
    `around` is how many frames before and after a wanted one are encoded with it. The crops go to the file `to`.
    """

    video: str
    file: Path | None
    content: str | None
    frames: tuple[int, ...]
    faces: tuple[Face, ...]
    crops: tuple[Path, ...]
    cutting: Cutting | None
    points: tuple[Point, ...]
    around: int
    seed: int
    to: Path


def make_worse(job: VideoJob) -> None:
    """Write the crops of a video at every point to `job.to`, a NumPy file of `Crops`; no point is an adversary's.

    Raises:
        MediaError: the video or a crop cannot be read, a wanted frame is not in it, or it is another file than the
            one that the crops were cut from.
    """
    if job.file is None or job.cutting is None:
        _of_stored_crops(job)
    else:
        _of_video(job, job.file, job.cutting)


def _of_stored_crops(job: VideoJob) -> None:
    seed, side = seed_of(job.video, job.seed), 0
    found = None
    for row, (frame, path) in enumerate(zip(job.frames, job.crops, strict=True)):
        crop = read_image(path)
        if found is None:
            side = max(crop.shape[:2])
            found = _opened(job, side)
        crop = resized(crop, side)
        for place, point in enumerate(job.points):
            found[place, row] = transformed(crop, point, (*seed, frame))


def _of_video(job: VideoJob, file: Path, cutting: Cutting) -> None:
    if not file.is_file():
        raise MediaError(f"{file}: no such file")
    if job.content is not None and sha256(file) != job.content:
        raise MediaError(f"{file}: is not the file that the crops were cut from (its SHA-256 is another)")
    found = _Found(job, _opened(job, cutting.size), cutter(cutting.alignment, cutting.margin, cutting.size))
    crfs = {place: int(point.strength or 0) for place, point in enumerate(job.points) if point.transformation == "crf"}
    around = job.around if crfs else 0
    needed = {near for frame in job.frames for near in range(max(frame - around, 0), frame + around + 1)}
    clips: list[_Clip] = []
    try:
        for frame in read_frames(file, needed):
            found.take(frame)
            if not clips or clips[0].next != frame.index:
                _end(clips, found)
                clips = [_Clip(place, crf, frame.index) for place, crf in crfs.items()]
            for clip in clips:
                clip.add(frame.image, found)
    except MediaError:
        if found.missing():
            raise  # else it breaks off after all that is wanted of it
    _end(clips, found)
    if found.missing():
        raise MediaError(f"{file}: it has no frame {min(found.missing())}")


class _Found:
    """The crops of a video, filled in frame by frame."""

    def __init__(self, job: VideoJob, crops: Crops, cut_out: Cutter) -> None:
        self._job, self._crops, self._cut_out = job, crops, cut_out
        self._seed = seed_of(job.video, job.seed)
        self._rows: dict[int, list[int]] = defaultdict(list)
        for row, frame in enumerate(job.frames):
            self._rows[frame].append(row)
        self._seen: set[int] = set()

    def take(self, frame: Frame) -> None:
        """Do to a decoded frame, if it is wanted, all but what encoders do."""
        if frame.index not in self._rows:
            return
        self._seen.add(frame.index)
        for place, point in enumerate(self._job.points):
            if point.transformation == "shift":
                self._cut(place, frame.index, frame.image, point.strength or 0.0)
            elif point.transformation != "crf":
                self._cut(place, frame.index, transformed(frame.image, point, (*self._seed, frame.index)))

    def encoded(self, place: int, index: int, image: RgbImage) -> None:
        """Take a frame, if it is wanted, that an encoder gave back."""
        if index in self._rows:
            self._cut(place, index, image)

    def missing(self) -> set[int]:
        """The wanted frames that did not come."""
        return self._rows.keys() - self._seen

    def _cut(self, place: int, index: int, image: RgbImage, shift: float = 0.0) -> None:
        for row in self._rows[index]:
            face = self._job.faces[row]
            if shift:
                face = shifted(face, shift, self._seed)
            self._crops[place, row] = self._cut_out(image, face)


class _Clip:
    """Neighbouring frames on their way through an encoder; `next` is the number of the frame that may follow."""

    def __init__(self, place: int, crf: int, first: int) -> None:
        self._place, self._out = place, first
        self._encoder = H264Clip(crf, PRESET)
        self.next = first

    def add(self, image: RgbImage, found: _Found) -> None:
        self.next += 1
        self._give(self._encoder.add(image), found)

    def end(self, found: _Found) -> None:
        self._give(self._encoder.end(), found)

    def _give(self, images: list[RgbImage], found: _Found) -> None:
        for image in images:
            found.encoded(self._place, self._out, image)
            self._out += 1


def _end(clips: list[_Clip], found: _Found) -> None:
    for clip in clips:
        clip.end(found)


def _opened(job: VideoJob, side: int) -> Crops:
    """The file of the crops, which lies on the disk and not in memory."""
    shape = (len(job.points), len(job.frames), side, side, 3)
    return np.lib.format.open_memmap(job.to, mode="w+", dtype=np.uint8, shape=shape)
