"""Files written whole or not at all."""

import errno
import glob
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dfgame.records import UserError

LOCK = ".lock"
"""The hidden file by which a folder is held; see `held_folder`."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it takes the place of `path`, on failure it is removed.

    The temporary name keeps the suffix, since encoders choose the container by it. A process that is killed
    leaves at most the hidden sibling `.NAME.PID.tmpSUFFIX` behind, which a later call for `path` removes. The
    bytes are on the disk before they get their name, so that a power cut leaves the old file or the new one.

    Raises:
        OSError: with errno ENOSPC where the disk is full, whatever the writer made of it.
        UserError: `path` is something else than a file, such as a folder or a device.
    """
    path = replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except Exception as error:
        if _is_full(error, path.parent):
            raise OSError(errno.ENOSPC, "the disk is full", str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def replaceable(path: Path) -> Path:
    """The file that `path` names, behind links, whether it is there or not.

    Raises:
        UserError: it is something else, such as a folder, a device or a pipe.
    """
    if path.exists() and not path.is_file():
        what = "is a folder" if path.is_dir() else "is not a file"
        raise UserError(f"{path}: {what}", "name a file that can be written or replaced")
    return Path(os.path.realpath(path))


def _remove_left_over(path: Path) -> None:
    """Remove the temporary siblings of `path` whose writers are dead.

    One that was touched within the hour may be that of a live writer on another machine that shares the disk.
    """
    start, end = f".{path.stem}.", f".tmp{path.suffix}"
    for sibling in path.parent.glob(f"{glob.escape(start)}*{glob.escape(end)}"):
        writer = sibling.name[len(start) : -len(end)]
        with suppress(OSError):
            if writer.isdecimal() and _is_dead(int(writer)) and time.time() - sibling.stat().st_mtime > _HOUR:
                sibling.unlink()


_HOUR = 3600


def _is_dead(process: int) -> bool:
    """Whether there is no such process; False where that cannot be asked without harm (Windows)."""
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False


def _sync_folder(folder: Path) -> None:
    """Have the folder's new entry on the disk, too, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_full(error: Exception, folder: Path) -> bool:
    """Whether a full disk is why a writer failed; torch and safetensors say so in exceptions of their own."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOSPC
    return "No space left" in str(error) or shutil.disk_usage(folder).free < _HARDLY_ANY


_HARDLY_ANY = 64 * 1024


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all; the same bytes on every system."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file ({error})") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of Python and of these installed packages, to be kept beside what they made."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def writable_folder(folder: Path, flag: str = "OUT") -> Path:
    """Make `folder` if it is missing and prove that it can be written to, before hours of work.

    Raises:
        UserError: it is a file, or cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = f"choose another folder as {flag}"
        raise UserError(f"{folder}: cannot write there ({reason})", remedy) from None
    return folder


@contextmanager
def held_folder(folder: Path, flag: str = "OUT") -> Iterator[None]:
    """Make `folder` as `writable_folder` does, and hold it: meanwhile, others that want to hold it are refused.

    A process that is killed lets go. The hidden file `.lock` stays behind, and means nothing by itself.

    Raises:
        UserError: it cannot be written, or another process holds it.
    """
    lock = FileLock(writable_folder(folder, flag) / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        remedy = f"wait until it has ended, or choose another folder as {flag}"
        raise UserError(f"{folder}: another process is writing there", remedy) from None
    try:
        yield
    finally:
        lock.release()
