"""The detectors under test: those of runs and in boxes, whose slope can be followed, and black boxes: ONNX files."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from dfgame.batches import fitted, to_unit
from dfgame.boxed import Ensemble
from dfgame.boxed import load_detector as open_box
from dfgame.card import cautions, mismatches
from dfgame.checkpoint import load_detector, weights_path
from dfgame.config import OnnxConfig, RobustnessConfig, changed_settings, to_dict
from dfgame.devices import pick_device
from dfgame.files import sha256
from dfgame.players import identify
from dfgame.records import UserError
from dfgame.rows import AskedRows
from dfgame.score import run_info
from dfgame.subjects import info_of
from dfgame.subjects.onnx import OnnxDetector, load_onnx, onnx_sha256

BOX, ONNX = ".safetensors", ".onnx"
"""Suffixes; a run is a folder."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A detector under test: its name in tables, the SHA-256 of its weights' file, the side of its input."""

    name: str
    sha256: str
    image_size: int
    ensemble: Ensemble

    def images(self, crops: NDArray[np.uint8]) -> Float[Tensor, "B 3 H W"]:
        """Crops (B, side, side, 3) as the detector takes them: at its side, in [0, 1], where it computes."""
        device = next(self.ensemble.parameters(), torch.empty(0)).device
        return torch.stack([to_unit(fitted(crop, self.image_size)) for crop in crops]).to(device)

    @property
    def key(self) -> str:
        """What its scores are kept by: all that they depend on."""
        return self.sha256

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The raw probability of fake of each crop of (B, side, side, 3), RGB, in [0, 1]."""
        return self.p_fake(self.images(crops))

    def p_fake(self, images: Float[Tensor, "B 3 H W"]) -> NDArray[np.float64]:
        """The raw probability of fake of each image, in [0, 1]."""
        return self.ensemble(images).cpu().double().numpy()


@dataclass(frozen=True, slots=True)
class BlackBox:
    """A detector under test that only answers: no adversary can follow its slope. Fields as of `Subject`."""

    name: str
    sha256: str
    detector: OnnxDetector
    config: OnnxConfig

    @property
    def key(self) -> str:
        """As of `Subject`; how a file of another maker is fed and read belongs to it."""
        asked = "" if self.detector.facts else json.dumps(to_dict(self.config), sort_keys=True)
        return self.sha256 + (hashlib.sha256(asked.encode()).hexdigest()[:8] if asked else "")

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The score of each crop of (B, side, side, 3), RGB: raw of ours, the probability of fake of others."""
        return self.detector.score_images(crops, self.config)


def subjects_of(
    paths: Sequence[Path], asked: AskedRows, config: RobustnessConfig
) -> tuple[list[Subject | BlackBox], list[str]]:
    """The detectors of runs, of boxes of `dfgame calibrate` and of ONNX files; and what is to be known of them.

    Raises:
        UserError: one is missing or is none of these, is there twice, or was made for crops that were cut out in
            another way, or a setting was changed that none of them uses.
    """
    runs = [path for path in paths if path.suffix.lower() not in (BOX, ONNX) or path.is_dir()]
    for path in runs:
        if path.is_file() or path.suffix.lower() == ".csv":
            raise UserError(
                f"{path}: robustness is measured of detectors that can score faces",
                "name a folder of `dfgame train`, a file of `dfgame calibrate` (.safetensors), or an ONNX file",
            )
    if not runs and config.checkpoint != RobustnessConfig().checkpoint:
        raise UserError("--checkpoint: changes nothing here, it needs a run", "leave it out")
    found: list[Subject | BlackBox] = []
    infos: list[dict[str, Any]] = []
    for path in paths:
        opens = _of_run if path in runs else _of_box if path.suffix.lower() == BOX else _of_onnx
        subject, info = opens(path, config)
        if any(subject.sha256 == other.sha256 for other in found):
            raise UserError(f"{path}: its weights are there twice", "name each detector once")
        found.append(subject)
        infos.append(info)
    entries = identify(paths, infos)
    warnings = mismatches(entries, asked, config.allow_mismatch)
    warnings += cautions(entries, asked, config.split, config.checkpoint)
    found = [replace(subject, name=entry.name) for subject, entry in zip(found, entries, strict=True)]
    used = any(isinstance(subject, BlackBox) and not subject.detector.facts for subject in found)
    unused = [name for name in changed_settings(config) if name.startswith("onnx.")]
    if unused and not used:
        raise UserError(f"--{unused[0]}: changes nothing here, it needs an ONNX file of another maker", "leave it out")
    return found, warnings


def _of_run(path: Path, config: RobustnessConfig) -> tuple[Subject, dict[str, Any]]:
    device, info = pick_device(config.device), run_info(path)
    detector, settings = load_detector(path, config.checkpoint, device)
    content = sha256(weights_path(path, config.checkpoint))
    return Subject(info["name"], content, settings.image_size, Ensemble([detector]).to(device)), info


def _of_box(path: Path, config: RobustnessConfig) -> tuple[Subject, dict[str, Any]]:
    box = open_box(path, config.device)
    facts = box.facts
    info = info_of("box", path, {"made": facts.made, "crop": to_dict(facts.crop)}, facts.version)
    return Subject(facts.name, box.sha256, facts.image_size, box.ensemble), info | {"name": facts.name}


def _of_onnx(path: Path, config: RobustnessConfig) -> tuple[BlackBox, dict[str, Any]]:
    detector = load_onnx(path, config.onnx, config.device)
    info = info_of("onnx", path, detector.facts or {"made": {}}, (detector.facts or {}).get("version", ""))
    return BlackBox(path.stem, onnx_sha256(path), detector, config.onnx), info
