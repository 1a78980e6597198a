"""dfgame inspect."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dfgame.config import InspectConfig
from dfgame.records import Failure, FileVerdict, TrackScore, UserError, verdict_json

if TYPE_CHECKING:
    from rich.text import Text

LIMITS = (
    "A score is evidence, not proof: forgeries unlike those learned from, and heavily compressed or edited media, "
    "can be misjudged either way."
)
_STYLES = {"fake": "bold red", "real": "green", "inconclusive": "yellow", "no face": "dim"}


def inspect(
    *files: Path,
    json: bool = False,
    settings: Annotated[InspectConfig, Parameter(name="*")] = InspectConfig(),
) -> int:
    """Say of each picture and video in FILES whether its faces are fake: fake, real, inconclusive or no face.

    A folder stands for all pictures and videos below it. A line a file, then a line for each face that was followed
    through it; `p_fake` is a calibrated probability, where real and fake are equally likely beforehand. The file's
    verdict is that of its most suspicious face that is seen long enough. Exit code 1: a file could not be read.

    For example:

        dfgame inspect clip.mp4 photograph.jpg

        dfgame inspect archive --json > verdicts.json

        dfgame inspect clip.mp4 --detector my-detector.safetensors --frames 60

    Parameters
    ----------
    files: Path
        Pictures, videos, or folders of them.
    json: bool
        Print a JSON array with every face's time, box and score, instead of lines.
    settings: InspectConfig
        All settings.
    """
    from json import dumps

    from dfgame.boxed import load_detector
    from dfgame.jobs import stdout
    from dfgame.score import files_below, inspect_files

    if not files:
        raise UserError("no FILE to inspect", "name pictures, videos or folders")
    found = files_below(files)
    detector = load_detector(settings.detector, settings.device)
    all_said, failed = [], False
    for said in inspect_files(found, detector, settings):
        failed |= isinstance(said, Failure) or said.error is not None
        if json:
            all_said.append(verdict_json(said))
        else:
            with stdout.capture() as lines:
                stdout.print(*_lines(said), sep="\n", soft_wrap=True)
            print(lines.get(), end="", flush=True)  # a plain print appears above the bar
    if json:
        print(dumps(all_said, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        stdout.print(f"{detector.facts.name} {detector.facts.version}: {LIMITS}", soft_wrap=True)
    return int(failed)


def _lines(said: FileVerdict | Failure) -> list["Text"]:
    from rich.text import Text

    if isinstance(said, Failure):
        return [Text.assemble(f"{said.path}: ", ("failed", "bold red"), f" ({said.reason})")]
    score = "" if said.p_fake is None else f", p_fake {said.p_fake:.3f}"
    read = f" (read in part: {said.error})" if said.error else ""
    first = Text.assemble(f"{said.file}: ", (said.verdict, _STYLES[said.verdict]), f"{score}{read}")
    return [first, *(Text(_track_line(track, said.kind)) for track in said.tracks)]


def _track_line(track: TrackScore, kind: str) -> str:
    if kind == "picture":
        left, top, right, bottom = track.frames[0].box
        where = f"at {left:.0f}, {top:.0f} to {right:.0f}, {bottom:.0f}"
    else:
        frames = f"{len(track.frames)} frame{'s' * (len(track.frames) != 1)}"
        where = f"{track.first_time:.2f} to {track.last_time:.2f} s, {frames}"
    return f"    face {track.id}: p_fake {track.p_fake:.3f}, {where}"
