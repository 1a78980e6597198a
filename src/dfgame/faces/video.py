"""The faces of one video: decoded once, found, followed, and handed over one by one, or cut out into files."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.faces.crop import Cutter
from dfgame.faces.detect import FaceDetector
from dfgame.faces.motion import Grey, Point, detours, moved, small_grey, travel
from dfgame.faces.track import LONGEST_GAP, LONGEST_GUESS, Track, Tracker, area, main_tracks
from dfgame.media import Frame, MediaError, RgbImage, read_frames
from dfgame.records import Face

MOST_FACES = 8
"""Faces of a frame that are followed, unless somebody says otherwise: the largest."""
SAME_SHOT = 0.5
"""Correlation of two frames' 32 x 32 grey thumbnails below which a cut lies between them."""
LONGEST_LEAP = 0.4
"""Seconds between two detections over which a face is followed from one to the other."""
FRAMES_TO_COMPARE = 12
"""Frames of a video from which it is told who of several people was altered."""
_THUMBNAIL = (32, 32)
_NOTHING = np.empty((0, 0, 3), np.uint8)
_FAST_PNG = (
    cv2.IMWRITE_PNG_STRATEGY,
    cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER,
    cv2.IMWRITE_PNG_FILTER_PAETH,
)
"""Of face crops it takes two thirds of the time of the fastest compression level, and 5% less room."""


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in a frame: the frame's number and time in seconds, and the files of its crop and its mask's crop."""

    frame: int
    time: float
    face: Face
    file: Path
    mask: Path | None = None


@dataclass(slots=True)
class VideoFaces:
    """What a video holds.

    How many frames were looked at, the crops of each track, how much of its face was altered in each (0 to 1; empty
    where nothing says so), and why the video or its mask ended early.
    """

    frames: int = 0
    found: dict[int, list[FoundFace]] = field(default_factory=dict)
    tracks: list[Track] = field(default_factory=list)
    altered: dict[int, float] = field(default_factory=dict)
    problem: MediaError | None = None

    def main(self) -> list[list[FoundFace]]:
        """The faces of the main tracks (see `main_tracks`), each in the order of time."""
        return [self.found[track.number] for track in main_tracks(self.tracks, self.altered)]

    def others(self) -> list[list[FoundFace]]:
        """The faces of all other tracks."""
        main = {track.number for track in main_tracks(self.tracks, self.altered)}
        return [self.found[track.number] for track in self.tracks if track.number not in main]

    def most_at_once(self) -> int:
        """The most faces of one frame."""
        return max(Counter(found.frame for track in self.found.values() for found in track).values(), default=0)


class FaceSink(Protocol):
    """Takes each face that was found or interpolated, once; those of one track in the order of time."""

    def __call__(self, track: int, frame: Frame, face: Face, mask: RgbImage | None, /) -> None:
        """Take the face of the track with this number in a frame; `mask` is the frame of the mask's video."""


@dataclass(slots=True)
class Followed:
    """How many frames were looked at, the tracks of their faces, and why the video ended early.

    `left_out` is how many faces of one frame were not followed, at most, since others are larger.
    """

    frames: int = 0
    tracks: list[Track] = field(default_factory=list)
    problem: MediaError | None = None
    left_out: int = 0


def follow_faces(
    frames: Iterable[Frame],
    detect: FaceDetector,
    sink: FaceSink,
    every: int = 1,
    mask_of: Callable[[int], RgbImage | None] = lambda _: None,
    most: int = MOST_FACES,
) -> Followed:
    """Follow the largest faces through frames in the order of time; only the last few frames stay in memory.

    Args:
        frames: what is looked at; a MediaError among them ends it and is kept as the `problem`.
        detect: finds the faces of a frame.
        sink: takes the faces, at most a few frames after they were seen.
        every: faces are detected in every so many of the frames, see `find_faces`.
        mask_of: the mask of the frame with a number.
        most: faces of a frame that are followed, the largest.

    Raises:
        MediaError: there is no frame.
    """
    search = _Search(detect, sink, every, most)
    try:
        for frame in frames:
            search.look(_Held(frame, mask_of(frame.index), *small_grey(frame.image)))
    except MediaError as error:
        if not search.result.frames:
            raise
        search.result.problem = error
    search.finish()
    return search.result


