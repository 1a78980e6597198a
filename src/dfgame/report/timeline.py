"""Where the marks of a timeline stand. A lane a face: time runs to the right, the score upwards."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dfgame.records import FaceScore, FileVerdict, TrackScore, Verdict
from dfgame.report.inspection_words import VERDICT_WORDS, clock, percent

HEIGHT, MARGIN = 64, 9
"""Of a lane, in pixels; marks stay this far from its upper and lower edge."""
MOST_MARKS = 200
"""Frames of a longer track are drawn together: one mark for all within this share of the film's length."""
_MOST_TICKS = 7
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Mark:
    """One frame, or several neighbours: `x` in percent, `y`, `high` and `low` in pixels from above.

    `high` and `low` are the ends of the whisker over several frames' scores, the same for one frame. `frame` is the
    number of a frame of which there is a picture, None for all others.
    """

    x: float
    y: float
    high: float
    low: float
    verdict: Verdict
    title: str
    frame: int | None


@dataclass(frozen=True, slots=True)
class Lane:
    """A face's marks, and from where to where, in percent, it is on screen."""

    track: TrackScore
    start: float
    end: float
    marks: tuple[Mark, ...]


def height_of(p_fake: float) -> float:
    """Where a score stands in a lane, in pixels from above."""
    return round(MARGIN + (1 - p_fake) * (HEIGHT - 2 * MARGIN), 1)


def length_of(said: FileVerdict) -> float:
    """The length of a film in seconds, never 0: as its container says, but never less than what was seen of it."""
    seen = max((track.last_time for track in said.tracks), default=0.0)
    claimed = said.facts.duration if said.facts and said.facts.duration else 0.0
    return max(seen, claimed if math.isfinite(claimed) else 0.0) or 1.0


def lane_of(track: TrackScore, length: float, pictured: frozenset[int], verdict: Callable[[float], Verdict]) -> Lane:
    """The marks of a face in a film of `length` seconds; frames that are `pictured` have a mark of their own."""
    marks = [_mark(frames, length, pictured, verdict) for frames in _together(track.frames, length, pictured)]
    return Lane(track, _x(track.first_time, length), _x(track.last_time, length), tuple(marks))


def _together(frames: Sequence[FaceScore], length: float, pictured: frozenset[int]) -> list[list[FaceScore]]:
    if len(frames) <= MOST_MARKS:
        return [[frame] for frame in frames]
    groups: dict[tuple[int, int], list[FaceScore]] = {}
    for frame in frames:
        alone = frame.frame if frame.frame in pictured else -1
        groups.setdefault((int(MOST_MARKS * frame.time / length), alone), []).append(frame)
    return list(groups.values())


def _mark(
    frames: Sequence[FaceScore], length: float, pictured: frozenset[int], verdict: Callable[[float], Verdict]
) -> Mark:
    counting = [frame for frame in frames if frame.counts]
    scores = [frame.p_fake for frame in counting or frames]
    mean = sum(scores) / len(scores)
    said = verdict(mean) if counting else "inconclusive"
    first, last = frames[0], frames[-1]
    return Mark(
        _x((first.time + last.time) / 2, length),
        height_of(mean),
        height_of(max(scores)),
        height_of(min(scores)),
        said,
        f"{_when(frames)}, {VERDICT_WORDS[said]}",
        first.frame if len(frames) == 1 and first.frame in pictured else None,
    )


def _when(frames: Sequence[FaceScore]) -> str:
    if len(frames) == 1:
        aside = "" if frames[0].counts else " (turned to a side: does not count)"
        return f"{clock(frames[0].time, tenths=True)}, frame {frames[0].frame}: {percent(frames[0].p_fake)}{aside}"
    counting = [frame for frame in frames if frame.counts]
    scores = [frame.p_fake for frame in counting or frames]
    low, mean, high = percent(min(scores)), percent(sum(scores) / len(scores)), percent(max(scores))
    span = f"{clock(frames[0].time)} to {clock(frames[-1].time)}"
    left = len(frames) - len(counting)
    aside = f" ({left} turned to a side: not counted)" if left else ""
    return f"{span}, {len(frames)} frames{aside}: mean {mean}, from {low} to {high}"


def ticks(length: float) -> list[tuple[float, str]]:
    """(place in percent, words) of the marks of the axis of time."""
    step = next((step for step in _STEPS if length / step <= _MOST_TICKS), None)
    step = step or 86400 * math.ceil(length / 86400 / _MOST_TICKS)
    return [(_x(number * step, length), clock(number * step)) for number in range(int(length / step) + 1)]


def _x(seconds: float, length: float) -> float:
    return round(100 * min(max(seconds / length, 0.0), 1.0), 2)
