"""What an upload is, told by its content in a process of its own: a file that breaks a decoder breaks no server."""

import multiprocessing
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from dfgame.inspection.again import Moment, crops_again
from dfgame.media import RgbImage, kind_of, media_facts
from dfgame.records import CropRule, FileVerdict, Kind, UserError

MOST_MEMORY = 4 << 30
"""Bytes of address space that a process which reads files may have."""
PATIENCE = 30.0
"""Seconds in which it must be told what a file is."""


def looked_at(path: Path) -> tuple[Kind, float | None]:
    """Whether a file is a picture or a video, by its content, and its duration in seconds where there is one.

    Raises:
        MediaError: it is neither.
    """
    return kind_of(path), media_facts(path).duration


class Probe:
    """Processes that look at files, each within a time and with a bounded memory."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(max_workers=2, initializer=_start, context=context)
        self._pool.schedule(_ready)  # they start, and import what they need, before the first file comes

    def look(self, path: Path) -> Future[tuple[Kind, float | None]]:
        """`looked_at` a file; ends with TimeoutError if that takes too long, with ProcessExpired if it kills."""
        return self._schedule(looked_at, (path,), PATIENCE)

    def crops(self, patience: float) -> Callable[..., dict[Moment, RgbImage]]:
        """`crops_again`, in so many seconds; it raises UserError if that is not enough, or the file kills."""

        def cut(path: Path, said: FileVerdict, moments: Iterable[Moment], rule: CropRule) -> dict[Moment, RgbImage]:
            try:
                return self._schedule(crops_again, (path, said, list(moments), rule), patience).result()
            except TimeoutError:
                raise UserError("Cutting the faces out again took too long.") from None
            except (ProcessExpired, MemoryError):
                raise UserError("The file breaks the programs that read it.") from None

        return cut

    def _schedule(self, function: Callable[..., Any], arguments: tuple[Any, ...], patience: float) -> Any:
        return self._pool.schedule(function, args=arguments, timeout=patience)

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        self._pool.stop()
        self._pool.join()


def _ready() -> None:
    pass


def _start() -> None:
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
