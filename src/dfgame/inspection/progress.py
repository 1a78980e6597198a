"""How far an inspection is, within a long video, too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dfgame.jobs import console, stdout


class Looked:
    """Counts files, and the share of each that was looked at; draws a bar where there is a terminal."""

    def __init__(self, progress: Progress, files: int, watch: Callable[[float], None]) -> None:
        self._progress, self._shares, self._done = progress, dict[int, float](), 0.0
        self._files, self._watch = files, watch
        self._task = progress.add_task("inspecting", total=files)

    def at(self, file: int, share: float) -> None:
        """A share, 0 to 1, of the file with this number was looked at."""
        before = self._shares.get(file, 0.0)
        new = max(share - before, 0.0)
        self._shares[file] = before + new
        self._done += new
        self._progress.advance(self._task, new)
        self.nothing_new()

    def nothing_new(self) -> None:
        """Tell who watches how far it is."""
        self._watch(min(self._done / self._files, 1.0))


@contextmanager
def looking(files: int, shown: bool, watch: Callable[[float], None]) -> Iterator[Looked]:
    """Draw the bar of so many files with the time left; only where stderr is a terminal, and only if it is `shown`.

    What is printed meanwhile appears above the bar on a terminal, and goes where it should if stdout is none. `watch`
    is told the share of all files, 0 to 1, that was looked at.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    drawn, shared = shown and console.is_terminal, stdout.is_terminal
    with Progress(*columns, console=console, disable=not drawn, redirect_stdout=shared) as progress:
        yield Looked(progress, files, watch)
