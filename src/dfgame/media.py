"""Pictures and videos in and out: upright RGB frames with true time stamps, H.264 at a given CRF."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from dfgame.files import atomic_path
from dfgame.records import UserError

RgbImage = NDArray[np.uint8]
"""Height x width x 3, red first, 0 to 255."""

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".pgm", ".ppm"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"})
_LOSSLESS = {"qp": "0", "preset": "ultrafast"}
_LOSSY = {"preset": "fast", "x264-params": "mbtree=0"}


class MediaError(UserError):
    """A picture or video that cannot be read; the message is one line that names the file."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame: its number in the video from 0, its time stamp in seconds, its upright pixels."""

    index: int
    time: float
    image: RgbImage


def count_frames(path: Path) -> int:
    """The number of frames: the container's word, or a count of its packets where it says nothing; 1 of a picture.

    Raises:
        MediaError: it is not a video.
    """
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return 1
    with _opened(path) as container:
        stream = _video_stream(container, path)
        if stream.frames:
            return stream.frames
        try:
            return sum(packet.size > 0 for packet in container.demux(stream))
        except FFmpegError as error:
            raise MediaError(f"{path}: cannot be read to its end ({error.strerror})") from None


def read_frames(path: Path, indices: Collection[int] | None = None, grey: bool = False) -> Iterator[Frame]:
    """Decode a video once, in order, on one thread; yield all frames, or those with the given numbers.

    Frames are turned upright. Of a damaged file, what can be decoded is yielded first. A picture is one frame. With
    `grey` the images are height x width, the video's brightness alone.

    Raises:
        MediaError: it is not a video, or it ends or breaks before all its declared frames were decoded.
    """
    if path.suffix.lower() in PICTURE_SUFFIXES:
        if indices is None or 0 in indices:
            image = read_image(path)
            yield Frame(0, 0.0, image.max(axis=2) if grey else image)
        return
    last = max(indices, default=-1) if indices is not None else None
    with _opened(path) as container:
        stream = _video_stream(container, path)
        stream.codec_context.thread_count = 1
        converter, pixels = VideoReformatter(), "gray" if grey else "rgb24"
        index, hidden = -1, 0
        try:
            for packet in container.demux(stream):
                hidden += packet.is_discard  # an edit list leaves it out: it is declared, and never shown
                for decoded in packet.decode():
                    index += 1
                    if indices is None or index in indices:
                        yield Frame(index, float(decoded.time or 0.0), _upright(decoded, converter, pixels))
                    if index == last:
                        return
        except FFmpegError as error:
            raise MediaError(f"{path}: breaks off after {index + 1} frames ({error.strerror})") from None
        if index < 0:
            raise MediaError(f"{path}: a video without a frame")
        if stream.frames and index + 1 < stream.frames - hidden:
            raise MediaError(f"{path}: breaks off after {index + 1} of {stream.frames - hidden} frames")


def write_video(path: Path, frames: Iterable[RgbImage], fps: int, crf: int) -> None:
    """Write H.264, whole or not at all, on one thread so that the bytes do not depend on the machine's cores.

    `crf` 0 is lossless in yuv444p (up to the rounding of RGB to YUV); any other is 4:2:0 with x264's preset
    "fast", which spends some bits more than the default for twice the speed. Frames are of one, even size. Its
    macroblock tree is off: where the width is no multiple of 16, that reads memory nobody wrote, and now and then
    the same frames gave other bytes.
    """
    with atomic_path(path) as temporary, av.open(str(temporary), "w") as container:
        options = _LOSSLESS if crf == 0 else {"crf": str(crf), **_LOSSY}
        stream = container.add_stream("libx264", rate=fps, options=options | {"threads": "1"})
        stream.pix_fmt = "yuv444p" if crf == 0 else "yuv420p"
        for number, image in enumerate(frames):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def through_h264(frames: Sequence[RgbImage], crf: int, preset: str = "veryfast") -> list[RgbImage]:
    """What a viewer of a short clip sees: the frames after H.264 at a CRF, 4:2:0, in memory, on one thread.

    Frames are of one, even size. As many come back as went in; the same frames give the same bytes.
    """
    encoder, decoder = av.VideoCodecContext.create("libx264", "w"), av.VideoCodecContext.create("h264", "r")
    encoder.height, encoder.width = frames[0].shape[:2]
    encoder.pix_fmt, encoder.time_base, decoder.thread_count = "yuv420p", Fraction(1, 25), 1
    encoder.options = {"crf": str(crf), "preset": preset, "x264-params": "mbtree=0", "threads": "1"}
    shown: list[av.VideoFrame] = []
    for number, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        for packet in encoder.encode(frame):
            shown += decoder.decode(packet)
    for packet in encoder.encode(None):
        shown += decoder.decode(packet)
    shown += decoder.decode(None)
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in shown]


