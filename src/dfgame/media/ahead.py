"""Frames decoded by a thread of their own, while whoever takes them works on those before."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from threading import Event, Thread

from dfgame.media.videos import Frame

_MOMENT = 0.1


@contextmanager
def ahead(frames: Generator[Frame]) -> Iterator[Iterator[Frame]]:
    """The same frames in the same order, of which the next two, no more, are made meanwhile, the first from now on.

    Decoders and OpenCV do not hold Python's lock. At the end of the context the thread has ended.

    Args:
        frames: as `read_frames` gives them; what it raises is raised here, after the frames before.
    """
    made: Queue[Frame | BaseException | None] = Queue(1)  # and one in the thread's hand, which waits to put it there
    stopped = Event()
    thread = Thread(target=_make, args=(frames, made, stopped), daemon=True)
    thread.start()
    try:
        yield _taken(made)
    finally:
        stopped.set()
        with suppress(Empty):
            made.get_nowait()
        thread.join()


def _taken(made: Queue[Frame | BaseException | None]) -> Iterator[Frame]:
    while (one := made.get()) is not None:
        if isinstance(one, BaseException):
            raise one
        yield one


def _make(frames: Generator[Frame], made: Queue[Frame | BaseException | None], stopped: Event) -> None:
    last: BaseException | None = None
    try:
        for one in frames:
            _put(made, one, stopped)
            if stopped.is_set():
                break
    except BaseException as error:  # it is raised where the frames are taken
        last = error
    frames.close()
    _put(made, last, stopped)


def _put(made: Queue[Frame | BaseException | None], one: Frame | BaseException | None, stopped: Event) -> None:
    while not stopped.is_set():
        with suppress(Full):
            made.put(one, timeout=_MOMENT)
            return
