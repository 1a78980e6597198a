"""What every reader of files here keeps to: regular files only, one line for what is wrong, sizes checked first."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dfgame.records import UserError

MOST_PIXELS = 64_000_000
"""Pixels of a picture, above which it is refused before anything is decoded: some formats take 20 bytes for each."""
MOST_FRAME_PIXELS = 36_000_000
"""The same of a video's frame, of which a decoder holds up to seventeen: 8K is 33 million."""
_LONGEST_NAME = 400
_READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class MediaError(UserError):
    """A picture or video that cannot be read; the message is one line that names the file.

    `reason` is what is wrong with it, without the name.
    """

    reason = ""


def shown(path: Path) -> str:
    r"""A file's name for a message: one line of printable characters, bytes that are no UTF-8 as `\xff`."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    printable = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    middle = _LONGEST_NAME // 2
    return printable if len(printable) <= _LONGEST_NAME else f"{printable[:middle]}...{printable[-middle:]}"


def failure(path: Path, problem: str) -> MediaError:
    """The error that says of a file what is wrong with it."""
    error = MediaError(f"{shown(path)}: {problem}")
    error.reason = problem
    return error


def reason_of(error: BaseException) -> str:
    """The first line of what an exception of a library says."""
    said = str(getattr(error, "strerror", None) or error)
    return said.splitlines()[0][:200] if said.strip() else type(error).__name__


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a file that has content; a pipe or device is not even opened, since that could wait for ever.

    Raises:
        MediaError: there is no such file, it is none, it is empty, or it may not be read.
    """
    try:
        _must_be_file(path, os.stat(path))  # noqa: PTH116 - Path.stat says less of a name that holds a null
        descriptor = os.open(path, _READ_ONLY)
    except FileNotFoundError:
        raise failure(path, "no such file") from None
    except (OSError, ValueError) as error:
        raise failure(path, f"cannot be opened ({reason_of(error)})") from None
    with os.fdopen(descriptor, "rb") as file:
        _must_be_file(path, os.fstat(descriptor))
        yield file


def _must_be_file(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise failure(path, "a folder, not a video and not a picture")
    if not stat.S_ISREG(status.st_mode):
        raise failure(path, "not a regular file, so not a video and not a picture")
    if status.st_size == 0:
        raise failure(path, "empty, not a video and not a picture")


def check_size(path: Path, width: int, height: int, most: int) -> None:
    """Refuse sides that nothing should be made room for.

    Raises:
        MediaError: the sides are not positive, or their product is more than `most`.
    """
    if width <= 0 or height <= 0:
        raise failure(path, f"cannot be read (its sides are said to be {width} x {height})")
    if width * height > most:
        raise failure(path, f"too large ({width} x {height} pixels, at most {most // 1_000_000} million are read)")
