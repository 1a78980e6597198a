"""Several files read at a time, by processes of their own; what they find waits in a short queue."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread, Timer
from typing import Self

from dfgame.faces.reader import READY, Answer
from dfgame.faces.sample import Sample, SampleJob

WAITING = 64
"""Answers that wait to be taken, at most; a reader that is faster waits, too."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
_MOMENT = 0.1
_PATIENCE = 1.0
Process = subprocess.Popen[bytes]
_idle: list[Process] = []
"""Processes that have nothing to do: the next readers need not wait for their start. They end with this process."""


def start_early(count: int) -> None:
    """Start processes that readers will need, while something else takes its time."""
    _idle.extend(_started() for _ in range(count - len(_idle)))


def _started() -> Process:
    environment = os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-m", "dfgame.faces.reader"]  # -P: no module out of the current folder
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def _waiting() -> Process:
    """A process that has nothing to do, and is alive: it may have been killed while it waited."""
    while _idle:
        process = _idle.pop()
        if process.poll() is None:
            return process
        _end(process)
    return _started()


def _end(process: Process) -> None:
    """Kill a process, and close its pipes."""
    process.kill()
    with suppress(OSError), process:  # what it has not read is lost
        pass


class Readers:
    """Reader processes and what they answer. A context manager: at its end those that still read are killed.

    They are plain subprocesses, not of `multiprocessing`, which would run a caller's script again in each. A process
    that dies loses its own file only, and is replaced; so is one that says nothing for `timeout` seconds, of which 0
    is for ever.
    """

    def __init__(self, jobs: Iterable[SampleJob], workers: int, timeout: float = 0.0) -> None:
        self._timeout = timeout
        self._jobs, self._lock = enumerate(jobs), Lock()
        self._answers: Queue[tuple[int, Answer] | None] = Queue(WAITING)
        self._stopped = Event()
        self._processes: set[Process] = set()
        self._threads = [Thread(target=self._read, daemon=True) for _ in range(workers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with self._lock:
            for process in self._processes:
                process.kill()
        for thread in self._threads:
            thread.join()

    def answers(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[tuple[int, Answer]]:
        """The number of a job, in the order of the jobs, and one of its answers; the last is a Sample or an Exception.

        Answers of one job come in order, those of several in between each other. `meanwhile` is called each second
        that passes without an answer.
        """
        running = len(self._threads)
        while running:
            try:
                answer = self._answers.get(timeout=_PATIENCE)
            except Empty:
                meanwhile()
                continue
            if answer is None:
                running -= 1
            else:
                yield answer

    def _read(self) -> None:
        """Go through jobs with a process, until there are none left."""
        process = None
        try:
            while not self._stopped.is_set() and (numbered := self._next()) is not None:
                number, job = numbered
                try:
                    if process is not None and process.poll() is not None:
                        self._let_go(process)
                        process = None
                    process = process or self._taken()
                    for answer in _answers(process, job, self._timeout):
                        self._put((number, answer))
                except OSError as error:
                    self._put((number, error))
        finally:
            if process is not None:
                self._let_go(process)
            self._put(None)

    def _next(self) -> tuple[int, SampleJob] | None:
        with self._lock:
            return next(self._jobs, None)

    def _taken(self) -> Process:
        """A process that has nothing to do."""
        with self._lock:
            process = _waiting()
            self._processes.add(process)
            if self._stopped.is_set():
                process.kill()
        return process

    def _let_go(self, process: Process) -> None:
        """Keep a process that is done for the next readers, end one that is in the middle of a file."""
        with self._lock:
            self._processes.discard(process)
            if not self._stopped.is_set() and process.poll() is None:
                _idle.append(process)
                return
        _end(process)

    def _put(self, answer: tuple[int, Answer] | None) -> None:
        while not self._stopped.is_set():
            try:
                self._answers.put(answer, timeout=_MOMENT)
            except Full:
                continue
            return


def _answers(process: Process, job: SampleJob, timeout: float) -> Iterator[Answer]:
    """What a process says of a job; each answer may take `timeout` seconds."""
    assert process.stdin is not None and process.stdout is not None
    late = Event()
    try:
        process.stdout.read(len(READY))  # its start does not count
        pickle.dump(job, process.stdin)
        process.stdin.flush()
        while True:
            with _killed_after(timeout, process, late):
                answer: Answer = pickle.load(process.stdout)
            yield answer
            if isinstance(answer, Sample | Exception):
                return
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        process.kill()
        code = process.wait()
        if late.is_set():
            yield RuntimeError(f"no frame of it was read in {timeout:g} seconds; --timeout allows more")
        else:
            yield RuntimeError(f"the process that read it ended unexpectedly (exit code {code})")


@contextmanager
def _killed_after(seconds: float, process: Process, late: Event) -> Iterator[None]:
    """Kill a process, and say that it was late, unless what is done inside ends in time; 0 seconds are for ever."""

    def end() -> None:
        late.set()
        process.kill()

    timer = Timer(seconds, end)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
