"""C that is compiled by the machine's own compiler when it is first wanted; done without where there is none.

The environment's `CC` names another compiler; an empty one (`CC=`) means none.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

FLAGS = ("-O3", "-march=native", "-w", "-shared", "-fPIC")
_SECONDS_TO_COMPILE = 120
Function = Callable[..., int]
"""Takes pointers and sizes; anything but 0 means that there was no memory."""


def compiled(source: str, name: str, value: int) -> ctypes.CDLL | None:
    """The library made of the source `source`.c beside this file, with the macro `name` set to `value`.

    None where there is no compiler, or where it fails.
    """
    compiler = _compiler()
    if compiler is None:
        return None
    file = Path(__file__).with_name(f"{source}.c")
    path = _cache() / f"{source}-{value}-{_fingerprint(file, compiler)}.so"
    try:
        if not path.is_file():
            _compile([*compiler, f"-D{name}={value}", *FLAGS], file, path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None


def declared(function: Function, pointers: int, sizes: int) -> Function:
    """The function of a library, which takes so many pointers and then so many sizes."""
    function.argtypes = [ctypes.c_void_p] * pointers + [ctypes.c_long] * sizes  # type: ignore[attr-defined]
    function.restype = ctypes.c_int  # type: ignore[attr-defined]
    return function


def run(
    function: Function,
    count: int,
    tensors: tuple[Tensor | None, ...],
    sizes: tuple[int, ...],
    shared: tuple[Tensor, ...] = (),
) -> None:
    """Call the function for each of `count` equal parts of the tensors, shared out to as many threads as torch uses.

    It takes the part of each tensor, all of those that are `shared`, and the sizes. What comes out does not depend on
    how many threads there are. All tensors are float32, dense, on the processor.
    """
    places = [(t.data_ptr(), 4 * t.numel() // max(count, 1)) if t is not None else (0, 0) for t in tensors]
    places += [(t.data_ptr(), 0) for t in shared]

    def work(first: int, last: int) -> None:
        for number in range(first, last):
            pointers = (start + number * step or None for start, step in places)
            if function(*pointers, *sizes):
                raise MemoryError("no memory for a few rows of the image")

    threads = max(1, min(torch.get_num_threads(), count))
    first, *rest = pairwise(count * k // threads for k in range(threads + 1))
    elsewhere = [_pool(os.getpid(), threads).submit(work, *part) for part in rest]
    work(*first)
    for part in elsewhere:
        part.result()


def _compiler() -> list[str] | None:
    asked = os.environ.get("CC")
    if asked is not None:
        return shlex.split(asked) or None
    return next(([found] for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "dfgame"


def _fingerprint(source: Path, compiler: list[str]) -> str:
    """Of all that the compiled file depends on: a home folder may be shared by machines with different processors."""
    processor = Path("/proc/cpuinfo")
    features = (
        next((line for line in processor.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
        if processor.is_file()
        else platform.processor()
    )
    texts = [path.read_text(encoding="utf-8") for path in (source, *sorted(source.parent.glob("*.h")))]
    facts = "\n".join([*texts, *compiler, *FLAGS, platform.machine(), features])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _compile(command: list[str], source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        subprocess.run(
            [*command, "-o", str(made), str(source)], check=True, capture_output=True, timeout=_SECONDS_TO_COMPILE
        )
        made.replace(path)


@lru_cache(maxsize=4)
def _pool(_process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process: those of a parent are not there after a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="kernel")
