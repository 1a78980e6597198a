"""The blur in C: compiled by the machine's own compiler when it is first wanted; done without where there is none.

`blur_kernel` gives it for a window, or None; nobody else needs to know which of the two happened. The environment's
`CC` names another compiler; an empty one (`CC=`) means none.
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

SOURCE = Path(__file__).with_name("blur.c")
FLAGS = ("-O3", "-march=native", "-w", "-shared", "-fPIC")
MOST_REACH = 7
"""Half of the largest window that is worth compiling, 15."""
_SECONDS_TO_COMPILE = 120


class BlurKernel:
    """The compiled blur of one window. All tensors are float32, contiguous, on the processor.

    The images of a batch are shared out to as many threads as torch uses; what comes out does not depend on how many.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._forward = _declared(library.dfgame_blur_forward, pointers=4)
        self._backward = _declared(library.dfgame_blur_backward, pointers=5)

    def forward(self, images: Tensor, precision: Tensor, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """The blurred images; and, if asked for, the slope of each of their values in its pixel's precision."""
        blurred = torch.empty_like(images)
        found = torch.empty_like(images) if slopes else None
        self._run(self._forward, images.shape, precision.shape, images, precision, blurred, found)
        return blurred, found

    def backward(
        self, precision: Tensor, slopes: Tensor | None, slope: Tensor, of_images: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of the images, if asked for, and of the precision, if `slopes` are there, from that of the
        blurred images.
        """
        slope_images = torch.empty_like(slope) if of_images else None
        slope_precision = torch.empty_like(precision) if slopes is not None else None
        tensors = (precision, slopes, slope, slope_images, slope_precision)
        self._run(self._backward, slope.shape, precision.shape, *tensors)
        return slope_images, slope_precision

    @staticmethod
    def _run(function: Callable[..., int], images: torch.Size, maps: torch.Size, *tensors: Tensor | None) -> None:
        """Image by image; where each colour has a map of its own, each is an image by itself."""
        height, width = images[2:]
        count = maps[0] * maps[1]
        colours = images[0] * images[1] // max(count, 1)
        places = [(t.data_ptr(), 4 * t.numel() // max(count, 1)) if t is not None else (0, 0) for t in tensors]

        def blur(first: int, last: int) -> None:
            for number in range(first, last):
                pointers = (start + number * step or None for start, step in places)
                if function(*pointers, colours, height, width):
                    raise MemoryError("no memory for a few rows of the image")

        threads = max(1, min(torch.get_num_threads(), count))
        first, *rest = pairwise(count * k // threads for k in range(threads + 1))
        elsewhere = [_pool(os.getpid(), threads).submit(blur, *part) for part in rest]
        blur(*first)
        for part in elsewhere:
            part.result()


@lru_cache(maxsize=MOST_REACH)
def blur_kernel(window: int) -> BlurKernel | None:
    """The compiled blur of this window; None where there is no compiler, or the window is too large."""
    reach = window // 2
    compiler = _compiler()
    if compiler is None or not 1 <= reach <= MOST_REACH:
        return None
    path = _cache() / f"blur-{reach}-{_fingerprint(compiler)}.so"
    try:
        if not path.is_file():
            _compile(compiler, reach, path)
        return BlurKernel(ctypes.CDLL(str(path)))
    except (OSError, subprocess.SubprocessError):
        return None


def _compiler() -> list[str] | None:
    asked = os.environ.get("CC")
    if asked is not None:
        return shlex.split(asked) or None
    return next(([found] for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "dfgame"


def _fingerprint(compiler: list[str]) -> str:
    """Of all that the compiled file depends on: a home folder may be shared by machines with different processors."""
    processor = Path("/proc/cpuinfo")
    features = (
        next((line for line in processor.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
        if processor.is_file()
        else platform.processor()
    )
    facts = "\n".join([SOURCE.read_text(encoding="utf-8"), *compiler, *FLAGS, platform.machine(), features])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _compile(compiler: list[str], reach: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        command = [*compiler, f"-DR={reach}", *FLAGS, "-o", str(made), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS_TO_COMPILE)
        made.replace(path)


@lru_cache(maxsize=4)
def _pool(_process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process: those of a parent are not there after a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="blur")


def _declared(function: Callable[..., int], pointers: int) -> Callable[..., int]:
    function.argtypes = [ctypes.c_void_p] * pointers + [ctypes.c_long] * 3  # type: ignore[attr-defined]
    function.restype = ctypes.c_int  # type: ignore[attr-defined]
    return function
