"""How much memory a round takes, found without taking it, and in how many parts it then fits."""

import ctypes
import sys
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

from dfgame.config import TrainConfig, pairs_of
from dfgame.models import Detector, Generator

BEYOND_ACTIVATIONS = 1.25
"""Weights, optimisers, slopes and batches, as a factor on what is kept for the backward pass."""
USABLE = 0.8
"""Of the free memory."""
_IMAGES = 2
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Parameters of the C library's mallopt."""
_TOP_PAD_BYTES = 2**27
_NEVER, _LARGEST = -1, 2**31 - 1
_MADV_HUGEPAGE, _LARGE_PAGE, _PIECE = 14, 2**21, 2**30
_IN_LARGE_PAGES = 0.5
"""Of the free memory: the part of the heap that is asked for in large pages."""


def keep_freed_memory() -> bool:
    """From now on, what this process frees stays with it, in large pages; whether the C library can (glibc can).

    By default every large tensor is mapped anew, and the kernel clears its pages, 4 KiB each: more than a third of a
    training round on two cores.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    settings = {_TRIM_THRESHOLD: _NEVER, _TOP_PAD: _TOP_PAD_BYTES, _MMAP_THRESHOLD: _LARGEST}
    kept = all(mallopt(parameter, value) == 1 for parameter, value in settings.items())
    if kept:
        _enlarge_pages(library, int(_IN_LARGE_PAGES * free_bytes(torch.device("cpu"))))
    return kept


def _enlarge_pages(library: ctypes.CDLL, size: int) -> None:
    """Let the heap grow by so many bytes, which take no memory yet; ask the kernel for large pages where they fall.

    It grows by pieces below the size that is mapped apart. Where the kernel or a limit refuses, nothing is lost.
    """
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    pieces = [start for _ in range(size // _PIECE) if (start := library.malloc(_PIECE))]
    for start in pieces:
        page = -(-start // _LARGE_PAGE) * _LARGE_PAGE
        library.madvise(page, (start + _PIECE - page) // _LARGE_PAGE * _LARGE_PAGE, _MADV_HUGEPAGE)
    for start in pieces:
        library.free(start)


def round_bytes(config: TrainConfig) -> int:
    """About how many bytes a round in one part takes at its peak, in float32.

    The larger of the detector's move, on clean and adversarial images, and of the adversary's. What the backward
    pass keeps is counted on tensors without data.
    """
    size = config.image_size
    with torch.device("meta"):
        images = torch.zeros((_IMAGES, 3, size, size))
        detector = _kept(Detector(config.detector).train(), images)
        adversary = config.adversary
        drawing = 0
        if config.game == "generator":
            drawing = _kept(Generator(1, adversary.filters, adversary.blocks, adversary.norm), images)
    share = 0.0 if config.game == "none" else pairs_of(adversary.share, config.part_pairs) / config.part_pairs
    return int(BEYOND_ACTIVATIONS * config.batch_size * max((1 + share) * detector, share * (detector + drawing)))


def free_bytes(device: torch.device) -> int:
    """Memory that is free on this device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(psutil.virtual_memory().available, cgroup_room(Path("/sys/fs/cgroup")))


def parts_that_fit(config: TrainConfig, room: int) -> int:
    """The least number of parts in which a round fits into so many bytes; as many as there are where none does."""
    half, needed = config.batch_size // 2, round_bytes(config)
    divisors = [parts for parts in range(1, half + 1) if half % parts == 0]
    return next((parts for parts in divisors if needed / parts <= USABLE * room), half)


def _kept(network: nn.Module, images: Tensor) -> float:
    """Bytes an image that autograd keeps of a forward pass."""
    weights = {weight.untyped_storage()._cdata for weight in network.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            storages[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept = network(images)
    del kept
    return sum(storages.values()) / _IMAGES


def cgroup_room(folder: Path) -> int:
    """What a container may still take, by its control group's folder; a very large number where nothing is said.

    Of what it has taken, the pages of files that nobody has used lately can be had back.
    """
    limit, taken = (_number(folder / name) for name in ("memory.max", "memory.current"))
    if limit is None or taken is None:
        return 2**62
    statistics = (folder / "memory.stat").read_text().split() if (folder / "memory.stat").is_file() else []
    of_files = dict(zip(statistics[::2], statistics[1::2], strict=False)).get("inactive_file", "0")
    return max(limit - taken + int(of_files), 0)


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None
