"""Videos in: upright RGB frames with true time stamps, decoded once, in order, in little memory."""

import heapq
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from dfgame.media.combs import Decoded, without_combs
from dfgame.media.containers import (
    aspect_of,
    cut_by_tail,
    declared_frames,
    displayed,
    is_disordered,
    opened,
    orientation,
    seconds_of,
    time_of,
)
from dfgame.media.guard import MOST_FRAME_PIXELS, MediaError, check_size, failure, reason_of
from dfgame.media.pictures import (
    RgbImage,
    animation_times,
    count_animation,
    form_of,
    pixels_of,
    read_animation,
    read_image,
)
from dfgame.media.seeking import (
    FEWEST_FRAMES,
    FRAMES_FOR_ONE,
    LostError,
    can_be_sought,
    read_packets,
    seek_frames,
)

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".mxf"}
    | {".ts", ".mts", ".m2ts", ".vob", ".m2v", ".mpe", ".f4v", ".3g2", ".asf"}
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame: its number in the video from 0, its time stamp in seconds, its upright pixels."""

    index: int
    time: float
    image: RgbImage


def count_frames(path: Path) -> int:
    """The number of frames: the container's word, or a count of its packets where it says nothing; 1 of a picture.

    Raises:
        MediaError: it is neither a video nor a picture.
    """
    form = form_of(path)
    if form is not None:
        return 1 if form == "still" else count_animation(path)
    with opened(path) as (container, stream):
        return declared_frames(container, stream) or _count_packets(container, stream, path)


def _count_packets(container: InputContainer, stream: av.VideoStream, path: Path) -> int:
    try:
        return sum(packet.size > 0 for packet in container.demux(stream))
    except FFmpegError as error:
        raise failure(path, f"cannot be read to its end ({reason_of(error)})") from None


def frame_times(path: Path) -> NDArray[np.float64]:
    """The time stamp in seconds of every frame, in the order they are shown in; of a video nothing is decoded.

    A frame whose packet says no time has that of the frame before; where none does, as in a bare H.264 stream, they
    follow each other at the frame rate. The numbers of frames in `read_frames` are places
    in this array, but for files whose packets are not one frame each, where they are near.

    Raises:
        MediaError: it is neither a video nor a picture, or cannot be read to its end.
    """
    form = form_of(path)
    if form is not None:
        return np.zeros(1) if form == "still" else animation_times(path)
    with opened(path) as (container, stream):
        stamps: list[int | None] = []
        try:
            for packet in container.demux(stream):
                if packet.size > 0 and not packet.is_discard:
                    stamp = packet.dts if packet.pts is None else packet.pts
                    stamps.append(stamp if stamp is not None else stamps[-1] if stamps else None)
        except FFmpegError as error:
            raise failure(path, f"cannot be read to its end ({reason_of(error)})") from None
        times = [time_of(stamp, number, container, stream) for number, stamp in enumerate(stamps)]
        return np.sort(np.array(times, np.float64))


def read_frames(path: Path, indices: Collection[int] | None = None, grey: bool = False) -> Generator[Frame]:
    """Decode a video once, in order; yield all frames, or those with the given numbers, in the order of time.

    What a file is, is told by its content. Frames are turned upright, their pixels made square and, where they are
    interlaced, freed from combs.
    Few frames of a long video are sought by their time stamps, and are the same as if all had been decoded. Of a
    damaged file, what can be decoded is yielded first. A picture is one frame; one that moves is a video.

    Args:
        path: a video or a picture.
        indices: the numbers of the frames to yield, from 0; all where None. Those the video does not have are passed
            over.
        grey: whether the images are height x width, the video's brightness alone.

    Raises:
        MediaError: it is not a video, or it ends or breaks before all its declared frames were decoded.
    """
    wanted = None if indices is None else frozenset(indices)
    form = form_of(path)
    if form == "still":
        if wanted is None or 0 in wanted:
            image = read_image(path)
            yield Frame(0, 0.0, image.max(axis=2) if grey else image)
    elif form == "animation":
        yield from _animation(path, wanted, grey)
    else:
        yield from _video(path, wanted, grey)


def _animation(path: Path, wanted: frozenset[int] | None, grey: bool) -> Iterator[Frame]:
    last, number = None if wanted is None else max(wanted, default=-1), -1
    try:
        for number, (time, _, picture) in enumerate(read_animation(path)):
            if last is not None and number > last:
                return
            if wanted is None or number in wanted:
                image = pixels_of(picture)
                yield Frame(number, time, image.max(axis=2) if grey else image)
    except MediaError as error:
        if number < 0:
            raise
        raise failure(path, f"breaks off after {number + 1} frames ({error.reason})") from None


def _video(path: Path, wanted: frozenset[int] | None, grey: bool) -> Iterator[Frame]:
    """The frames of a video: sought where that may be worth it, and decoded from the beginning where it fails."""
    converter, pixels, left = VideoReformatter(), "gray" if grey else "rgb24", wanted
    if wanted is not None:
        try:
            for one in _sought(path, wanted):
                yield _frame(path, one, converter, pixels)
                left = frozenset(number for number in wanted if number > one.number)
            return
        except LostError:
            pass
    last = None if left is None else max(left, default=-1)
    for one in without_combs(_decoded(path), left):
        yield _frame(path, one, converter, pixels)
        if one.number == last:
            return


def _sought(path: Path, wanted: frozenset[int]) -> Iterator[Decoded]:
    """The wanted frames, as far as seeking leads to them.

    Raises:
        LostError: it does not lead to all of them, or is not worth it.
    """
    with opened(path) as (container, stream):
        about = stream.frames or int(seconds_of(container) * float(stream.average_rate or 0))
        worth_it = about >= max(FEWEST_FRAMES, FRAMES_FOR_ONE * len(wanted)) and can_be_sought(stream)
        packets = read_packets(container, stream) if worth_it else None
        if packets is None:
            raise LostError
        stream.codec_context.thread_count = 1
        first = next(seek_frames(container, stream, packets, {0}))
        beside = {number + step for number in wanted for step in (-1, 0, 1)}
        needed = beside if first.frame.interlaced_frame else wanted
        yield from without_combs(seek_frames(container, stream, packets, needed), wanted)


def _decoded(path: Path) -> Iterator[Decoded]:
    with opened(path) as (container, stream):
        yield from decoded_frames(path, container, stream)


def decoded_frames(path: Path, container: InputContainer, stream: av.VideoStream) -> Iterator[Decoded]:
    """All frames of an opened video from its beginning.

    Raises:
        MediaError: it cannot be read to its end.
    """
    number, hidden, aspect = -1, 0, aspect_of(stream)
    stream.codec_context.thread_count = 1
    stamps: list[int] = []
    try:
        for packet in container.demux(stream):
            hidden += packet.is_discard  # an edit list leaves it out: it is declared, and never shown
            if is_disordered(container, stream) and packet.pts is not None:
                heapq.heappush(stamps, packet.pts)
            for frame in packet.decode():
                number += 1
                if stamps:
                    frame.pts = heapq.heappop(stamps)
                yield Decoded(number, frame, time_of(frame.pts, number, container, stream), aspect)
    except (FFmpegError, MemoryError) as error:
        raise failure(path, f"breaks off after {number + 1} frames ({reason_of(error)})") from None
    if number < 0:
        raise failure(path, "a video without a frame")
    if stream.frames and number + 1 < stream.frames - hidden:
        raise failure(path, f"breaks off after {number + 1} of {stream.frames - hidden} frames")
    if not stream.frames and (cut := cut_by_tail(container)):
        raise failure(path, f"breaks off after {number + 1} frames ({cut})")


def _frame(path: Path, one: Decoded, converter: VideoReformatter, pixels: str) -> Frame:
    check_size(path, *displayed(one.frame.width, one.frame.height, one.aspect), MOST_FRAME_PIXELS)
    return Frame(one.number, one.time, upright(one, converter, pixels))


def upright(decoded: Decoded, converter: VideoReformatter, pixels: str) -> RgbImage:
    """A frame's square pixels; a converter that serves all frames of a video is made ready once only."""
    width, height = displayed(decoded.frame.width, decoded.frame.height, decoded.aspect)
    image = np.asarray(converter.reformat(decoded.frame, width, height, format=pixels).to_ndarray(), np.uint8)
    mirrored, clockwise = orientation(decoded.frame)
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, -clockwise // 90), np.uint8)
