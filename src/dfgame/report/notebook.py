"""A verdict as a notebook shows it: a sentence, then a lane for each face, without script and the same every time."""

from dataclasses import fields
from html import escape

from dfgame.records import FileVerdict, TrackScore, Verdict
from dfgame.report.inspection_words import caveats, clock, name_of, summary_lines, track_sentence, verdict_sentence

MOST_FACES = 12
"""Faces that are shown, the most suspicious first; of the others their number is told."""
_WIDTH, _LANE, _DOT = 560, 34, 3
_COLOURS: dict[Verdict, str] = {"fake": "#b3380f", "real": "#0b5f8a", "inconclusive": "#57606c", "no face": "#57606c"}


class ShownVerdict(FileVerdict):
    """A verdict that a notebook shows as a picture, and `print` as lines."""

    __slots__ = ()

    @classmethod
    def of(cls, said: FileVerdict) -> "ShownVerdict":
        """The same verdict."""
        return cls(**{item.name: getattr(said, item.name) for item in fields(said)})

    def __str__(self) -> str:
        return "\n".join(summary_lines(self))

    def _repr_html_(self) -> str:
        return verdict_html(self)


def verdict_html(said: FileVerdict) -> str:
    """A fragment of HTML with an SVG for each face: its frames by time, the higher the likelier forged."""
    shown = sorted(said.tracks, key=lambda track: -track.p_fake)[:MOST_FACES]
    last = max((track.last_time for track in said.tracks), default=0.0)
    rows = [f"<div>{escape(track_sentence(track, said.kind))}{_lane(track, last)}</div>" for track in shown]
    left = len(said.tracks) - len(shown)
    notes = [*caveats(said), *([f"{left} more faces are not shown."] if left else [])]
    return (
        '<div style="font-family:sans-serif;max-width:40em">'
        f"<p><b>{escape(verdict_sentence(said))}</b><br>{escape(name_of(said.file))}</p>"
        + "".join(f"<p>{escape(note)}</p>" for note in notes)
        + "".join(rows)
        + "</div>"
    )


_ASIDE = ' fill="none" stroke="currentColor"'
"""How a frame looks in which the face is turned to a side."""


def _lane(track: TrackScore, last: float) -> str:
    """The face's frames; of a picture, which has no time, its one mark."""
    room = _LANE - 2 * _DOT
    dots = "".join(
        f'<circle cx="{_across(frame.time, last):.1f}" cy="{_DOT + (1 - frame.p_fake) * room:.1f}" r="{_DOT}"'
        f"{'' if frame.counts else _ASIDE}/>"
        for frame in track.frames
    )
    start, end = _across(track.first_time, last), _across(track.last_time, last)
    return (
        f'<svg role="img" aria-label="scores from {clock(track.first_time)} to {clock(track.last_time)}" '
        f'width="{_WIDTH}" height="{_LANE}" viewBox="0 0 {_WIDTH} {_LANE}" style="display:block">'
        f'<rect x="{start - _DOT:.1f}" width="{end - start + 2 * _DOT:.1f}" height="{_LANE}" fill="#8884" rx="4"/>'
        f'<g fill="{_COLOURS[track.verdict]}">{dots}</g></svg>'
    )


def _across(time: float, last: float) -> float:
    return _DOT + (_WIDTH - 2 * _DOT) * (time / last if last > 0 else 0.5)
