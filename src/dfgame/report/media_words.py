"""What a file is, and what its own metadata and provenance say, as rows to show."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfgame.records import FileVerdict, MediaFacts
from dfgame.report.inspection_words import clock
from dfgame.report.plain import plain
from dfgame.report.words import counted

SIGNED_BY = ("signed_by", "signer", "issuer")
HOLDS = ("signature_valid", "valid", "holds")
_UNITS = ("bytes", "kB", "MB")


def about_words(said: FileVerdict) -> str:
    """`a video of 1:23, 24 frames looked at, 3 people`."""
    duration = said.facts.duration if said.facts else None
    length = f" of {clock(duration)}" if said.kind == "video" and duration is not None else ""
    looked = f", {counted(said.frames, 'frame')} looked at" if said.kind == "video" and said.frames else ""
    people = counted(len(said.tracks), "person", "people") if said.tracks else "nobody"
    return f"a {said.kind}{length}{looked}, {people} found."


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
        provenance: `signed_by` (or `signer`, `issuer`) and `signature_valid` (or `valid`, `holds`: True, False, or None
            where that was not checked) are told; whatever else there is belongs into a table.
    """
    who, holds = _first(provenance, SIGNED_BY), _first(provenance, HOLDS)
    by = f"It says that it was signed by {who}" if who else "It does not say by whom it was signed"
    if holds is True:
        return (
            f"The file carries Content Credentials (C2PA). {by}, and the signature holds: file and manifest are as they "
            "were when it was signed. Whether to trust the signer, and what was signed, is for the reader to judge."
        )
    if holds is False:
        return (
            f"The file carries Content Credentials (C2PA). {by}, but the signature does not hold: file or manifest "
            "were changed afterwards, or it was never a good one. What the manifest says is worth nothing."
        )
    return f"The file carries Content Credentials (C2PA). {by}; whether the signature holds was not checked."


def provenance_rows(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All else that a C2PA manifest says, a row a value."""
    told = {*SIGNED_BY, *HOLDS}
    return flat_rows({key: value for key, value in provenance.items() if key not in told})


def flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Nested values as rows: `thresholds fake`, `0.64`."""
    if isinstance(value, Mapping):
        return [row for key in sorted(value) for row in flat(f"{name} {key}", value[key])]
    if isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        return [row for number, item in enumerate(value, 1) for row in flat(f"{name} {number}", item)]
    if isinstance(value, (list, tuple)):
        return [(name, ", ".join(map(str, value)))] if value else []
    return [] if value is None else [(name, {True: "yes", False: "no"}.get(value, str(value)))]


def flat_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings, versions and the like as rows, sorted by name."""
    return [row for key in sorted(values) for row in flat(key, values[key])]


def shortened(rows: Sequence[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """Rows of text that nobody has checked: no more than `most` rows, and characters of each word in them."""
    shown = [(plain(subject, most), plain(said, most)) for subject, said in rows[:most]]
    left = len(rows) - len(shown)
    return [*shown, ("not shown here", f"{left:,} more, which are in the data")] if left else shown


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)
