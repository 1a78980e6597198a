"""What can be wrong with a data set: the kinds, how bad each is, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

_AGAIN = "fetch these files again: download or copy them, and compare their sizes with the source's"
KINDS: dict[str, tuple[Severity, str]] = {
    "missing": ("error", "fetch these files, or go on without them"),
    "empty": ("error", _AGAIN),
    "truncated": ("error", _AGAIN),
    "undecodable": ("error", _AGAIN),
    "crashed": ("error", "look at these files with ffprobe; extraction would lose them, too"),
    "no-pictures": ("error", "cut these videos' faces out again, or remove the folders"),
    "labels": ("error", "see the documentation of the list: which of 0 and 1 is fake?"),
    "split-copies": ("error", "keep one of each, in one split: a model is tested on what it was trained on"),
    "quality": ("error", "encode them again from raw (dfgame extract --qualities), or move them to their quality"),
    "counts": ("warning", "compare with the source: published figures are on all of them"),
    "target-missing": ("warning", "fetch the real videos; without them these fakes have no counterpart"),
    "source-missing": ("warning", "fetch the real videos; without them nobody can tell whose face it is"),
    "mask-missing": ("warning", "fetch the masks; without one, the largest face is taken for the altered one"),
    "mask-length": ("warning", "fetch these masks, or their fakes, again"),
    "identities": ("warning", "put each person into one split: a detector may learn the face and not the forgery"),
    "near-copies": ("warning", "look at each pair; keep one of it, or bring both into one split"),
    "copies": ("warning", "keep one of each: copies count twice in every figure"),
    "quality-order": (
        "warning",
        "look at them with ffprobe; encode them again from raw if they are of another quality",
    ),
    "resolution": ("warning", "fetch both again: a detector may learn the size and not the forgery"),
    "rate": ("warning", "fetch both again: frames of one moment no longer have one number"),
    "longer": ("warning", "fetch both again: the real video is as a rule the one cut short"),
    "odd-rate": ("warning", "encode them again with a constant rate, from the source"),
    "tiny": ("warning", "leave them out: there is no face to see"),
    "absent": ("note", ""),
    "splits": ("note", ""),
    "shorter": ("note", ""),
    "few-frames": ("note", ""),
    "stands-out": ("note", ""),
    "rotated": ("note", ""),
}
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in a line, with each file that it is wrong with and what is particular to that."""

    kind: str
    what: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        """How bad its kind is."""
        return KINDS[self.kind][0]

    @property
    def remedy(self) -> str:
        """What to do; empty where nothing needs to be done."""
        return KINDS[self.kind][1]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "what": self.what,
            "count": len(self.files),
            "files": [{"path": path, "detail": detail} for path, detail in self.files.items()],
            "remedy": self.remedy,
        }


def of(kind: str, what: str, files: Mapping[str, str]) -> list[Finding]:
    """One finding, or none where no file is concerned."""
    return [Finding(kind, what, dict(sorted(files.items())))] if files else []
