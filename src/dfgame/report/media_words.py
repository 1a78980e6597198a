"""What a file is, and what its own metadata and provenance say, as rows to show."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfgame.records import FileVerdict, MediaFacts, TrackScore
from dfgame.report.inspection_words import clock, length_words
from dfgame.report.language import counted
from dfgame.report.plain import plain

_TOLD = {"present", "valid", "trusted", "signed_by", "note"}
"""What of a manifest is told in sentences; all else is in rows."""
_UNITS = ("bytes", "kB", "MB")


def about_words(said: FileVerdict) -> str:
    """`a video of 1:23, 24 frames looked at, 3 faces followed`."""
    duration = said.facts.duration if said.facts else None
    length = f" of {length_words(duration)}" if said.kind == "video" and duration is not None else ""
    looked = f", {counted(said.frames, 'frame')} looked at" if said.kind == "video" and said.frames else ""
    faces = counted(len(said.tracks), "face") if said.tracks else "no face"
    return f"a {said.kind}{length}{looked}, {faces} {'followed' if said.kind == 'video' and said.tracks else 'found'}."


def fact_rows(said: FileVerdict) -> list[tuple[str, str]]:
    """(subject, what there is to say of it) of a file; what is not known of it is left out."""
    facts = said.facts
    rows = [("path", said.file), ("kind", said.kind)]
    rows += _stream_rows(facts) if facts else []
    rows.append(("frames looked at", f"{said.frames:,}" if said.frames else ""))
    rows.append(("broken off", said.error or ""))
    return [(subject, words) for subject, words in rows if words]


def _stream_rows(facts: MediaFacts) -> list[tuple[str, str]]:
    turned = f", turned by {facts.rotation} degrees" if facts.rotation else ""
    return [
        ("size of the file", size_words(facts.size)),
        ("container", facts.container),
        ("codec", facts.codec),
        ("pixel format", facts.pixel_format),
        ("picture", f"{facts.width} × {facts.height} pixels{turned}"),
        ("duration", "" if facts.duration is None else clock(facts.duration, tenths=True)),
        ("frames", "" if facts.frames is None else f"{facts.frames:,}"),
        ("frame rate", "" if facts.frame_rate is None else f"{facts.frame_rate:.5g} a second"),
        ("bit rate", "" if facts.bit_rate is None else f"{facts.bit_rate / 1000:,.0f} kbit a second"),
        ("video streams", f"{facts.video_streams}, one looked at" if (facts.video_streams or 1) > 1 else ""),
        ("interlaced", "yes" if facts.interlaced else ""),
        ("sound", {True: "yes", False: "none", None: ""}[facts.audio]),
    ]


def size_words(length: float) -> str:
    """A number of bytes."""
    exact = f"{length:,} bytes"
    for unit in _UNITS:
        if length < 1000:
            return exact if unit == "bytes" else f"{length:.3g} {unit} ({exact})"
        length /= 1000
    return f"{length:,.1f} GB ({exact})"


def provenance_words(provenance: Mapping[str, Any]) -> str:
    """Who signed a C2PA manifest, and whether the signature holds.

    Args:
        provenance: `signed_by`; `valid`, whether signature and hashes hold, None if that could not be told; `trusted`,
            whether the signer is on a list; `note`, why it was not read. Any of them may be missing.
    """
    valid, note = provenance.get("valid"), provenance.get("note")
    if valid is None:
        why = f": {plain(str(note))}" if note else ""
        return f"The file seems to carry Content Credentials (C2PA); whether their signature holds is not known{why}."
    who = provenance.get("signed_by")
    by = f"They say that {plain(str(who))} signed them" if who else "They do not say who signed them"
    if not valid:
        return (
            f"The file carries Content Credentials (C2PA). {by}, but the signature does not hold: the file or they "
            "were changed afterwards, or they never were good ones. What they say is worth nothing."
        )
    listed = (
        "The signer is on the validator's list."
        if provenance.get("trusted")
        else "The signer is on no list of the validator's, and anybody can sign in any name."
    )
    return (
        f"The file carries Content Credentials (C2PA). {by}, and the signature holds: the file is as it was when it "
        f"was signed, which does not mean that what it shows is real. {listed}"
    )


def provenance_rows(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All else that a C2PA manifest says, a row a value."""
    return flat_rows({key: value for key, value in provenance.items() if key not in _TOLD})


def place_words(track: TrackScore, facts: MediaFacts | None) -> str:
    """Where in a picture a face is: `upper left`; an empty string where the picture's sides are not known."""
    if facts is None or not track.frames:
        return ""
    left, top, right, bottom = track.frames[0].box[:4]
    across = _third((left + right) / 2, facts.width, ("left", "", "right"))
    down = _third((top + bottom) / 2, facts.height, ("upper", "", "lower"))
    return " ".join(filter(None, (down, across))) or "in the middle"


def _third(place: float, side: int, names: tuple[str, str, str]) -> str:
    return names[min(max(int(3 * place / max(side, 1)), 0), 2)]


def flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Nested values as rows: `thresholds fake`, `0.64`."""
    if isinstance(value, Mapping):
        return [row for key in sorted(value) for row in flat(f"{name} {key}", value[key])]
    if isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        return [row for number, item in enumerate(value, 1) for row in flat(f"{name} {number}", item)]
    if isinstance(value, (list, tuple)):
        return [(name, ", ".join(map(str, value)))] if value else []
    if isinstance(value, bool):
        return [(name, "yes" if value else "no")]
    return [] if value is None else [(name, str(value))]


def flat_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings, versions and the like as rows, sorted by name."""
    return [row for key in sorted(values) for row in flat(key, values[key])]


def shortened(rows: Sequence[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """Rows of text that nobody has checked: no more than `most` rows, and characters of each word in them."""
    shown = [(plain(subject, most), plain(said, most)) for subject, said in rows[:most]]
    left = len(rows) - len(shown)
    return [*shown, ("not shown here", f"{left:,} more, which are in the data")] if left else shown