def find_faces(
    path: Path,
    indices: Collection[int],
    detect: FaceDetector,
    cut_out: Cutter,
    to: Path,
    every: int = 1,
    mask: Path | None = None,
) -> VideoFaces:
    """Follow the largest faces through the frames numbered `indices`; the crops are PNG files in the folder `to`.

    Of the pixels only the last few frames and no crop stay in memory. Of a damaged video what can be decoded counts,
    and `problem` says what is wrong.

    Args:
        path: a video, or a picture, which is a video of one frame.
        indices: the frames to look at.
        detect: finds the faces of a frame.
        cut_out: makes the crop of a face.
        to: an existing folder.
        every: faces are detected in every so many of these frames and followed between (see `motion`), where the
            detections are less than LONGEST_LEAP apart; also before and after a cut.
        mask: a video of the altered region, frame by frame; its crops are made alongside.

    Raises:
        MediaError: no frame can be decoded.
    """
    masks = _Masks(mask, indices) if mask is not None else None
    files = _Files(cut_out, to)
    mask_of = masks.of if masks else lambda _: None
    followed = follow_faces(read_frames(path, indices), detect, files, every, mask_of)
    problem = followed.problem or (masks.problem if masks is not None else None)
    return VideoFaces(followed.frames, files.found, followed.tracks, files.altered(), problem)


