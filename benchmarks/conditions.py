"""Where a detector in a box fails: the same videos under hard conditions, made from the lossless ones.

    python benchmarks/conditions.py TREE [BOX] [SPLIT] [PEOPLE]

TREE is a tree of `dfgame forge` with raw videos, BOX a detector's file (default, or -: the packaged one), SPLIT the
one that is measured (default test), PEOPLE at most so many of its people. Of each video 4 frames are altered, encoded
as H.264 (CRF 23 unless the condition says otherwise), and inspected; who stands beside somebody is of the same people,
and real. A line a condition: the AUC over videos with its 95% interval over people, the share of real videos called
fake and of fakes called real, the share called neither, videos in which no face was found, and the AUC of each family.
JSON, with intervals of these, too, on stdout. Last, the plain videos by the lightness of the skin (the individual
typology angle of the cheeks, darker and lighter half of the people), the real videos of each half against its fakes.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.boxed import BoxedDetector, load_detector
from dfgame.config import InspectConfig
from dfgame.datasets import find_data
from dfgame.faces.detect import default_detector
from dfgame.faces.sample import spread
from dfgame.forgery.align import alignment, cut
from dfgame.forgery.heads import turned_head
from dfgame.inspection.pipeline import inspect_files
from dfgame.media import RgbImage, count_frames, read_frames, through_h264, write_video
from dfgame.metrics import auc_interval, fewest_of_a_class, measures, people_bootstrap
from dfgame.records import ORIGINAL, FileVerdict, Video

FRAMES = 4
REPLICATES, SEED = 1_000, 0
Alter = Callable[[list[RgbImage], np.random.Generator], list[RgbImage]]
Said = dict[str, Any]
"""What is said of each video, by name: a FileVerdict, or a Failure."""


def even(image: NDArray[np.generic]) -> RgbImage:
    return np.ascontiguousarray(np.clip(image, 0, 255)[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2], np.uint8)


def as_it_is(clip: list[RgbImage], _rng: np.random.Generator) -> list[RgbImage]:
    return clip


def scaled(share: float) -> Alter:
    return lambda clip, _: [even(cv2.resize(f, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)) for f in clip]


def low_light(clip: list[RgbImage], rng: np.random.Generator) -> list[RgbImage]:
    return [even(0.22 * f + 4 + rng.normal(0, 5, f.shape)) for f in clip]


def beauty(clip: list[RgbImage], _rng: np.random.Generator) -> list[RgbImage]:
    return [even(0.25 * f + 0.75 * cv2.bilateralFilter(f, 9, 40, 9) + 6) for f in clip]


def screen(clip: list[RgbImage], rng: np.random.Generator) -> list[RgbImage]:
    height, width = clip[0].shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    tilted = (corners + rng.uniform(-0.06, 0.06, (4, 2)) * (width, height)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, tilted)
    lines = 1 + 0.06 * np.cos(2 * np.pi * np.arange(height) / rng.uniform(2.2, 3.4))[:, None, None]
    shown = through_h264(clip, 28)
    return [even(cv2.warpPerspective(1.1 * f * lines, matrix, (width, height)) * (0.9, 1.0, 1.08)) for f in shown]


def tilted(clip: list[RgbImage], _rng: np.random.Generator) -> list[RgbImage]:
    height, width = clip[0].shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 30, 0.9)
    return [even(cv2.warpAffine(f, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)) for f in clip]


def turned(yaw: int, pitch: int = 0) -> Alter:
    """The head of the first face turned, to the one side or the other."""
    return lambda clip, rng: _turned(clip, int(rng.choice([-1, 1])) * yaw, pitch)


def any_way(clip: list[RgbImage], rng: np.random.Generator) -> list[RgbImage]:
    """Another way for each video, up to 30 degrees to a side and 15 up or down."""
    return _turned(clip, int(rng.integers(-30, 31)), int(rng.integers(-15, 16)))


def looks_aside(clip: list[RgbImage], rng: np.random.Generator) -> list[RgbImage]:
    """Turned by 45 degrees in one of the frames."""
    place = int(rng.integers(len(clip)))
    return [*clip[:place], *turned(45)(clip[place : place + 1], rng), *clip[place + 1 :]]


def _turned(clip: list[RgbImage], yaw: int, pitch: int) -> list[RgbImage]:
    detect = default_detector(0.6)
    found = [(frame, detect(frame)) for frame in clip]
    return [even(turned_head(f, np.array(faces[0].points), yaw, pitch) if faces else f) for f, faces in found]


def again(clip: list[RgbImage], _rng: np.random.Generator) -> list[RgbImage]:
    once = through_h264(clip, 23)
    return [even(cv2.resize(f, None, fx=0.66, fy=0.66, interpolation=cv2.INTER_AREA)) for f in once]


class Condition(NamedTuple):
    """How clips are altered, at which CRF they are encoded, how many real people stand beside, how they are judged."""

    alter: Alter
    crf: int = 23
    company: int = 0
    config: InspectConfig = InspectConfig()


ALL_JUDGED = InspectConfig(max_turn=0)
CONDITIONS = {
    "as they are, lossless": Condition(as_it_is, 0),
    "as they are, c23": Condition(as_it_is),
    "as they are, c40": Condition(as_it_is, 40),
    "compressed twice (c23, then smaller at CRF 32)": Condition(again, 32),
    "small faces (a third of the size)": Condition(scaled(1 / 3)),
    "low light": Condition(low_light),
    "beauty filter (smoothed and lightened)": Condition(beauty),
    "screen recording of a CRF 28 video (tilted, lines, tint)": Condition(screen),
    "head tilted by 30 degrees": Condition(tilted),
    "turned to a side by 15 degrees": Condition(turned(15)),
    "by 30 degrees": Condition(turned(30)),
    "by 30 degrees, judged all the same (--max-turn 0)": Condition(turned(30), config=ALL_JUDGED),
    "by 60 degrees, judged all the same": Condition(turned(60), config=ALL_JUDGED),
    "by 75 degrees, all but in profile, judged all the same": Condition(turned(75), config=ALL_JUDGED),
    "each video another way, within 30 degrees to a side and 15 up or down": Condition(any_way, config=ALL_JUDGED),
    "the same, c40": Condition(any_way, 40, config=ALL_JUDGED),
    "turned by 45 degrees in one of four frames": Condition(looks_aside),
    "the same, all frames counted (--max-turn 0)": Condition(looks_aside, config=ALL_JUDGED),
    "raised by 15 degrees": Condition(turned(0, -15)),
    "bowed by 15 degrees": Condition(turned(0, 15)),
    "beside another real person": Condition(as_it_is, company=1),
    "beside three real people": Condition(as_it_is, company=3),
}


def main(tree: Path, box: Path | None = None, split: str = "test", people: int = 0) -> None:
    """Print a table on stderr and JSON on stdout."""
    detector, data = load_detector(box), find_data(tree)
    raw = [video for video in data.videos if video.compression == "raw" and video.split == split]
    chosen = sorted({video.identity for video in raw})[: people or None]
    videos = [video for video in raw if video.identity in chosen]
    results: dict[str, dict[str, Any]] = {}
    said: Said = {}
    for name, condition in CONDITIONS.items():
        said = inspected(tree, videos, condition, detector)
        results[name] = measured(videos, said)
        print(f"{name:50} " + line(results[name]), file=sys.stderr, flush=True)
        if name.endswith("c23"):
            plain = said
    skins = {video.identity: _skin(tree / video.path) for video in videos if video.label == "real"}
    lightness = {person: skin for person, skin in skins.items() if skin is not None}
    middle = float(np.median(list(lightness.values()))) if lightness else np.nan
    for name, keep in (("darker half of the people", lambda a: a <= middle), ("lighter half", lambda a: a > middle)):
        some = [video for video in videos if keep(lightness.get(video.identity, np.nan))]
        results[name] = measured(some, plain)
        print(f"{name:50} " + line(results[name]), file=sys.stderr, flush=True)
    print(json.dumps({"detector": detector.model.sha256, "people": len(chosen), "conditions": results}, indent=2))


def inspected(tree: Path, videos: list[Video], condition: Condition, detector: BoxedDetector) -> Said:
    """What is said of each video under a condition."""
    real = [video for video in videos if video.label == "real"]
    with tempfile.TemporaryDirectory() as folder:
        files = {Path(folder) / f"{number}.mp4": video for number, video in enumerate(videos)}
        for file, video in files.items():
            rng = seed_of(video)
            clips = [condition.alter(clip_of(tree / video.path), rng)]
            others = [other for other in real if other.identity not in (video.identity, video.source)]
            for other in rng.permutation(len(others))[: condition.company]:
                clips.insert(int(rng.integers(len(clips) + 1)), clip_of(tree / others[other].path))
            write_video(file, [np.hstack(frames) for frames in zip(*clips, strict=True)], 25, condition.crf)
        said = inspect_files(list(files), detector, condition.config, shown=False)
        return {video.name: one for video, one in zip(files.values(), said, strict=True)}


def clip_of(path: Path) -> list[RgbImage]:
    """The frames of a video that are altered."""
    return [frame.image for frame in read_frames(path, spread(count_frames(path), FRAMES))]


def seed_of(video: Video) -> np.random.Generator:
    """What a video is altered by, the same in each condition."""
    return np.random.default_rng([SEED, *Path(video.path).name.encode()])


def _auc(videos: list[Video], said: Said) -> tuple[float | None, float | None, float | None]:
    """The AUC over these videos, and its interval over people; nothing where a class has fewer than two people."""
    labels = np.array([int(video.label == "fake") for video in videos])
    values = np.array([said[video.name].p_fake for video in videos], np.float64)
    people = [video.identity for video in videos]
    if fewest_of_a_class(labels, people) < 2:
        return None, None, None
    auc = measures(labels, values).auc
    draws = people_bootstrap(labels, values, people, REPLICATES, SEED)
    return auc, *auc_interval(auc, draws, fewest_of_a_class(labels, people))


def measured(videos: list[Video], said: Said) -> dict[str, Any]:
    """The AUC over these videos and of each family, what they were called, and how many show no face."""
    seen = [video for video in videos if isinstance(said[video.name], FileVerdict) and said[video.name].tracks]
    labels = np.array([int(video.label == "fake") for video in seen])
    verdicts = np.array([said[video.name].verdict for video in seen])
    auc, low, high = _auc(seen, said)
    methods = sorted({video.method for video in seen if video.label == "fake"})
    return {
        "auc": auc,
        "auc_low": low,
        "auc_high": high,
        "by_method": {
            name: _auc([video for video in seen if video.method in (ORIGINAL, name)], said) for name in methods
        },
        "real_called_fake": _share(verdicts[labels == 0], "fake"),
        "fake_called_real": _share(verdicts[labels == 1], "real"),
        "inconclusive": _share(verdicts, "inconclusive"),
        "real": int((labels == 0).sum()),
        "fake": int((labels == 1).sum()),
        "no_face": len(videos) - len(seen),
    }


def _share(verdicts: NDArray[np.str_], verdict: str) -> float | None:
    return float((verdicts == verdict).mean()) if len(verdicts) else None


def line(of: dict[str, Any]) -> str:
    """What was measured, in a line."""

    def number(value: float | None, form: str = ".3f") -> str:
        return "-" if value is None else f"{value:{form}}"

    return (
        f"AUC {number(of['auc'])} [{number(of['auc_low'])}, {number(of['auc_high'])}]  "
        f"real called fake {number(of['real_called_fake'], '.0%')}  "
        f"fake called real {number(of['fake_called_real'], '.0%')}  "
        f"neither {number(of['inconclusive'], '.0%')}  no face {of['no_face']}  "
        + "  ".join(f"{name} {number(found[0])}" for name, found in of["by_method"].items())
    )


def _skin(path: Path) -> float | None:
    """The individual typology angle of the cheeks in degrees: lower is darker (Chardon et al., 1991).

    None where no face is found.
    """
    image = next(iter(read_frames(path, [0]))).image
    faces = default_detector(0.6)(image)
    if not faces:
        return None
    face = cut(image, alignment(np.array(faces[0].points), 100), 100)
    cheeks = np.concatenate([face[58:68, 26:36].reshape(-1, 3), face[58:68, 64:74].reshape(-1, 3)])
    lab = cv2.cvtColor((cheeks[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    lightness, _, yellow = np.median(lab, axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), Path(given[1]) if given[1:2] not in ([], ["-"]) else None, *given[2:3], *map(int, given[3:4]))
