"""How many frames a second are decoded, searched for faces, and cut into crops, and what each step costs.

    python benchmarks/extract.py ROOT [FRAMES] [VIDEOS]

ROOT is a data set as `dfgame extract` reads it; FRAMES a video (default 32), the same ones for every step, of the
first VIDEOS (default 12; those that fail are left out). In one process, with one thread, the three steps take turns on
each video, so that a machine whose speed drifts drifts for all of them. Last, the same videos on all cores, with the
start of the workers.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from dfgame.config import ExtractConfig
from dfgame.datasets import find_data
from dfgame.extract import ExtractJob, extract_video, make_jobs, spread
from dfgame.faces.detect import FaceDetector, default_detector
from dfgame.jobs import available_cores, run_jobs
from dfgame.media import MediaError, count_frames, read_frames

DECODE, DETECT, EXTRACT = "decode", "decode and detect", "extract"
ALL_CORES = "extract on all cores"


def main(root: Path, frames: int = 32, videos: int = 12) -> None:
    """Print a table on stderr and JSON on stdout."""
    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the face detector is loaded, below
    config = ExtractConfig(frames=frames)
    detect = default_detector(config.min_score)
    seconds: dict[str, float] = dict.fromkeys((DECODE, DETECT, EXTRACT, ALL_CORES), 0.0)
    done: list[ExtractJob] = []
    looked_at = 0
    with tempfile.TemporaryDirectory() as out:
        for job in make_jobs(root, Path(out), find_data(root).videos[:videos], config):
            try:
                taken, count = time_one(job, detect)
            except MediaError as error:
                print(f"left out: {error.problem}", file=sys.stderr)
                continue
            done.append(job)
            looked_at += count
            for step in taken:
                seconds[step] += taken[step]
        with stopwatch(seconds, ALL_CORES):
            for _ in run_jobs(extract_video, done, 0, "all cores"):
                pass
    report(seconds, looked_at, {"frames": frames, "videos": len(done), "cores": available_cores()})


def time_one(job: ExtractJob, detect: FaceDetector) -> tuple[dict[str, float], int]:
    """Seconds of each step on one core, and the number of frames."""
    path = job.root / job.video.path
    numbers = frozenset(spread(count_frames(path), job.config.frames))

    def decode() -> int:
        return sum(1 for _ in read_frames(path, numbers))

    def decode_and_detect() -> int:
        return sum(1 for frame in read_frames(path, numbers) if detect(frame.image) is not None)

    steps: dict[str, Callable[[], int]] = {
        DECODE: decode,
        DETECT: decode_and_detect,
        EXTRACT: lambda: extract_video(job),
    }
    decode()
    taken, count = dict.fromkeys(steps, 0.0), 0
    for step, work in steps.items():
        with stopwatch(taken, step):
            count = work()
    return taken, count


@contextmanager
def stopwatch(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the time spent inside to `seconds[step]`."""
    started = time.perf_counter()
    yield
    seconds[step] += time.perf_counter() - started


def report(seconds: dict[str, float], looked_at: int, settings: dict[str, int]) -> None:
    """Print frames a second and ratios."""
    if not looked_at:
        sys.exit("no video could be read")
    steps = {
        step: {
            "frames_per_second": round(looked_at / taken, 1),
            "times_as_long_as_decode": round(taken / seconds[DECODE], 2),
        }
        for step, taken in seconds.items()
    }
    print(json.dumps({"settings": settings, "looked_at": looked_at, "steps": steps}, indent=2))
    for step, result in steps.items():
        print(f"{step:>20} {result['frames_per_second']:8.1f} frames/s", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
