"""What was scored, a file a video: so that a call that was killed goes on, and one that asks for more does only that.

OUT/.robustness/videos/HASH.json   a video's score by detector and point, and what they depend on
OUT/.robustness/crops              crops on their way to the detectors; gone at the end
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfgame.files import read_json, write_json
from dfgame.records import UserError

RECORDS = ".robustness"

VideoScores = dict[str, dict[str, float]]
"""A video's score by the key of the detector (of a run or a box the SHA-256 of its weights) and that of the point."""


class ScoreStore:
    """The scores of videos below OUT that come from the same manifest and settings."""

    def __init__(self, out: Path, origin: Mapping[str, Any]) -> None:
        """`origin` is all that a score depends on beside the detector and the point, as plain JSON values."""
        self._folder, self._crops = out / RECORDS / "videos", out / RECORDS / "crops"
        self._origin = dict(origin)

    def read(self, video: str) -> VideoScores:
        """The scores of a video that are there."""
        path = self._path(video)
        try:
            record = read_json(path) if path.is_file() else {}
        except UserError:  # half of one after a power cut
            return {}
        return record["scores"] if record.get("origin") == self._origin else {}

    def add(self, video: str, scores: VideoScores) -> None:
        """Keep more scores of a video."""
        there = self.read(video)
        merged = {weights: there.get(weights, {}) | scores.get(weights, {}) for weights in there.keys() | scores}
        in_order = {weights: dict(sorted(merged[weights].items())) for weights in sorted(merged)}
        write_json(self._path(video), {"video": video, "origin": self._origin, "scores": in_order})

    def crops_path(self, video: str) -> Path:
        """Where a video's crops lie until they are scored: in this process's file, whoever else was left writing."""
        return self._crops / f"{os.getpid()}-{_hash(video)}.npy"

    def clear_crops(self) -> None:
        """Remove the crops that a call which ended early left behind, and make room for new ones."""
        self.remove_crops()
        self._crops.mkdir(parents=True)

    def remove_crops(self) -> None:
        """Remove all crops."""
        shutil.rmtree(self._crops, ignore_errors=True)

    def _path(self, video: str) -> Path:
        return self._folder / f"{_hash(video)}.json"


def _hash(video: str) -> str:
    return hashlib.sha256(video.encode()).hexdigest()[:24]
