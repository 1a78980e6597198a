"""A report checked against the file it is about: hashes, and what the inspection finds once more."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dfgame.boxed import load_detector
from dfgame.config import InspectConfig
from dfgame.files import sha256
from dfgame.inspection.pipeline import inspect
from dfgame.inspection.written import UNNAMED
from dfgame.jobs import stdout
from dfgame.records import UserError, face_name, verdict_json
from dfgame.report.inspection_data import ChangedError, read_report
from dfgame.report.plain import plain

LARGEST_DIFFERENCE = 0.005
"""Between two probabilities: another processor or another version rounds in another way."""
FINDINGS = ("verdict", "p_fake", "interval", "reasons", "rates")
"""What is said of a file, and of each face in it."""
_DECIMALS = re.compile(r"(\b\d\.\d{2,}\b)")


class Check(NamedTuple):
    """Something that was checked, whether it holds, and what was found."""

    what: str
    holds: bool
    found: str


def verify(report: Path, files: Sequence[Path], settings: InspectConfig) -> int:
    """Print what of a report holds for a file; returns 0 where all does, else 1.

    The detector and the device are those of `settings`, all else is as the report says.

    Raises:
        UserError: it is not a report, or the file or the detector cannot be read.
    """
    if len(files) != 1:
        raise UserError(f"--verify {report}: a report is on one file", "name just that one")
    holds = True
    for check in _checks(report, files[0], settings):
        holds &= check.holds
        stdout.print(f"{'holds' if check.holds else 'DIFFERS':8} {check.what}: {check.found}", soft_wrap=True)
    result = "holds" if holds else "does not hold"
    beyond = "what its page says beyond that was not checked"
    stdout.print(f"{report}: {result} for {files[0]}; {beyond}", soft_wrap=True)
    return int(not holds)


def _checks(report: Path, file: Path, settings: InspectConfig) -> Iterator[Check]:
    try:
        data = read_report(report)
    except ChangedError as error:
        yield Check("the report", False, error.problem)
        return
    yield Check("the report", True, "its data, pictures and page have the hashes that it names")
    said, content = data["verdict"], sha256(file)
    yield Check("the file", content == said["sha256"], f"SHA-256 {content}")
    detector = load_detector(settings.detector, settings.device)
    same = detector.sha256 == said["model"]["sha256"]
    advice = "" if same else "; name the report's own with --detector"
    yield Check("the detector", same, f"{detector.facts.name} {detector.facts.version}, {detector.sha256}{advice}")
    if content != said["sha256"] or not same:
        yield Check("the scores", False, "not compared, since the file or the detector is another")
        return
    again = verdict_json(inspect(file, detector, **_as_before(said["settings"])))
    yield from _compared(said, json.loads(json.dumps(again)))


def _as_before(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of an inspection that a verdict depends on."""
    settings = UNNAMED | settings
    named = ("frames", "every", "max_frames", "max_turn", "batch_size")
    threshold = settings.get("threshold", settings["fake_from"])
    return {name: settings[name] for name in named if name in settings} | {"threshold": threshold}


def _compared(said: dict[str, Any], again: dict[str, Any]) -> Iterator[Check]:
    """What an inspection found and what one finds now, both as JSON values."""
    yield _findings("the verdict", said, again)
    before, now = _by_frame(said), _by_frame(again)
    if before.keys() != now.keys() or len(said["tracks"]) != len(again["tracks"]):
        yield Check("the faces", False, f"{len(now)} in frames where the report has {len(before)}, or elsewhere")
        return
    largest = max((abs(now[place] - score) for place, score in before.items()), default=0.0)
    yield Check("the scores", largest <= LARGEST_DIFFERENCE, f"{len(now)} frames, at most {largest:.1g} apart")
    for one, other in zip(said["tracks"], again["tracks"], strict=True):
        yield _findings(face_name(one["id"]), one, other)


def _by_frame(said: dict[str, Any]) -> dict[tuple[int, int], float]:
    return {(track["id"], face["frame"]): face["p_fake"] for track in said["tracks"] for face in track["frames"]}


def _findings(what: str, before: dict[str, Any], now: dict[str, Any]) -> Check:
    others = [name for name in FINDINGS if not _alike(before.get(name), now.get(name))]
    found = "; ".join(f"{name} was {before.get(name)}, is {now.get(name)}" for name in others)
    return Check(what, not others, plain(found) or now["verdict"])


def _alike(before: Any, now: Any) -> bool:
    """Whether values are the same, but for the rounding of probabilities, in sentences of two decimals or more."""
    if isinstance(before, float) and isinstance(now, float):
        return abs(before - now) <= LARGEST_DIFFERENCE
    if isinstance(before, str) and isinstance(now, str):
        one, other = _DECIMALS.split(before), _DECIMALS.split(now)
        numbers = zip(one[1::2], other[1::2], strict=False)
        return one[::2] == other[::2] and all(
            abs(float(a) - float(b)) <= LARGEST_DIFFERENCE + 0.01 for a, b in numbers
        )
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_alike, before, now))
    return bool(before == now)