def altered_by_track(faces: VideoFaces, altered: Callable[[Sequence[int]], Iterator[Frame]]) -> dict[int, float]:
    """How bright the boxes of each track are in pictures of what was altered, 0 to 1.

    Args:
        faces: what was found.
        altered: gives the pictures of the frames with these numbers, as far as it has them.
    """
    wanted = sorted({found.frame for track in faces.found.values() for found in track})
    some = wanted[:: max(len(wanted) // FRAMES_TO_COMPARE, 1)]
    shares: dict[int, list[float]] = {}
    boxes = {(found.frame, track): found.face for track, all_of in faces.found.items() for found in all_of}
    for picture in altered(some):
        for track in faces.found:
            if (picture.index, track) in boxes:
                shares.setdefault(track, []).append(_brightness(picture.image, boxes[picture.index, track]))
    return {track: float(np.mean(values)) for track, values in shares.items()}


@dataclass(frozen=True, slots=True)
class _Held:
    """A frame that is kept for a moment, its mask, and itself small and grey (see `small_grey`)."""

    frame: Frame
    mask: RgbImage | None
    grey: Grey
    scale: float


class _Masks:
    """The frames of a mask's video, in the order of its frames. A mask that cannot be read is a problem, no error."""

    def __init__(self, path: Path, indices: Collection[int]) -> None:
        self._frames, self._next = read_frames(path, indices, grey=True), None
        self.problem: MediaError | None = None

    def of(self, index: int) -> RgbImage | None:
        try:
            while self._next is None or self._next.index < index:
                self._next = next(self._frames)
        except StopIteration:
            return None
        except MediaError as error:
            self.problem = MediaError(f"its mask: {error}")
            return None
        return self._next.image if self._next.index == index else None


class _Files:
    """Cuts faces out into PNG files of a folder, and sees how much of each was altered where there is a mask."""

    def __init__(self, cut_out: Cutter, to: Path) -> None:
        self._cut_out, self._to = cut_out, to
        self._shares: dict[int, list[float]] = {}
        self.found: dict[int, list[FoundFace]] = {}

    def __call__(self, track: int, frame: Frame, face: Face, mask: RgbImage | None) -> None:
        name = f"{track}_{frame.index:06d}"
        file, mask_file = self._to / f"{name}.png", None
        write_png(file, self._cut_out(frame.image, face))
        if mask is not None:
            mask = fitted(mask, frame.image.shape)
            mask_file = self._to / f"{name}.mask.png"
            write_png(mask_file, self._cut_out(mask, face))
            self._shares.setdefault(track, []).append(_brightness(mask, face))
        self.found.setdefault(track, []).append(FoundFace(frame.index, frame.time, face, file, mask_file))

    def altered(self) -> dict[int, float]:
        """How much of each track's face was altered, 0 to 1."""
        return {track: float(np.mean(values)) for track, values in self._shares.items()}


class _Search:
    """Goes through the frames of a video: which of them to detect in, whom to follow."""

    def __init__(self, detect: FaceDetector, sink: FaceSink, every: int, most: int) -> None:
        self._detect, self._sink, self._every, self._most = detect, sink, every, most
        longest_gap = max(LONGEST_GAP, 2 * every - 1)
        self._tracker = Tracker(longest_gap)
        self._recent: deque[_Held] = deque(maxlen=longest_gap + 2)
        self._waiting: list[_Held] = []
        self._thumbnail: NDArray[np.uint8] | None = None
        self._shape: tuple[int, ...] = ()
        self._detected_at = -LONGEST_LEAP
        self.result = Followed()

    def look(self, held: _Held) -> None:
        """Take the next frame."""
        before, self._thumbnail = self._thumbnail, _thumbnail(held.grey)
        cut = before is not None and (self._shape != held.frame.image.shape or is_cut(before, self._thumbnail))
        self._shape = held.frame.image.shape
        if cut:
            self.finish()
        leap = held.frame.time - self._detected_at
        if cut or leap >= LONGEST_LEAP or len(self._waiting) + 1 >= self._every:
            self._take(held, cut)
        else:
            self._waiting.append(held)
        self.result.frames += 1

    def finish(self) -> None:
        """Detect in the last of the frames that wait, after which there is nothing to interpolate to."""
        if self._waiting:
            self._take(self._waiting.pop(), cut=False)
        self.result.tracks = self._tracker.tracks()

    def _take(self, held: _Held, cut: bool) -> None:
        for passed_over in self._waiting:
            self._recent.append(passed_over)
            self._tracker.add([], passed_over.frame.time)
        self._waiting.clear()
        self._recent.append(held)
        self._forget(held.frame.time)
        self._detected_at = held.frame.time
        found = self._detect(held.frame.image)
        largest = sorted(found, key=lambda face: -area(face.box))[: self._most]
        self.result.left_out = max(self.result.left_out, len(found) - len(largest))
        ways = {} if cut else self._ways()
        expected = {track: moved(face, way[-1]) for track, (face, way) in ways.items()}
        sightings = self._tracker.add(largest, held.frame.time, cut, expected)
        for track, of_track in groupby(sightings, key=lambda sighting: sighting.track):
            followed = list(of_track)
            if len(followed) > 1:
                face, way = ways[track]
                between = zip(followed, detours(way, face), strict=False)
                followed[:-1] = [replace(one, face=moved(one.face, by)) for one, by in between]
            for sighting in followed:
                seen = self._recent[sighting.position - self._tracker.position - 1]
                self._sink(track, seen.frame, sighting.face, seen.mask)

    def _forget(self, now: float) -> None:
        """Of frames from which no face will be wanted any more, keep what motion is measured in only."""
        for number, held in enumerate(self._recent):
            if now - held.frame.time > LONGEST_GUESS and held.frame.image.size:
                self._recent[number] = replace(held, frame=replace(held.frame, image=_NOTHING), mask=None)

    def _ways(self) -> dict[int, tuple[Face, list[Point]]]:
        """Of each track that may go on: the face where it was last, and its way from there to the newest frame."""
        ways = {}
        for track, position, face in self._tracker.running():
            steps = self._tracker.position + 1 - position
            if steps < len(self._recent):
                pictures = [held.grey for held in list(self._recent)[-steps - 1 :]]
                ways[track] = face, travel(pictures, self._recent[-1].scale, face)
        return ways


def fitted(mask: RgbImage, shape: Sequence[int]) -> RgbImage:
    """A mask of another size than its video's frames, which are of this shape, brought to theirs."""
    height, width = shape[:2]
    if mask.shape[:2] == (height, width):
        return mask
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _brightness(image: RgbImage, face: Face) -> float:
    """The mean of an image inside a face's box, 0 to 1; 0 where the box lies outside."""
    left, top, right, bottom = (max(round(side), 0) for side in face.box)
    inside = image[top:bottom, left:right]
    return float(inside.mean()) / 255 if inside.size else 0.0


def write_png(path: Path, image: RgbImage) -> None:
    """Write an RGB image, or a grey one without colours, as a lossless PNG, with the fast compression.

    Raises:
        OSError: it cannot be written.
    """
    path.write_bytes(png_bytes(image))


def png_bytes(image: RgbImage) -> bytes:
    """The PNG file that `write_png` writes: the same bytes for the same pixels."""
    _, encoded = cv2.imencode(".png", image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1]), _FAST_PNG)
    return encoded.tobytes()


def is_cut(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether a cut lies between two frames, given as small grey images of one shape.

    Their correlation is low where the pictures differ, whatever their brightness. Of two portrait photographs of
    different places four in five correlate by less than SAME_SHOT; one shifted by a twentieth of its width, by more.
    Of two people in one place before one background, as in a studio, hardly any do: they pass for one shot.
    """
    a, b = before.astype(np.float64), after.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return spread > 0 and float((a * b).sum()) / spread < SAME_SHOT


def _thumbnail(grey: Grey) -> Grey:
    return np.asarray(cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)
