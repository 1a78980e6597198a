"""Manifests and scores made up for the tests of evaluation and report: no image, no network."""

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dfgame.config import DetectorConfig, EvaluateConfig, TrainConfig, to_dict
from dfgame.manifest import SCHEMA, write_manifest
from dfgame.records import ORIGINAL

METHODS = ("Deepfakes", "FaceSwap", "NeuralTextures")
SKILL = {"none": 0.6, "random-blur": 0.8, "generator": 1.6}
SMALL = TrainConfig(
    game="none",
    epochs=1,
    epoch_pairs=8,
    batch_size=4,
    image_size=32,
    workers=0,
    detector=DetectorConfig(backbone="test_efficientnet", pretrained=False),
)
"""A training of seconds."""


def manifest_rows(
    people: int = 24, frames: int = 3, compressions: Sequence[str] = ("c23", "c40")
) -> list[dict[str, Any]]:
    """Test rows: a real video a person and a fake a method; two more people are in train."""
    rows = []
    for compression in compressions:
        for number in range(people):
            target, source = f"{number:03d}", f"{number ^ 1:03d}"
            folder = f"original_sequences/youtube/{compression}/videos"
            rows += video_rows(f"{folder}/{target}.mp4", frames, "real", ORIGINAL, compression, target, None)
            for method in METHODS:
                folder = f"manipulated_sequences/{method}/{compression}/videos"
                path = f"{folder}/{target}_{source}.mp4"
                rows += video_rows(path, frames, "fake", method, compression, target, source)
        folder = f"original_sequences/youtube/{compression}/videos"
        rows += video_rows(f"{folder}/900.mp4", frames, "real", ORIGINAL, compression, "900", None, "train")
    return rows


def video_rows(
    video: str,
    frames: int,
    label: str,
    method: str,
    compression: str,
    identity: str,
    source: str | None,
    split: str | None = "test",
    dataset: str = "Made-up Faces",
) -> list[dict[str, Any]]:
    shared = {
        "video": video,
        "dataset": dataset,
        "label": label,
        "method": method,
        "compression": compression,
        "identity": identity,
        "source": source,
        "split": split,
        "left": 0.0,
        "top": 0.0,
        "right": 9.0,
        "bottom": 9.0,
        "landmarks": [0.0] * 10,
        "score": 0.9,
        "track": 0,
    }
    stem = Path(video).stem
    return [
        {
            **shared,
            "path": f"{method}_{compression}/{stem}/{stem}_{i:06d}_0.png",
            "frame": i,
            "time": i / 25,
        }
        for i in range(frames)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]], made_by: dict[str, Any] | None = None) -> Path:
    """Write the rows as a manifest."""
    write_manifest(path, pa.Table.from_pylist(rows, SCHEMA), made_by or {"made": "up"})
    return path


def write_run(folder: Path, game: str, seed: int = 0, **settings: Any) -> Path:
    """A run's folder with settings and, in place of weights, bytes that depend on them."""
    settings = {"methods": ("Deepfakes",), "compressions": ("c23",), "seed": seed} | settings
    config = to_dict(TrainConfig(game=game, **settings))  # type: ignore[arg-type]
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(config))
    (folder / "best.safetensors").write_bytes(json.dumps(config).encode())
    return folder


def read_run(run: Path) -> dict[str, Any]:
    """What `score.run_info` says of a run."""
    config = json.loads((run / "run.json").read_text())
    return {
        "name": run.name,
        "game": config["game"],
        "methods": config["methods"],
        "compressions": config["compressions"],
        "seed": config["seed"],
        "config": config,
        "version": "0.1.0",
    }


def made_up_scorer(
    skill: dict[str, float] = SKILL, seed_spread: float = 0.0
) -> Callable[[Path, pa.Table, Path, EvaluateConfig], pa.Table]:
    """A scorer whose fakes lie `skill` standard deviations above the real ones, twice that on Deepfakes."""

    def score(run: Path, table: pa.Table, folder: Path, config: EvaluateConfig) -> pa.Table:
        facts = read_run(run)
        rng = np.random.default_rng([facts["seed"], zlib.crc32(facts["game"].encode())])
        ahead = skill[facts["game"]] + seed_spread * facts["seed"]
        scores = []
        for row in table.select(["video", "label", "method", "compression"]).to_pylist():
            of_video = np.random.default_rng(zlib.crc32(row["video"].encode())).normal()
            shift = 0.0 if row["label"] == "real" else ahead
            shift *= 2 if row["method"] == "Deepfakes" else 1
            shift *= 0.7 if row["compression"] == "c40" else 1
            scores.append(1 / (1 + np.exp(-(of_video + shift + 0.2 * rng.normal()))))
        return table.append_column("p_fake", pa.array(scores, pa.float64()))

    return score
