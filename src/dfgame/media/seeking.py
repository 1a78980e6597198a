"""Some frames of a long video, found by their time stamps: only what lies between a key frame and them is decoded.

And of that only what they are made from: frames that no other refers to are left out, unless they are wanted.
"""

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from dfgame.media.combs import Decoded
from dfgame.media.containers import aspect_of, cut_by_tail, is_disordered, time_of

FEWEST_FRAMES = 250
"""Frames of a video from which on a seek may pay."""
FRAMES_FOR_ONE = 10
"""How many frames a video has for each that is wanted, from which on a seek may pay."""
_NO_LEAP = 8
_PACKETS_TO_KEY = 2000
_ONE_FRAME_A_PACKET = frozenset(
    {"h264", "hevc", "vvc", "vp9", "av1", "libdav1d", "mpeg2video", "prores", "dnxhd", "mjpeg", "ffv1"}
)


class LostError(Exception):
    """A seek did not lead where it should: the video must be decoded from its beginning."""


@dataclass(frozen=True, slots=True)
class Packets:
    """What the packets of a video say in the order they are decoded in.

    `stamps` are when their frames are shown and `decoded_at` when they are decoded, in ticks; `keys` which are key
    frames. `shown` are the time stamps of the frames that are shown, in the order of time: of frame 0, of frame 1, ...
    """

    stamps: NDArray[np.int64]
    decoded_at: NDArray[np.int64]
    keys: NDArray[np.bool_]
    shown: NDArray[np.int64]


def read_packets(container: InputContainer, stream: av.VideoStream) -> Packets | None:
    """Read all packets, without decoding; None where they do not say which frame is when."""
    if is_disordered(container, stream):
        return None
    stamps, decoded_at, keys, hidden = array("q"), array("q"), array("b"), array("b")
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.pts is None or packet.is_corrupt:
                return None
            stamps.append(packet.pts)
            decoded_at.append(packet.pts if packet.dts is None else min(packet.dts, packet.pts))
            keys.append(packet.is_keyframe)
            hidden.append(packet.is_discard)
    except FFmpegError:
        return None
    all_stamps, is_hidden = np.array(stamps, np.int64), np.array(hidden, bool)
    shown = np.sort(all_stamps[~is_hidden])
    packets = Packets(all_stamps, np.array(decoded_at, np.int64), np.array(keys, bool), shown)
    whole = len(all_stamps) >= stream.frames if stream.frames else not cut_by_tail(container)
    return packets if whole and _says_all(packets) else None


def can_be_sought(stream: av.VideoStream) -> bool:
    """Whether each packet of such a video is one frame, with a time stamp of its own."""
    return stream.codec_context.name in _ONE_FRAME_A_PACKET


def _says_all(packets: Packets) -> bool:
    """Whether the first packet is a key frame, the first to be shown, and no two frames have one time."""
    stamps, shown = packets.stamps, packets.shown
    return bool(len(shown) and packets.keys[0] and stamps[0] == stamps.min() and len(np.unique(stamps)) == len(stamps))


def seek_frames(
    container: InputContainer, stream: av.VideoStream, packets: Packets, wanted: Collection[int]
) -> Iterator[Decoded]:
    """Frames in the order of time, those with the wanted numbers among them; those out of range are left out.

    Raises:
        LostError: a frame is not found, or not decoded; those before it have been given.
    """
    numbers = sorted(number for number in wanted if 0 <= number < len(packets.shown))
    stamps = frozenset(packets.shown[numbers].tolist())
    run: Iterator[Decoded] = iter(())
    at = -1 - _NO_LEAP
    for number in numbers:
        key = _key_before(packets, number)
        key_number = int(np.searchsorted(packets.shown, packets.stamps[key]))
        if key_number > at + _NO_LEAP:
            run = _from_key(container, stream, packets, key, stamps)
        found = next((one for one in run if one.number >= number), None)
        if found is None or found.number != number:
            raise LostError
        at = number
        yield found


def _key_before(packets: Packets, number: int) -> int:
    """The place of the last key frame that is decoded before a frame is shown, and shown no later than it."""
    stamp = packets.shown[number]
    own = int(np.flatnonzero(packets.stamps == stamp)[0])
    keys = np.flatnonzero(packets.keys[: own + 1] & (packets.stamps[: own + 1] <= stamp))
    return int(keys[-1])


def _from_key(
    container: InputContainer, stream: av.VideoStream, packets: Packets, key: int, wanted: Collection[int]
) -> Iterator[Decoded]:
    """The frames from a key frame on, those with the wanted time stamps among them; none that is shown before it."""
    start = packets.stamps[key]
    try:
        container.seek(int(packets.decoded_at[key]), stream=stream)
        found = False
        for passed, packet in enumerate(container.demux(stream)):
            found = found or packet.pts == start
            if not found and passed > _PACKETS_TO_KEY:
                raise LostError
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts is None or packet.pts in wanted else "NONREF"
            for frame in packet.decode() if found else ():
                if frame.pts is None or frame.pts >= start:
                    number, time = _number_of(frame, packets), time_of(frame.pts, 0, container, stream)
                    yield Decoded(number, frame, time, aspect_of(stream))
    except FFmpegError:
        raise LostError from None


def _number_of(frame: av.VideoFrame, packets: Packets) -> int:
    place = len(packets.shown) if frame.pts is None else int(np.searchsorted(packets.shown, frame.pts))
    if place == len(packets.shown) or packets.shown[place] != frame.pts:
        raise LostError
    return place
