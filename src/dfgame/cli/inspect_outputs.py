"""What `dfgame inspect` prints and writes, and its exit code."""

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from dfgame.boxed import BoxedDetector
from dfgame.cli.reports import Reports
from dfgame.config import InspectConfig
from dfgame.files import replaceable, writable_folder, write_text
from dfgame.inspection.conditions import too_few
from dfgame.inspection.pipeline import settings_of
from dfgame.inspection.written import JsonLines, Rows, Said, csv_text, json_array, json_line
from dfgame.jobs import console, stdout
from dfgame.records import Failure, FileVerdict, UserError
from dfgame.report.inspection_words import summary_lines
from dfgame.report.plain import plain

LIMITS = (
    "A score is evidence, not proof: forgeries unlike those learned from, and heavily compressed or edited media, "
    "can be misjudged either way."
)
MORE = "Where a face is seen in too few frames, --every or --frames looks at more."
STDOUT = Path("-")
"""Stands for standard output."""
SOME_FAILED, SOME_FAKE = 1, 3
"""Exit codes."""
_STYLES = {"fake": "bold red", "real": "", "inconclusive": "yellow", "no face": "dim"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to write; see `dfgame inspect --help`."""

    json: bool = False
    jsonl: Path | None = None
    csv: Path | None = None
    rows: Rows = "files"
    report: Path | None = None
    overwrite: bool = False

    def printed(self) -> str:
        """What standard output gets: json, jsonl, csv or lines.

        Raises:
            UserError: it would get several.
        """
        asked = {"json": self.json, "jsonl": self.jsonl == STDOUT, "csv": self.csv == STDOUT}
        printed = [name for name, is_asked in asked.items() if is_asked]
        if len(printed) > 1:
            raise UserError(
                f"--{' and --'.join(printed)}: both would be printed", "write one to a file, as --csv verdicts.csv"
            )
        return (printed or ["lines"])[0]


class Outputs:
    """Takes verdicts, writes and prints them as wanted, and counts."""

    def __init__(self, wanted: Wanted, files: Sequence[Path], detector: BoxedDetector, config: InspectConfig) -> None:
        """Look whether everything can be written, before hours of work.

        Raises:
            UserError: something would be overwritten, or a file of lines does not go on from here.
        """
        self._wanted, self._printed = wanted, wanted.printed()
        if wanted.csv not in (None, STDOUT):
            if wanted.jsonl and replaceable(wanted.csv) == replaceable(wanted.jsonl):
                raise UserError(f"--csv and --jsonl: both are {wanted.csv}", "name two files")
            if replaceable(wanted.csv).exists() and not wanted.overwrite:
                raise UserError(f"{wanted.csv}: exists", "replace it with --overwrite, or name another file")
            writable_folder(wanted.csv.parent, "--csv")
        self._detector, self._config = detector, config
        self._lines = None
        if wanted.jsonl not in (None, STDOUT):
            self._lines = JsonLines(wanted.jsonl, detector.model.sha256, settings_of(detector, config))
        before = {file: self._lines.verdict_on(file) if self._lines else None for file in files}
        self.left = [file for file, verdict in before.items() if verdict is None]
        """The files that are still to be inspected."""
        self._reports = Reports(wanted.report, self.left, wanted.overwrite) if wanted.report else None
        self._kept: list[Said] = []
        self._failed, self._fake, self._more = False, False, False
        self._count([verdict for verdict in before.values() if verdict is not None])

    def _count(self, before: Sequence[dict[str, Any]]) -> None:
        """Count the verdicts that are there already.

        Raises:
            UserError: they would be missing from something else that is wanted.
        """
        asked = {"--json": self._wanted.json, "--csv": self._wanted.csv, "--report": self._wanted.report}
        others = " and ".join(name for name, is_asked in asked.items() if is_asked)
        if before and others:
            raise UserError(
                f"--jsonl {self._wanted.jsonl}: {len(before)} files have verdicts there already, and would be missing "
                f"from {others}",
                f"leave out {others}, or name another file with --jsonl",
            )
        self._fake = any(one["verdict"] == "fake" for one in before)
        self._failed = any(one.get("error") for one in before)
        if before:
            console.print(f"{len(before)} files have verdicts in {self._wanted.jsonl} already", soft_wrap=True)

    def add(self, said: Said) -> None:
        """Take the next verdict."""
        error = said.reason if isinstance(said, Failure) else said.error
        if error:
            name = said.path if isinstance(said, Failure) else said.file
            console.print(f"dfgame: {plain(name)}: {plain(error)}", soft_wrap=True)
        self._failed |= bool(error)
        self._fake |= isinstance(said, FileVerdict) and said.verdict == "fake"
        self._more |= isinstance(said, FileVerdict) and _more_would_help(said)
        if self._wanted.json or self._wanted.csv:
            self._kept.append(said)
        page = self._report(said) if self._reports and isinstance(said, FileVerdict) else None
        if self._lines:
            self._lines.add(said)
        if self._printed == "jsonl":
            print(json_line(said), flush=True)
        elif self._printed == "lines":
            _print([*_lines(said), *([Text(f"    report: {plain(str(page))}")] if page else [])])

    def _report(self, said: FileVerdict) -> Path | None:
        """Where the report on a file was written; one that cannot be made is told, and the others are."""
        assert self._reports is not None
        try:
            return self._reports.write(said, self._detector, self._config)
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            problem = error.problem if isinstance(error, UserError) else error.strerror or str(error)
            console.print(f"dfgame: {plain(said.file)}: no report ({plain(problem)})", soft_wrap=True)
            self._failed = True
            return None

    def cut_short(self) -> None:
        """Write the table of what was inspected, where the rest will not be."""
        if self._wanted.csv not in (None, STDOUT) and self._kept:
            write_text(self._wanted.csv, csv_text(self._kept, self._wanted.rows))
            console.print(f"dfgame: {self._wanted.csv}: the verdicts until then", soft_wrap=True)

    def finish(self) -> None:
        """Write what is written at the end."""
        wanted = self._wanted
        if wanted.json:
            print(json_array(self._kept))
        if wanted.csv == STDOUT:
            print(csv_text(self._kept, wanted.rows), end="")
        elif wanted.csv:
            write_text(wanted.csv, csv_text(self._kept, wanted.rows))
        if self._printed == "lines":
            facts = self._detector.facts
            if self._more:
                _print([Text(MORE)])
            _print([Text(f"{facts.name} {facts.version}: {LIMITS}")])

    def code(self, fail_on_fake: bool) -> int:
        """The exit code."""
        return SOME_FAKE if fail_on_fake and self._fake else SOME_FAILED * self._failed


def _more_would_help(said: FileVerdict) -> bool:
    """Whether a face was seen in too few frames to be judged, of a video that has more."""
    frames = said.facts.frames if said.facts else None
    few = said.kind == "video" and any(too_few(len(track.judged_by), said.frames) for track in said.tracks)
    return few and (frames is None or frames > said.frames)


def _print(lines: Iterable[Text]) -> None:
    with stdout.capture() as shown:
        stdout.print(*lines, sep="\n", soft_wrap=True)
    print(shown.get(), end="", flush=True)  # a plain print appears above the bar


def _lines(said: Said) -> Iterator[Text]:
    if isinstance(said, Failure):
        yield Text.assemble(f"{plain(said.path)}: ", ("failed", "bold red"), f" ({plain(said.reason)})")
        return
    first, *rest = summary_lines(said)
    name = f"{plain(said.file)}: "
    yield Text.assemble(name, (first.removeprefix(name), _STYLES[said.verdict]))
    yield from map(Text, rest)
