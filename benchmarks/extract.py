"""How many frames a second are decoded, searched for faces, and cut into crops; against MTCNN; and in how much memory.

    python benchmarks/extract.py ROOT [FRAMES] [VIDEOS]

ROOT is a data set as `dfgame extract` reads it; FRAMES a video (default 96), the same ones for every step, of
VIDEOS of its videos (default 12, spread over it; those that fail are left out). In one process, with one thread, the
steps take turns on each video, so that a machine whose speed drifts drifts for all of them:

    decode             the frames as RGB
    decode and detect  the face detector in each of them, brought to 640 pixels
    extract            `dfgame extract` at its defaults: detected, followed, cut out, written
    MTCNN's pipeline   where facenet_pytorch is installed: detected by MTCNN in each whole frame, the largest face cut
                       out with the same margin, written

Last, the same videos by as many processes as there are cores, with their start, and from that what the whole of
FaceForensics++ would take (5,000 videos at three qualities, 270 frames of each, if they were like these). The memory
is that of one process after each video.
"""

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import psutil

from dfgame.config import ExtractConfig
from dfgame.datasets import find_data
from dfgame.extract import ExtractJob, extract_video, make_jobs, spread
from dfgame.faces.crop import crop_face
from dfgame.faces.detect import FaceDetector, default_detector
from dfgame.faces.video import write_png
from dfgame.jobs import available_cores, run_jobs
from dfgame.media import MediaError, count_frames, read_frames
from dfgame.records import Face

DECODE, DETECT, EXTRACT, MTCNN = "decode", "decode and detect", "extract", "MTCNN's pipeline"
ALL_CORES = "extract on all cores"
WHOLE = 5_000 * 3 * 270
"""Frames of FaceForensics++: 1,000 originals and 4,000 fakes, at raw, c23 and c40."""


def main(root: Path, frames: int = 96, videos: int = 12) -> None:
    """Print a table on stderr and JSON on stdout."""
    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the face detector is loaded, below
    config = ExtractConfig(frames=frames)
    detect, mtcnn = default_detector(config.min_score), mtcnn_pipeline()
    seconds: dict[str, float] = {}
    done: list[ExtractJob] = []
    looked_at, memory = 0, []
    with tempfile.TemporaryDirectory() as out:
        data = find_data(root)
        jobs = make_jobs(data.root, Path(out), data.videos, config)
        for number in spread(len(jobs), videos):
            try:
                count = time_one(jobs[number], detect, mtcnn, seconds)
            except MediaError as error:
                print(f"left out: {error.problem}", file=sys.stderr)
                continue
            done.append(jobs[number])
            looked_at += count
            memory.append(round(psutil.Process().memory_info().rss / 2**20))
        with stopwatch(seconds, ALL_CORES):
            for _ in run_jobs(extract_video, done, 0, "all cores"):
                pass
    if not looked_at:
        sys.exit("no video could be read")
    report(seconds, looked_at, memory, {"frames": frames, "videos": len(done), "cores": available_cores()})


def time_one(
    job: ExtractJob, detect: FaceDetector, mtcnn: Callable[[ExtractJob], int] | None, seconds: dict[str, float]
) -> int:
    """Add the seconds of each step on one core; the number of frames."""
    numbers = frozenset(spread(count_frames(job.file), job.config.frames))
    steps: dict[str, Callable[[], int]] = {
        DECODE: lambda: sum(1 for _ in read_frames(job.file, numbers)),
        DETECT: lambda: sum(1 for frame in read_frames(job.file, numbers) if detect(frame.image) is not None),
        EXTRACT: lambda: extract_video(job),
    }
    if mtcnn is not None:
        steps[MTCNN] = lambda: mtcnn(job)
    count = steps[DECODE]()
    for step, work in steps.items():
        with stopwatch(seconds, step):
            work()
    return count


def mtcnn_pipeline() -> Callable[[ExtractJob], int] | None:
    """A function that does the video of a job as the field does it with MTCNN; None where it is not installed."""
    if importlib.util.find_spec("facenet_pytorch") is None:
        return None
    import facenet_pytorch  # type: ignore[import-not-found]
    import torch

    torch.set_num_threads(1)
    network = facenet_pytorch.MTCNN(keep_all=True, select_largest=True, device="cpu")

    def run(job: ExtractJob) -> int:
        folder = job.out / "mtcnn"
        folder.mkdir(exist_ok=True)
        numbers = frozenset(spread(count_frames(job.file), job.config.frames))
        for frame in read_frames(job.file, numbers):
            boxes, scores = network.detect(frame.image)
            if boxes is not None:
                face = Face(tuple(boxes[0].tolist()), (), float(scores[0]))
                crop = crop_face(frame.image, face, job.config.margin, job.config.size)
                write_png(folder / f"{frame.index}.png", crop)
        return len(numbers)

    return run


@contextmanager
def stopwatch(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the time spent inside to `seconds[step]`."""
    started = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - started


def report(seconds: dict[str, float], looked_at: int, memory: list[int], settings: dict[str, int]) -> None:
    """Print frames a second and ratios, memory, and the time of the whole."""
    rates = {step: looked_at / taken for step, taken in seconds.items()}
    ratios = {"of decode and detect": rates[EXTRACT] / rates[DETECT], "of decode": rates[EXTRACT] / rates[DECODE]}
    if MTCNN in rates:
        ratios["times MTCNN's pipeline"] = rates[EXTRACT] / rates[MTCNN]
    cores = settings["cores"]
    hours = {"here": WHOLE / rates[ALL_CORES] / 3600, "64 cores": WHOLE / rates[ALL_CORES] * cores / 64 / 3600}
    found = {
        "settings": settings,
        "looked_at": looked_at,
        "frames_per_second": {step: round(rate, 1) for step, rate in rates.items()},
        "extract": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "megabytes_after_each_video": memory,
        "hours_for_faceforensics": {where: round(time_, 1) for where, time_ in hours.items()},
    }
    print(json.dumps(found, indent=2))
    for step, rate in rates.items():
        print(f"{step:>20} {rate:8.1f} frames/s", file=sys.stderr)
    for name, ratio in ratios.items():
        print(f"{'extract':>20} {ratio:8.2f} {name}", file=sys.stderr)
    print(f"{'memory':>20} {memory[0]:8d} MB after the first video, {memory[-1]} after the last", file=sys.stderr)
    for where, time_ in hours.items():
        print(f"{'FaceForensics++':>20} {time_:8.1f} hours, {where}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
