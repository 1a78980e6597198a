"""Glasses, facial hair and turned heads: what a detector in a box says of people who have them.

    python benchmarks/traits.py OUT [BOX]

Of each of the 40 people of the ORL photographs (those of `dfgame demo`: grey, 92 x 112) the two pictures that look
most straight ahead and the two that are turned the most to a side are forged into a tree each, everybody filmed by a
camera of their own. Who wears glasses at times has them on in all four. The tree's clips are inspected at c23 and c40
as `benchmarks/conditions.py` does it, all together and by group; a line each on stderr, JSON on stdout.

How far a head is turned is where its nose lies between the eyes, as a share of their distance: 0 straight ahead.
Glasses and facial hair were looked up in the pictures by eye.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from conditions import ALL_JUDGED, Condition, as_it_is, inspected, line, measured

from dfgame.boxed import load_detector
from dfgame.config import ForgeConfig
from dfgame.datasets import find_data
from dfgame.demo import packaged_faces
from dfgame.faces.quality import face_turn
from dfgame.files import read_json
from dfgame.forgery.build import build_tree
from dfgame.forgery.photographs import Photograph, find_people

FORGE = ForgeConfig(frames=8, size=160, cameras="many", compressions=("raw",))
SHOTS = 2
GLASSES: dict[str, tuple[int, ...]] = {
    **{person: tuple(range(1, 11)) for person in ("s2", "s6", "s14", "s27", "s28", "s31", "s34", "s37")},
    "s4": (1, 2, 3, 8, 9),
    "s13": (1, 2, 5, 6, 7, 8, 9, 10),
    "s17": (1, 2, 5, 6, 7, 8, 9, 10),
    "s19": (1, 2, 3, 6, 10),
    "s20": (1, 2, 3, 5, 7, 8, 9, 10),
}
"""The pictures with glasses of people who have enough of them."""
WITH_GLASSES_AT_TIMES: dict[str, tuple[int, ...]] = {"s7": (4, 5, 10), "s36": (9, 10)}
"""Those of people who have not: they are left out, and the others of these people taken."""
FACIAL_HAIR = ("s7", "s11", "s14", "s16", "s17", "s25", "s26", "s28", "s37")
"""Beards and moustaches."""


def main(out: Path, box: Path | None = None) -> None:
    """Forge what is not there yet, and print what was found."""
    detector = load_detector(box)
    found: dict[str, Any] = {"detector": detector.model.sha256, "turn": {}, "groups": {}}
    for name, pictures in _chosen().items():
        turns = [face_turn(picture.points) for of_person in pictures.values() for picture in of_person]
        found["turn"][name] = np.quantile(turns, [0.1, 0.5, 0.9]).round(2).tolist()
        tree = _tree(out, name, pictures)
        names = {person["id"]: person["name"] for person in read_json(tree / "people.json")["people"]}
        videos = find_data(tree).videos
        for crf in (23, 40):
            said = inspected(tree, videos, Condition(as_it_is, crf, config=ALL_JUDGED), detector)
            for group, people in _groups().items():
                some = [video for video in videos if names[video.identity] in people]
                label = f"{name}, c{crf}, {group}"
                found["groups"][label] = measured(some, said)
                print(f"{label:32} " + line(found["groups"][label]), file=sys.stderr, flush=True)
    print(json.dumps(found, indent=2))


def _chosen() -> dict[str, dict[str, list[Photograph]]]:
    """The pictures of each person: those that look straight ahead, and those turned the most."""
    chosen: dict[str, dict[str, list[Photograph]]] = {"straight": {}, "turned": {}}
    for person in find_people(packaged_faces(), FORGE)[0]:
        left_out = WITH_GLASSES_AT_TIMES.get(person.name, ())
        allowed = set(GLASSES.get(person.name, range(1, 11))).difference(left_out)
        pictures = [picture for picture in person.photographs if _number(picture) in allowed]
        by_turn = sorted(pictures, key=turn)
        chosen["straight"][person.name], chosen["turned"][person.name] = by_turn[:SHOTS], by_turn[-SHOTS:]
    return chosen


def _number(picture: Photograph) -> int:
    return int(picture.path.stem) if picture.path.stem.isdigit() else 0


def _tree(out: Path, name: str, pictures: dict[str, list[Photograph]]) -> Path:
    """The tree forged of these pictures."""
    folder = out / "photographs" / name
    for person, some in pictures.items():
        (folder / person).mkdir(parents=True, exist_ok=True)
        for picture in some:
            link = folder / person / picture.path.name
            if not link.exists():
                link.symlink_to(picture.path)
    build_tree(folder, out / name, FORGE)
    return out / name


def _groups() -> dict[str, set[str]]:
    everybody = {f"s{number}" for number in range(1, 41)}
    return {
        "all": everybody,
        "glasses": set(GLASSES),
        "no glasses": everybody - set(GLASSES),
        "facial hair": set(FACIAL_HAIR),
        "no facial hair": everybody - set(FACIAL_HAIR),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(Path, sys.argv[2:3]))
