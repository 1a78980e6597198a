"""How far heads may be turned before real people are called fake: what `dfgame inspect --max-turn` was chosen by.

    python benchmarks/turns.py TREE [BOX] [SPLIT] [PEOPLE] [PHOTOGRAPHS]

As `benchmarks/conditions.py`, of which the arguments are, with heads turned by 0 to 75 degrees, all judged (default
split val). A line an angle, then one for each by which heads are bowed or raised (below 0); then, by how far the nose
seems off the middle of the eyes in the median over the frames, how many real videos turned to a side there are of all
angles, and how many of them are called fake. Last, how many of the PHOTOGRAPHS, a folder, show a face that is turned
further than `inspect` allows. On stderr; JSON on stdout.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from conditions import ALL_JUDGED, Condition, clip_of, inspected, line, measured, seed_of, turned

from dfgame.boxed import load_detector
from dfgame.config import InspectConfig
from dfgame.datasets import find_data
from dfgame.faces.detect import default_detector
from dfgame.faces.quality import face_turn
from dfgame.inspection.places import files_below
from dfgame.media import RgbImage, read_frames

ANGLES = (0, 15, 30, 45, 60, 75)
PITCHES = (-30, -25, -20, -15, -10, -5, 15, 25)
EDGES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, np.inf)


def turn_in(frames: list[RgbImage]) -> float:
    """The median over the frames in which a face is found; NaN where there is none."""
    found = [faces[0] for faces in map(default_detector(0.6), frames) if faces]
    return float(np.median([face_turn(face.points) for face in found])) if found else np.nan


def main(
    tree: Path, box: Path | None = None, split: str = "val", people: int = 0, photographs: Path | None = None
) -> None:
    """Print what was found."""
    detector = load_detector(box)
    raw = [video for video in find_data(tree).videos if video.compression == "raw" and video.split == split]
    chosen = sorted({video.identity for video in raw})[: people or None]
    videos = [video for video in raw if video.identity in chosen]
    angles, turns, called = {}, [], []
    for degrees in ANGLES:
        alter = turned(degrees)
        said = inspected(tree, videos, Condition(alter, config=ALL_JUDGED), detector)
        angles[degrees] = measured(videos, said)
        print(f"{degrees:3} degrees  " + line(angles[degrees]), file=sys.stderr, flush=True)
        for video in videos:
            if video.label == "real":
                turns.append(turn_in(alter(clip_of(tree / video.path), seed_of(video))))
                called.append(getattr(said[video.name], "verdict", "") == "fake")
    pitches = {}
    for degrees in PITCHES:
        pitches[degrees] = measured(
            videos, inspected(tree, videos, Condition(turned(0, degrees), config=ALL_JUDGED), detector)
        )
        print(f"{degrees:3} degrees bowed  " + line(pitches[degrees]), file=sys.stderr, flush=True)
    bins = []
    for low, high in pairwise(EDGES):
        inside = [fake for turn, fake in zip(turns, called, strict=True) if low <= turn < high]
        bins.append(
            {"from": low, "below": high if np.isfinite(high) else None, "real": len(inside), "fake": sum(inside)}
        )
        print(f"turned by {low:.2f} to {high:.2f}: {sum(inside)} of {len(inside)} called fake", file=sys.stderr)
    found: dict[str, object] = {"detector": detector.model.sha256, "angles": angles, "pitches": pitches, "turns": bins}
    if photographs:
        pictures = [turn_in([next(iter(read_frames(path))).image]) for path in files_below([photographs])]
        beyond = sum(turn > InspectConfig().max_turn for turn in pictures)
        found["photographs"] = {"with_a_face": int(np.isfinite(pictures).sum()), "turned_too_far": beyond}
        print(f"photographs: {found['photographs']}", file=sys.stderr)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        Path(given[0]),
        Path(given[1]) if len(given) > 1 and given[1] != "-" else None,
        *given[2:3],
        *map(int, given[3:4]),
        *map(Path, given[4:5]),
    )
