"""A process that reads files and finds their faces: `python -m dfgame.faces.reader`.

It writes READY on stdout whenever it waits for a job. It takes pickled `SampleJob`s on stdin, and answers each on
stdout with pickled values: a `SeenFace` for each face, a pair of numbers after each frame (how many were looked at,
how many there are), and last the `Sample`, or the exception that it ended with. It ends when its stdin does. A file
that makes a decoder crash ends this process, and no other.
"""

import os
import pickle
import signal
import sys
from contextlib import suppress
from typing import Any, BinaryIO

from dfgame.faces.sample import Sample, SampleJob, SeenFace, sample_faces

READY = b"\n"
Answer = SeenFace | tuple[int, int] | Sample | Exception


def main() -> None:
    """Answer jobs until there are no more."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    with suppress(BrokenPipeError), answers:
        while (job := _next(sys.stdin.buffer, answers)) is not None:
            _answer(job, answers)


def _next(jobs: BinaryIO, answers: BinaryIO) -> SampleJob | None:
    answers.write(READY)
    answers.flush()
    try:
        return pickle.load(jobs)
    except EOFError:
        return None


def _answer(job: SampleJob, answers: BinaryIO) -> None:
    def say(value: Any) -> None:
        pickle.dump(value, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()

    try:
        said: Answer = sample_faces(job, say, lambda *numbers: say(numbers))
    except BrokenPipeError:
        raise
    except Exception as error:
        said = error if _survives(error) else RuntimeError(f"{type(error).__name__}: {error}")
    say(said)


def _survives(error: Exception) -> bool:
    """Whether an exception can go to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


if __name__ == "__main__":
    main()
