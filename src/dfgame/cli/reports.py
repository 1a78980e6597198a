"""The reports of `dfgame inspect`: where they go, and how they are made again."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dfgame.boxed import BoxedDetector
from dfgame.config import InspectConfig
from dfgame.files import write_text
from dfgame.records import FileVerdict, UserError
from dfgame.reports import command_of, report_page


class Reports:
    """One report, OUT.html, or a folder with a report on each of many files."""

    def __init__(self, out: Path, files: Sequence[Path], overwrite: bool) -> None:
        """Choose the reports' names.

        Raises:
            UserError: one page is named and there are several files, or a report is there already.
        """
        if out.suffix.lower() in (".html", ".htm"):
            if len(files) > 1:
                raise UserError(f"--report {out}: one page, and {len(files)} files", "name a folder")
            self._pages = dict.fromkeys(map(str, files), out)
        else:
            self._pages = {str(file): out / f"{name}.html" for file, name in zip(files, _names(files), strict=True)}
        there = next((page for page in self._pages.values() if page.exists()), None)
        if there is not None and not overwrite:
            raise UserError(f"{there}: exists", "replace it with --overwrite, or name another place for --report")

    def write(self, said: FileVerdict, detector: BoxedDetector, config: InspectConfig) -> Path:
        """Write the report on a file; returns where."""
        page = self._pages[said.file]
        write_text(page, report_page(said, detector, command_of(said.file, config, page.name)))
        return page


def _names(files: Sequence[Path]) -> list[str]:
    """The files' names; those that repeat are numbered, from the second on."""
    seen: Counter[str] = Counter()
    names = []
    for file in files:
        key = file.name.casefold()
        seen[key] += 1
        names.append(file.name if seen[key] == 1 else f"{file.name}-{seen[key]}")
    return names
