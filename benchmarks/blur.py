"""The blur against the published formulation and against a multiplication: time, and memory, in one run.

    python benchmarks/blur.py [BATCH] [SIZE] [THREADS]    # 16 256 2

Forward and backward, gradients of the images and of the map. Each figure is the least of several turns, in which
all contenders take theirs one after the other. Memory is what a step adds to the process's peak beyond its inputs,
outputs and gradients, in maps of the images' size, each measured in a process of its own.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the dfgame command does

import torch
from published import published_blur

from dfgame.bench import least
from dfgame.blur import _plain, pixelwise_gaussian_blur
from dfgame.kernels import blur_kernel

WINDOWS = (3, 5, 7)
TURNS = 9
Step = Callable[[], None]


def step(function: Callable[..., torch.Tensor], batch: int, size: int, maps: int, *more: int) -> Step:
    images = torch.rand((batch, 3, size, size), requires_grad=True)
    precision = (3 * torch.rand((batch, maps, size, size))).requires_grad_()
    slope = torch.rand((batch, 3, size, size))

    def run() -> None:
        images.grad = precision.grad = None
        function(images, precision, *more).backward(slope)

    return run


def extra_maps(name: str, window: int, batch: int, size: int) -> float:
    """Peak memory of a step in another process, beyond inputs, output and gradients, in maps."""
    command = [sys.executable, __file__, "memory", name, *map(str, (window, batch, size))]
    return statistics.median(float(subprocess.check_output(command)) for _ in range(3))


def measure_memory(name: str, window: int, batch: int, size: int) -> None:
    function = {"published": published_blur, "dfgame": pixelwise_gaussian_blur, "plain": _plain}[name]
    step(function, 1, 16, 1, window)()
    run = step(function, batch, size, 1, window)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
    before = resident("VmRSS")
    run()
    peak = resident("VmHWM") - before
    values = batch * size * size
    needed = 4 * values * (3 + 3 + 1)  # the output, and the gradients of the images and of the map
    print((peak - needed) / (4 * 3 * values))


def resident(which: str) -> int:
    """Bytes of memory, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(which))


def main(batch: int = 16, size: int = 256, threads: int = 2) -> None:
    torch.set_num_threads(threads)
    print(f"{batch} x 3 x {size} x {size}, {threads} threads, compiled: {blur_kernel(3) is not None}")
    print(
        f"{'maps':>4} {'K':>3} {'published':>11} {'in tensors':>11} {'dfgame':>9} {'times':>7} "
        f"{'multiply':>9} {'of it':>6}"
    )
    for maps in (1, 3):
        for window in WINDOWS:
            found = least(
                {
                    "multiply": step(torch.mul, batch, size, maps),
                    "dfgame": step(pixelwise_gaussian_blur, batch, size, maps, window),
                    "plain": step(_plain, batch, size, maps, window),
                    "published": step(published_blur, batch, size, maps, window),
                },
                TURNS,
            )
            ms = {name: 1000 * value for name, value in found.items()}
            print(
                f"{maps:>4} {window:>3} {ms['published']:>8.0f} ms {ms['plain']:>8.1f} ms {ms['dfgame']:>6.2f} ms "
                f"{ms['published'] / ms['dfgame']:>6.1f}x {ms['multiply']:>6.2f} ms "
                f"{ms['dfgame'] / ms['multiply']:>5.1f}x"
            )
    print(f"\n{'K':>3} {'published':>10} {'in tensors':>11} {'dfgame':>7}   extra memory, maps of the images' size")
    for window in WINDOWS:
        maps_of = [extra_maps(name, window, batch, size) for name in ("published", "plain", "dfgame")]
        print(f"{window:>3} {maps_of[0]:>10.1f} {maps_of[1]:>11.1f} {maps_of[2]:>7.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        measure_memory(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        main(*map(int, sys.argv[1:]))
