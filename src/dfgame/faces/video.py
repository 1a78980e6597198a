"""The faces of one video: decoded once, found, followed, and cut out into files."""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.faces.crop import crop_face
from dfgame.faces.detect import FaceDetector
from dfgame.faces.track import LONGEST_GAP, Track, Tracker, area, main_tracks
from dfgame.media import Frame, MediaError, RgbImage, read_frames
from dfgame.records import Face

MOST_FACES = 8
"""Faces of a frame that are followed: the largest."""
SAME_SHOT = 0.5
"""Correlation of two frames' 32 x 32 grey thumbnails below which a cut lies between them."""
_THUMBNAIL = (32, 32)
_FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in a frame: the frame's number and time in seconds, and the file its crop is in."""

    frame: int
    time: float
    face: Face
    file: Path


@dataclass(slots=True)
class VideoFaces:
    """What a video holds: how many frames were looked at, the crops of each track, and why it ended early."""

    frames: int = 0
    found: dict[int, list[FoundFace]] = field(default_factory=dict)
    tracks: list[Track] = field(default_factory=list)
    problem: MediaError | None = None

    def main(self) -> list[list[FoundFace]]:
        """The faces of the main tracks (see `main_tracks`), each in the order of time."""
        return [self.found[track.number] for track in main_tracks(self.tracks)]


def find_faces(
    path: Path, indices: Collection[int], detect: FaceDetector, cut_out: Callable[[RgbImage, Face], RgbImage], to: Path
) -> VideoFaces:
    """Follow every face through the frames with the numbers `indices`; the crops are PNG files in the folder `to`.

    `cut_out` makes the crop of a face. Of the pixels only the last few frames and no crop stay in memory. Of a
    damaged video what can be decoded counts, and `problem` says what is wrong.

    Raises:
        MediaError: no frame can be decoded.
    """
    result, tracker = VideoFaces(), Tracker()
    recent: deque[Frame] = deque(maxlen=LONGEST_GAP + 1)
    thumbnail = None
    try:
        for frame in read_frames(path, indices):
            recent.append(frame)
            before, thumbnail = thumbnail, _shrunk(frame.image)
            cut = before is not None and is_cut(before, thumbnail)
            largest = sorted(detect(frame.image), key=lambda face: -area(face.box))[:MOST_FACES]
            for sighting in tracker.add(largest, frame.time, cut):
                seen = recent[sighting.position - result.frames - 1]
                file = to / f"{sighting.track}_{seen.index:06d}.png"
                write_png(file, cut_out(seen.image, sighting.face))
                faces = result.found.setdefault(sighting.track, [])
                faces.append(FoundFace(seen.index, seen.time, sighting.face, file))
            result.frames += 1
    except MediaError as error:
        if not result.frames:
            raise
        result.problem = error
    result.tracks = tracker.tracks()
    return result


def square_cropper(margin: float, size: int) -> Callable[[RgbImage, Face], RgbImage]:
    """`crop_face` with this margin and size, for `find_faces`."""
    return lambda image, face: crop_face(image, face, margin, size)


def write_png(path: Path, image: RgbImage) -> None:
    """Write an RGB image as a lossless PNG, with the fast compression.

    Raises:
        OSError: it cannot be written.
    """
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _FAST_PNG)
    path.write_bytes(encoded.tobytes())


def is_cut(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether a cut lies between two frames, given as small grey images of one shape.

    Their correlation is low where the pictures differ, whatever their brightness. Of two different portrait
    photographs four in five correlate by less than SAME_SHOT; one shifted by a twentieth of its width, by more.
    """
    a, b = before.astype(np.float64), after.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return spread > 0 and float((a * b).sum()) / spread < SAME_SHOT


def _shrunk(image: RgbImage) -> NDArray[np.uint8]:
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
