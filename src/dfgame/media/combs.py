"""Interlaced frames without the combs that their two fields, a fiftieth of a second apart, leave on what moves."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av.error import FFmpegError
from av.filter import Graph

from dfgame.media.guard import MediaError


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame as the decoder gave it, its number in the video from 0, when it is shown, in seconds from the beginning.

    And how wide its pixels are for their height.
    """

    number: int
    frame: av.VideoFrame
    time: float = 0.0
    aspect: Fraction = Fraction(1)


def without_combs(frames: Iterator[Decoded], wanted: Collection[int] | None) -> Iterator[Decoded]:
    """The wanted frames of those given, the interlaced ones filtered with their neighbours, where these are given."""
    before: Decoded | None = None
    held: Decoded | None = None
    waits = False
    try:
        for one in frames:
            if held is not None and waits:
                yield _filtered(before, held, one)
            before, held = held, one
            is_wanted = wanted is None or one.number in wanted
            waits = is_wanted and one.frame.interlaced_frame
            if is_wanted and not waits:
                yield one
    except MediaError:
        if held is not None and waits:
            yield _filtered(before, held, None)
        raise
    if held is not None and waits:
        yield _filtered(before, held, None)


def _filtered(before: Decoded | None, held: Decoded, after: Decoded | None) -> Decoded:
    """A frame through FFmpeg's bwdif, which looks at the frame before and the one after, if they are those."""
    first = [before.frame] if before is not None and _neighbours(before, held) else []
    last = [after.frame] if after is not None and _neighbours(held, after) else []
    graph, frame = Graph(), held.frame
    with suppress(FFmpegError, ValueError):  # a frame that the filter does not take stays as it is
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        smooth = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        graph.link_nodes(source, smooth, graph.add("buffersink")).configure()
        for given in (*first, frame, *last, None):
            graph.vpush(given)
        for _ in first:
            graph.vpull()
        return replace(held, frame=graph.vpull())
    return held


def _neighbours(first: Decoded, second: Decoded) -> bool:
    a, b = first.frame, second.frame
    alike = (a.width, a.height, a.format.name) == (b.width, b.height, b.format.name)
    return second.number == first.number + 1 and alike
