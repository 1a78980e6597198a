"""Many independent jobs on all cores: progress, a crash loses one job, Ctrl-C ends at once; where time goes."""

import contextlib
import errno
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dfgame.records import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")
Item = TypeVar("Item")

_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
"""Text is printed as it is: a path may hold [b] or :key:."""
console = Console(stderr=True, **_PLAIN)
"""Messages and progress go to stderr. Rich honours NO_COLOR."""
stdout = Console(**_PLAIN)
"""Results go here."""


def progress_bar(items: Iterable[Item], total: int, what: str) -> Generator[Item, None, None]:
    """Pass `items` through, drawing a bar with the time left; drawn only where stderr is a terminal.

    What is printed meanwhile appears above the bar on a terminal, and goes where it should if stdout is none.

    Use it as `with contextlib.closing(progress_bar(...)) as bar`: a loop that ends early then ends the bar, too,
    before anybody writes what went wrong.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    drawn, shared = console.is_terminal, stdout.is_terminal
    with Progress(*columns, console=console, disable=not drawn, redirect_stdout=shared) as progress:
        task = progress.add_task(what, total=total)
        for item in items:
            yield item
            progress.advance(task)


def available_cores() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker() -> None:
    """One thread a worker. torch takes seconds to import and not every job needs it: the variables wait for it."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    cv2.setNumThreads(1)


def run_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, what: str
) -> Generator[tuple[Job, Result | Exception], None, None]:
    """Yield (job, result or the exception it ended with) for every job, in the order in which they finish.

    Jobs run in `workers` processes (0: one for each core) with one thread each, so that results do not
    depend on how many there are. A worker that crashes loses its own job only, which comes back as an
    exception, and is replaced. `function` and the jobs must be picklable. A full disk stops everything. A caller
    that may leave early closes the generator, as `progress_bar`'s: that stops the workers.

    Raises:
        UserError: the disk is full.
        KeyboardInterrupt: after the workers were stopped.
    """
    workers = min(workers or available_cores(), max(len(jobs), 1))
    context = multiprocessing.get_context("spawn")
    pool = ProcessPool(max_workers=workers, initializer=_start_worker, context=context)
    waiting, running = deque(jobs), {}

    def finished() -> Iterator[tuple[Job, Result | Exception]]:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                job = waiting.popleft()
                running[pool.schedule(function, args=(job,))] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                yield job, _outcome(future)

    try:
        yield from progress_bar(finished(), len(jobs), what)
        pool.close()
    finally:
        pool.stop()
        pool.join()


def _outcome(future: Any) -> Any:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        raise UserError("the disk is full", "make room and run the same command again: it goes on where it was")
    if isinstance(error, ProcessExpired):
        return RuntimeError(f"the worker process ended unexpectedly (exit code {error.exitcode})")
    return error


class Clock:
    """Where the time of a loop goes: waiting for its items, working on them, or neither (`stopped`)."""

    def __init__(self) -> None:
        self.waited, self._elsewhere, self._started = 0.0, 0.0, time.monotonic()

    def working(self) -> float:
        """Seconds so far of the loop, the wait for its items included."""
        return time.monotonic() - self._started - self._elsewhere

    def waits(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass the items on and count the wait for each."""
        iterator = iter(items)
        while True:
            before = time.monotonic()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.waited += time.monotonic() - before
            yield item

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """What happens inside is not of the loop."""
        before = time.monotonic()
        yield
        self._elsewhere += time.monotonic() - before
