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
from dfgame.card import ALLOW, mismatches
from dfgame.checkpoint import load_detector, weights_path
from dfgame.config import OnnxConfig, RobustnessConfig, changed_settings, to_dict
from dfgame.devices import pick_device
from dfgame.files import sha256
from dfgame.players import identify
from dfgame.records import UserError
from dfgame.rows import AskedRows
from dfgame.score import run_info
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
    """The detectors of runs, of boxes of `dfgame calibrate` and of ONNX files; and warnings about them.

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
    entries = {entry.path: entry for entry in identify(runs, [run_info(run) for run in runs])} if runs else {}
    warnings = mismatches(list(entries.values()), asked, config.allow_mismatch)
    found: list[Subject | BlackBox] = []
    for path in paths:
        if path in entries:
            subject = _of_run(path, entries[path].name, config)
        else:
            subject, warned = (_of_box if path.suffix.lower() == BOX else _of_onnx)(path, asked, config)
            warnings += warned
        if any(subject.sha256 == other.sha256 for other in found):
            raise UserError(f"{path}: its weights are there twice", "name each detector once")
        if any(subject.name == other.name for other in found):
            subject = replace(subject, name=f"{subject.name} ({subject.sha256[:8]})")
        found.append(subject)
    used = any(isinstance(subject, BlackBox) and not subject.detector.facts for subject in found)
    unused = [name for name in changed_settings(config) if name.startswith("onnx.")]
    if unused and not used:
        raise UserError(f"--{unused[0]}: changes nothing here, it needs an ONNX file of another maker", "leave it out")
    return found, warnings


def _of_run(path: Path, name: str, config: RobustnessConfig) -> Subject:
    device = pick_device(config.device)
    detector, settings = load_detector(path, config.checkpoint, device)
    content = sha256(weights_path(path, config.checkpoint))
    return Subject(name, content, settings.image_size, Ensemble([detector]).to(device))


def _of_box(path: Path, asked: AskedRows, config: RobustnessConfig) -> tuple[Subject, list[str]]:
    box = open_box(path, config.device)
    said = _cut_otherwise(path, to_dict(box.facts.crop), asked, config)
    return Subject(box.facts.name, box.sha256, box.facts.image_size, box.ensemble), said


def _of_onnx(path: Path, asked: AskedRows, config: RobustnessConfig) -> tuple[BlackBox, list[str]]:
    detector = load_onnx(path, config.onnx, config.device)
    said = _cut_otherwise(path, detector.facts["crop"], asked, config) if detector.facts else []
    return BlackBox(path.stem, onnx_sha256(path), detector, config.onnx), said


def _cut_otherwise(path: Path, crop: dict[str, Any], asked: AskedRows, config: RobustnessConfig) -> list[str]:
    """Warnings about crops that were cut out otherwise than those that a detector is made for."""
    here = asked.made_by.get("settings") or {}
    said = [
        f"{path}: made for crops of {name} {crop[name]}, those to test on have {here[name]}"
        for name in ("margin", "alignment")
        if here.get(name) is not None and here[name] != crop[name]
    ]
    if said and not config.allow_mismatch:
        raise UserError(said[0], f"test detectors on what they were made for, {ALLOW}")
    return said