def transcode(path: Path, to: Path, crf: int) -> None:
    """Encode a video again as H.264 at a CRF, frame by frame with the same time stamps, whole or not at all.

    It comes out upright, 4:2:0, with even sides (an odd one is scaled by a pixel), encoded as by `write_video`.

    Raises:
        MediaError: it cannot be read to its end.
    """
    with _opened(path) as source, atomic_path(to) as temporary, av.open(str(temporary), "w") as target:
        stream = _video_stream(source, path)
        stream.codec_context.thread_count = 1
        options = {"crf": str(crf), **_LOSSY, "threads": "1"}
        encoder = target.add_stream("libx264", rate=stream.average_rate or 25, options=options)
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = stream.time_base
        number = 0
        converter = VideoReformatter()
        try:
            for number, decoded in enumerate(source.decode(stream), start=1):
                turned = _upright(decoded, converter, "rgb24") if decoded.rotation else None
                upright = decoded if turned is None else av.VideoFrame.from_ndarray(turned)
                if number == 1:
                    encoder.width, encoder.height = upright.width // 2 * 2, upright.height // 2 * 2
                fitting = upright.reformat(width=encoder.width, height=encoder.height, format="yuv420p")
                fitting.pts, fitting.time_base = decoded.pts, decoded.time_base
                target.mux(encoder.encode(fitting))
        except FFmpegError as error:
            raise MediaError(f"{path}: breaks off after {number} frames ({error.strerror})") from None
        if stream.frames and number < stream.frames:
            raise MediaError(f"{path}: breaks off after {number} of {stream.frames} frames")
        target.mux(encoder.encode())


def read_image(path: Path) -> RgbImage:
    """Read a picture as upright 8-bit RGB; grey, CMYK, palette, 16-bit and EXIF rotation are understood.

    Raises:
        MediaError: it is not a picture or is damaged.
    """
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith(("I", "F")):
                return _from_deep_grey(np.asarray(upright))
            return np.asarray(upright.convert("RGB"), np.uint8)
    except UnidentifiedImageError:
        raise MediaError(f"{path}: not a picture") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None


def _from_deep_grey(values: NDArray[np.generic]) -> RgbImage:
    """16-bit grey (or 32-bit and float, by its own largest value) as 8-bit RGB."""
    numbers = np.nan_to_num(values.astype(np.float64))
    top = 65535.0 if numbers.max() > 255 and numbers.max() <= 65535 else max(numbers.max(), 1.0)
    grey = np.clip(numbers * (255 / top), 0, 255).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _opened(path: Path) -> InputContainer:
    try:
        return av.open(str(path), metadata_errors="replace")
    except FileNotFoundError:
        raise MediaError(f"{path}: no such file") from None
    except (FFmpegError, OSError) as error:
        reason = "empty" if path.is_file() and path.stat().st_size == 0 else error.strerror
        raise MediaError(f"{path}: not a video ({reason})") from None


def _video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    if not container.streams.video:
        raise MediaError(f"{path}: has no video stream")
    return container.streams.video[0]


def _upright(decoded: av.VideoFrame, converter: VideoReformatter, pixels: str) -> RgbImage:
    """A frame's pixels; a converter that serves all frames of a video is made ready once only."""
    image = np.asarray(converter.reformat(decoded, format=pixels).to_ndarray(), np.uint8)
    quarter_turns = round(decoded.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns), np.uint8)
