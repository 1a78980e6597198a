"""Videos out: H.264 at a given CRF."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from dfgame.files import atomic_path
from dfgame.media.combs import without_combs
from dfgame.media.containers import opened, orientation
from dfgame.media.pictures import RgbImage
from dfgame.media.videos import decoded_frames, upright

_LOSSLESS = {"qp": "0", "preset": "ultrafast"}
_LOSSY = {"preset": "fast", "x264-params": "mbtree=0"}
_COLOURS = ("colorspace", "color_range", "color_primaries", "color_trc")
"""What a frame says of its numbers: the matrix and range that make them colours, and these colours' own."""


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


class H264Clip:
    """A clip that goes through H.264 at a CRF, 4:2:0, in memory, on one thread, frame by frame.

    Only the few frames that the encoder looks ahead are kept. The same frames give the same bytes.
    """

    def __init__(self, crf: int, preset: str = "veryfast") -> None:
        self._encoder, self._decoder = (
            av.VideoCodecContext.create("libx264", "w"),
            av.VideoCodecContext.create("h264", "r"),
        )
        self._encoder.pix_fmt, self._encoder.time_base = "yuv420p", Fraction(1, 25)
        self._decoder.thread_count = 1
        self._encoder.options = {"crf": str(crf), "preset": preset, "x264-params": "mbtree=0", "threads": "1"}
        self._shape: tuple[int, ...] = ()
        self._number = 0

    def add(self, image: RgbImage) -> list[RgbImage]:
        """Take the next frame; returns those that are done, in their order.

        All frames are of one size. An odd side is encoded with a border pixel repeated, which is cut off again.
        """
        height, width = image.shape[:2]
        even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if not self._number:
            self._shape = image.shape[:2]
            self._encoder.height, self._encoder.width = even.shape[:2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame.pts = self._number
        self._number += 1
        return [one for packet in self._encoder.encode(frame) for one in self._shown(packet)]

    def end(self) -> list[RgbImage]:
        """The frames that are left, after the last one was added."""
        return [one for packet in (*self._encoder.encode(None), None) for one in self._shown(packet)]

    def _shown(self, packet: av.Packet | None) -> list[RgbImage]:
        height, width = self._shape
        pictures = (np.asarray(one.to_ndarray(format="rgb24"), np.uint8) for one in self._decoder.decode(packet))
        return [picture[:height, :width] for picture in pictures]


def through_h264(frames: Sequence[RgbImage], crf: int, preset: str = "veryfast") -> list[RgbImage]:
    """What a viewer of a short clip sees: the frames after `H264Clip`, as many as went in."""
    clip = H264Clip(crf, preset)
    return [*(shown for image in frames for shown in clip.add(image)), *clip.end()]


def transcode(path: Path, to: Path, crf: int) -> None:
    """Encode a video again as H.264 at a CRF, frame by frame with the same time stamps, whole or not at all.

    It comes out upright, without combs, with square pixels, 4:2:0, with even sides (an odd one is scaled by a pixel),
    encoded as by `write_video`; what its brightness and colours stand for stays, and is written down.

    Raises:
        MediaError: it cannot be read to its end.
    """
    with opened(path) as (source, stream), atomic_path(to) as temporary, av.open(str(temporary), "w") as target:
        stream.codec_context.thread_count = 1
        options = {"crf": str(crf), **_LOSSY, "threads": "1"}
        encoder = target.add_stream("libx264", rate=stream.average_rate or 25, options=options)
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = stream.time_base
        converter = VideoReformatter()
        for decoded in without_combs(decoded_frames(path, source, stream), None):
            frame = decoded.frame
            is_odd = any(orientation(frame)) or decoded.aspect != 1
            whole = av.VideoFrame.from_ndarray(upright(decoded, converter, "rgb24")) if is_odd else frame
            if decoded.number == 0:
                encoder.width, encoder.height = whole.width // 2 * 2, whole.height // 2 * 2
                for name in _COLOURS:
                    setattr(encoder.codec_context, name, getattr(whole, name))
            fitting = whole.reformat(width=encoder.width, height=encoder.height, format="yuv420p")
            fitting.pts, fitting.time_base = frame.pts, frame.time_base
            target.mux(encoder.encode(fitting))
        target.mux(encoder.encode())
