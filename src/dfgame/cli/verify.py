"""A report checked against the file it is about: hashes, and the scores once more."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from dfgame.boxed import load_detector
from dfgame.config import InspectConfig
from dfgame.files import sha256
from dfgame.inspection.pipeline import inspect
from dfgame.jobs import stdout
from dfgame.records import FileVerdict, UserError
from dfgame.report.inspection_data import read_report

LARGEST_DIFFERENCE = 0.005
"""Between two probabilities of one frame: another processor or another version rounds in another way."""


class Check(NamedTuple):
    """Something that was checked, whether it holds, and what was found."""

    what: str
    holds: bool
    found: str


def verify(report: Path, files: Sequence[Path], settings: InspectConfig) -> int:
    """Print what of a report holds for a file; returns 0 where all does, else 1.

    The detector and the device are those of `settings`, all else is as the report says.

    Raises:
        UserError: it is not a report, it was changed, or the file or the detector cannot be read.
    """
    if len(files) != 1:
        raise UserError(f"--verify {report}: a report is on one file", "name just that one")
    data = read_report(report)
    holds = True
    for check in _checks(data, files[0], settings):
        holds &= check.holds
        stdout.print(f"{'holds' if check.holds else 'DIFFERS':8} {check.what}: {check.found}", soft_wrap=True)
    stdout.print(f"{report}: {'holds' if holds else 'does not hold'} for {files[0]}", soft_wrap=True)
    return int(not holds)


def _checks(data: dict[str, Any], file: Path, settings: InspectConfig) -> Iterator[Check]:
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
    yield from _scores(said, inspect(file, detector, **_as_before(said["settings"])))


def _as_before(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of an inspection that a verdict depends on."""
    named = {name: settings[name] for name in ("frames", "every", "max_frames", "batch_size") if name in settings}
    return named | {"threshold": settings.get("threshold", settings["fake_from"])}


def _scores(said: dict[str, Any], again: FileVerdict) -> Iterator[Check]:
    yield Check("the verdict", again.verdict == said["verdict"], again.verdict)
    before, now = _by_frame(said), _by_frame(asdict(again))
    if before.keys() != now.keys():
        yield Check("the faces", False, f"{len(now)} in frames where the report has {len(before)}, or elsewhere")
        return
    largest = max((abs(now[place] - score) for place, score in before.items()), default=0.0)
    yield Check("the scores", largest <= LARGEST_DIFFERENCE, f"{len(now)} frames, at most {largest:.1g} apart")


def _by_frame(said: dict[str, Any]) -> dict[tuple[int, int], float]:
    return {(track["id"], face["frame"]): face["p_fake"] for track in said["tracks"] for face in track["frames"]}
