"""The reports of `dfgame inspect`: where they go, and how they are made again."""

import hashlib
import os
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from dfgame.boxed import BoxedDetector
from dfgame.config import InspectConfig
from dfgame.files import replaceable, writable_folder, write_text
from dfgame.records import FileVerdict, UserError
from dfgame.reports import command_of, report_page

LONGEST = 200
"""Bytes of a file's name in its report's name: file systems take 255, and a page that is being written has more."""


class Reports:
    """One report, OUT.html, or a folder with a report on each of many files."""

    def __init__(self, out: Path, files: Sequence[Path], overwrite: bool) -> None:
        """Choose the reports' names.

        Raises:
            UserError: one page is named and there are several files, a report is there already, or cannot be written.
        """
        if out.suffix.lower() in (".html", ".htm"):
            if len(files) > 1:
                raise UserError(f"--report {out}: one page, and {len(files)} files", "name a folder")
            self.pages = dict.fromkeys(map(str, files), out)
        else:
            self.pages = {str(file): out / f"{name}.html" for file, name in zip(files, _names(files), strict=True)}
        """The page of each file, by the file's name."""
        there = next((page for page in self.pages.values() if page.exists()), None)
        if there is not None:
            replaceable(there)
        if there is not None and not overwrite:
            raise UserError(f"{there}: exists", "replace it with --overwrite, or name another place for --report")
        writable_folder(out.parent if out in self.pages.values() else out, "--report")

    def write(self, said: FileVerdict, detector: BoxedDetector, config: InspectConfig) -> Path:
        """Write the report on a file; returns where."""
        page = self.pages[said.file]
        write_text(page, report_page(said, detector, command_of(said.file, config, page.name)))
        return page


def _names(files: Sequence[Path]) -> list[str]:
    """The files' names, none too long to be a page's; those that are taken are numbered, from the second on."""
    taken: set[str] = set()
    names = []
    for file in files:
        own = _fitting(file.name)
        numbered = (f"{own}-{number}" for number in count(2))
        name = next(name for name in chain([own], numbered) if name.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def _fitting(name: str) -> str:
    """A name of at most LONGEST bytes: a longer one's beginning, and a hash of it."""
    content = os.fsencode(name)
    if len(content) <= LONGEST:
        return name
    mark = hashlib.sha256(content).hexdigest()[:8]
    return content[: LONGEST - len(mark) - 1].decode("utf-8", "ignore") + "-" + mark
