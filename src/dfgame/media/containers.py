"""Files opened with FFmpeg, which sees their bytes and nothing else of this machine or any other."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import FFmpegError
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


class _Bytes:
    """A file without its name, so that FFmpeg goes by the content and cannot take the name for an address."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """A file's container and its first moving pictures; a cover in a sound file is none.

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


def aspect_of(stream: av.VideoStream) -> Fraction:
    """How wide its pixels are, as a multiple of their height: 1 where nothing, or nothing sensible, is said."""
    said = stream.sample_aspect_ratio
    return said if said and 1 / _WIDEST <= said <= _WIDEST else Fraction(1)


def displayed(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The sides at which a frame has square pixels: the one that is too short is made longer."""
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    moving = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not moving:
        raise failure(path, "has no video stream")
    stream = moving[0]
    context = stream.codec_context
    if context is None:
        raise failure(path, "its video is of a kind that cannot be decoded")
    if context.width or context.height:
        check_size(path, context.width, context.height, MOST_FRAME_PIXELS)
    context.options = {"max_pixels": str(MOST_FRAME_PIXELS)}
    return stream
