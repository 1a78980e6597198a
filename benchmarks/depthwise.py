"""How long kernels take to learn in the convolutions map by map of a round: torch's own slope of them, and that in C.

    python benchmarks/depthwise.py [BATCH] [SIZE] [TURNS]    # 16 160 5

The convolutions of EfficientNet-Lite0 on 2 BATCH images of SIZE pixels, as they come in a round, and the generators'
last ones. Milliseconds of processor time on one thread, the least of TURNS turns; how far from float64 both are.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the dfgame command does

import torch
from torch import Tensor

from dfgame.config import DetectorConfig
from dfgame.kernels import depthwise_kernel
from dfgame.memory import keep_freed_memory
from dfgame.models import Detector

Shape = tuple[int, int, int, int, int, int]
"""Images, maps, side of the features, side of the kernels, stride, padding."""


def shapes_of(batch: int, size: int) -> list[Shape]:
    """The convolutions map by map of a round with generators, as often as they come."""
    detector, found = Detector(DetectorConfig(pretrained=False)), []

    def note(conv: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        if conv.groups > 1:
            (kernel, _), (stride, _) = conv.kernel_size, conv.stride
            found.append((2 * batch, conv.groups, inputs[0].shape[2], kernel, stride, kernel // 2))

    for module in detector.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(note)
    with torch.inference_mode():
        detector.eval()(torch.zeros((1, 3, size, size)))
    return [*found, *[(batch // 2, 16, size + 6, 7, 1, 0)] * 2]


def least(work: Callable[[], Any], turns: int) -> float:
    """Milliseconds."""
    seconds = []
    for _ in range(turns + 1):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 1e3 * min(seconds[1:])


def timed(shape: Shape, turns: int) -> tuple[float, float, float, float]:
    """Milliseconds of torch and of C, and the error of each, as a share of the largest value."""
    images, maps, side, window, stride, padding = shape
    features = torch.randn((images, maps, side, side)).contiguous(memory_format=torch.channels_last)
    kernels = torch.randn((maps, 1, window, window))
    made = torch.nn.functional.conv2d(features, kernels, None, stride, padding, 1, maps)
    slope, kernel = torch.randn_like(made), depthwise_kernel(window)
    assert kernel is not None, "no C compiler here"

    def torchs(kind: torch.dtype) -> Tensor:
        tensors = (tensor.to(kind) for tensor in (slope, features, kernels))
        rest = (None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], maps, [False, True, False])
        return torch.ops.aten.convolution_backward(*tensors, *rest)[1]

    exact = torchs(torch.float64)
    errors = [
        float((found - exact).abs().max() / exact.abs().max())
        for found in (torchs(torch.float32), kernel(features, slope, stride, padding))
    ]
    theirs = least(lambda: torchs(torch.float32), turns)
    ours = least(lambda: kernel(features, slope, stride, padding), turns)
    return theirs, ours, *errors


def main(batch: int = 16, size: int = 160, turns: int = 5) -> None:
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    totals = [0.0, 0.0]
    known: dict[Shape, tuple[float, float, float, float]] = {}
    print(f"{'images x maps x side, kernel, stride':>40} {'torch':>8} {'C':>8} {'error':>9} {'C':>9}")
    for shape in shapes_of(batch, size):
        if shape not in known:
            known[shape] = timed(shape, turns)
            images, maps, side, window, stride, _ = shape
            theirs, ours, theirs_off, ours_off = known[shape]
            words = f"{images} x {maps} x {side}, {window}, {stride}"
            print(f"{words:>40} {theirs:8.1f} {ours:8.1f} {theirs_off:9.0e} {ours_off:9.0e}", flush=True)
        totals = [total + value for total, value in zip(totals, known[shape], strict=False)]
    print(f"{'a round, ms':>40} {totals[0]:8.1f} {totals[1]:8.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
