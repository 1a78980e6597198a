"""How long a round's passes take when freed memory goes back to the kernel, and when it is kept (`dfgame.memory`).

    python benchmarks/memory.py [TURNS]

EfficientNet-Lite0, forward and backward on 32 images of 160 px. Each way has a process of its own, since memory that
is kept stays kept; they take turns (default 3), and the least seconds of a pass count. JSON on stdout: seconds, and
the part of them in the kernel.
"""

import json
import resource
import subprocess
import sys
import time

import torch

from dfgame.checkpoint import new_detector
from dfgame.config import DetectorConfig
from dfgame.memory import keep_freed_memory

PASSES, BATCH, SIZE = 6, 32, 160


def main(turns: int = 3) -> None:
    """Print the least of each way."""
    found: dict[str, list[dict[str, float]]] = {"given back": [], "kept": []}
    for _ in range(turns):
        for way, measured in found.items():
            done = subprocess.run([sys.executable, __file__, way], check=True, capture_output=True, text=True)
            measured.append(json.loads(done.stdout))
    least = {way: min(measured, key=lambda one: one["seconds"]) for way, measured in found.items()}
    print(json.dumps(least | {"ratio": least["given back"]["seconds"] / least["kept"]["seconds"]}, indent=2))


def measure(way: str) -> dict[str, float]:
    if way == "kept" and not keep_freed_memory():
        sys.exit("this C library cannot keep freed memory")
    detector = new_detector(DetectorConfig()).to(memory_format=torch.channels_last).train()
    images = torch.rand(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    detector(images).square().mean().backward()
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_stime
    for _ in range(PASSES):
        detector(images).square().mean().backward()
    kernel = resource.getrusage(resource.RUSAGE_SELF).ru_stime - before
    return {"seconds": (time.perf_counter() - started) / PASSES, "in_kernel": kernel / PASSES}


if __name__ == "__main__":
    if sys.argv[1:] in (["given back"], ["kept"]):
        print(json.dumps(measure(sys.argv[1])))
    else:
        main(*map(int, sys.argv[1:]))
