"""Files written whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dfgame.records import UserError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it takes the place of `path`, on failure it is removed.

    The temporary name keeps the suffix, since encoders choose the container by it. A process that is killed
    leaves at most the hidden sibling `.NAME.PID.tmpSUFFIX` behind, which the next call for `path` overwrites
    or ignores.

    Raises:
        OSError: with errno ENOSPC where the disk is full, whatever the writer made of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except Exception as error:
        if _is_full(error, path.parent):
            raise OSError(errno.ENOSPC, "the disk is full", str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _is_full(error: Exception, folder: Path) -> bool:
    """Whether a full disk is why a writer failed; torch and safetensors say so in exceptions of their own."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOSPC
    return "No space left" in str(error) or shutil.disk_usage(folder).free < _HARDLY_ANY


_HARDLY_ANY = 64 * 1024


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
