"""Files opened with FFmpeg, which sees their bytes and nothing else of this machine or any other."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.stream import Disposition

from dfgame.media.boxes import check_tables
from dfgame.media.guard import MOST_FRAME_PIXELS, check_size, failure, open_regular, reason_of

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,obu,av1,ivf,flv,live_flv,asf,"
    "ogg,mxf,gxf,dv,rm,wtv,swf,nsv,nut,h261,h263,vc1,vc1test,cavsvideo,dirac,yuv4mpegpipe,mjpeg,ea,bink,smk,roq,flic,"
    "amv,mp3,wav,flac,aac"
)
"""FFmpeg's demuxers that are used: those that read one file. None of playlists, lists of files, streams, devices."""
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none", "max_pixels": str(MOST_FRAME_PIXELS)}
_SECONDS_TO_OPEN = 30.0
_WIDEST = 4
_RATE = 25
"""Frames a second of a stream that says nothing of it."""
_TAIL = 1.0
"""Seconds that a container without an index may claim more than it holds."""


class _Bytes:
    """A file without its name, so that FFmpeg goes by the content and cannot take the name for an address."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """A file's container and its moving pictures, of several those that are shown by default, or the first.

    A cover in a sound file is none.

    Raises:
        MediaError: it is not a video, or its frames are said to be larger than MOST_FRAME_PIXELS.
    """
    with open_regular(path) as file:
        check_tables(file, path)
        try:
            container = av.open(
                _Bytes(file), "r", options=_OPTIONS, metadata_errors="replace", timeout=(_SECONDS_TO_OPEN, None)
            )
        except (FFmpegError, OSError, ValueError, MemoryError) as error:
            raise failure(path, f"not a video and not a picture ({reason_of(error)})") from None
        with container:
            yield container, _video_stream(container, path)


def is_disordered(container: InputContainer, stream: av.VideoStream) -> bool:
    """Whether the time stamps of packets may be those of other frames: AVI has none, and counts in decoding order."""
    return container.format.name == "avi" and bool(stream.codec_context.has_b_frames)


def declared_frames(container: InputContainer, stream: av.VideoStream) -> int:
    """How many frames a container says it shows, without those that an edit list hides; 0 if it says nothing."""
    if not stream.frames or "mov" not in container.format.name:
        return stream.frames
    shown = sum(not entry.is_discard for entry in stream.index_entries)
    return min(stream.frames, shown) or stream.frames


def seconds_of(container: InputContainer) -> float:
    """How long a file says it is, from its first frame or sound on; 0 if it says nothing."""
    end = container.duration or 0
    if "matroska" in container.format.name:  # it tells the time at its end
        end -= container.start_time or 0
    return max(end, 0) / av.time_base


def start_of(container: InputContainer) -> float:
    """The time stamp in seconds at which a player's clock stands at 0."""
    return (container.start_time or 0) / av.time_base


def time_of(stamp: int | None, number: int, container: InputContainer, stream: av.VideoStream) -> float:
    """When a frame is shown, in seconds from the beginning: by its stamp, or else its number and the frame rate."""
    if stamp is None:
        return number / float(stream.average_rate or _RATE)
    return stamp * float(stream.time_base or 1) - start_of(container)


def cut_by_tail(container: InputContainer) -> str:
    """Why a container without an index ends too early, by its last packets; empty if it does not, or nothing is found.

    Some, as FLV, cannot be sought to their end.
    """
    promised = seconds_of(container)
    if not promised:
        return ""
    try:
        container.seek(container.duration or 0)
        times = [float(packet.pts * packet.time_base) for packet in container.demux() if packet.pts is not None]
    except FFmpegError:
        return ""
    held = max(times) - start_of(container) if times else promised
    return f"holds {held:.1f} of {promised:.1f} seconds" if promised - held > _TAIL else ""


def aspect_of(stream: av.VideoStream) -> Fraction:
    """How wide its pixels are, as a multiple of their height: 1 where nothing, or nothing sensible, is said."""
    said = stream.sample_aspect_ratio
    return said if said and 1 / _WIDEST <= said <= _WIDEST else Fraction(1)


def displayed(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The sides at which a frame has square pixels: the one that is too short is made longer."""
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def orientation(frame: av.VideoFrame) -> tuple[bool, int]:
    """How a frame is to be shown, as EXIF says it: whether mirrored left to right, and then turned how far clockwise.

    The angle is 0, 90, 180 or 270 degrees.
    """
    beside: Any = frame.side_data  # typed as a mapping of texts
    said = beside.get(Type.DISPLAYMATRIX)
    if said is None:
        return False, 0
    across, down, _, other, deep = np.frombuffer(said, np.int32, 5).astype(np.int64)
    mirrored = across * deep < down * other
    sign = -1 if mirrored else 1
    return bool(mirrored), round(np.degrees(np.arctan2(sign * down, sign * across)) / 90) % 4 * 90


def moving_pictures(container: InputContainer) -> list[av.VideoStream]:
    """All video streams but covers."""
    return [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]


def _video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    moving = moving_pictures(container)
    if not moving:
        raise failure(path, "has no video stream")
    stream = next((one for one in moving if one.disposition & Disposition.default), moving[0])
    context = stream.codec_context
    if context is None:
        raise failure(path, "its video is of a kind that cannot be decoded")
    if context.width or context.height:
        check_size(path, context.width, context.height, MOST_FRAME_PIXELS)
    context.options = {"max_pixels": str(MOST_FRAME_PIXELS)}
    return stream
