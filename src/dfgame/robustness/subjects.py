"""The detectors under test: those of runs, and those in boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from dfgame.config import RobustnessConfig
from dfgame.devices import pick_device
from dfgame.files import sha256
from dfgame.players import identify
from dfgame.records import UserError
from dfgame.rows import AskedRows
from dfgame.score import run_info

BOX = ".safetensors"
"""Suffix of a box; a run is a folder."""


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

    def p_fake(self, images: Float[Tensor, "B 3 H W"]) -> NDArray[np.float64]:
        """The raw probability of fake of each image, in [0, 1]."""
        return self.ensemble(images).cpu().double().numpy()


def subjects_of(paths: Sequence[Path], asked: AskedRows, config: RobustnessConfig) -> tuple[list[Subject], list[str]]:
    """The detectors of folders of `dfgame train` and of boxes of `dfgame calibrate`; and warnings about them.

    Raises:
        UserError: one is missing or neither, is there twice, or was made for crops that were cut out in another way.
    """
    runs = [path for path in paths if not _is_box(path)]
    for path in runs:
        if path.is_file() or path.suffix.lower() in (".onnx", ".csv"):
            raise UserError(
                f"{path}: robustness is measured of runs and boxes alone",
                "name a folder of `dfgame train`, or a file of `dfgame calibrate` (.safetensors)",
            )
    if not runs and config.checkpoint != RobustnessConfig().checkpoint:
        raise UserError("--checkpoint: changes nothing here, it needs a run", "leave it out")
    entries = {entry.path: entry for entry in identify(runs, [run_info(run) for run in runs])} if runs else {}
    warnings = mismatches(list(entries.values()), asked, config.allow_mismatch)
    found: list[Subject] = []
    for path in paths:
        if _is_box(path):
            subject, warned = _of_box(path, asked, config)
            warnings += warned
        else:
            subject = _of_run(path, entries[path].name, config)
        if any(subject.sha256 == other.sha256 for other in found):
            raise UserError(f"{path}: its weights are there twice", "name each detector once")
        if any(subject.name == other.name for other in found):
            subject = Subject(
                f"{subject.name} ({subject.sha256[:8]})", subject.sha256, subject.image_size, subject.ensemble
            )
        found.append(subject)
    return found, warnings


def _is_box(path: Path) -> bool:
    return path.suffix == BOX and not path.is_dir()


def _of_run(path: Path, name: str, config: RobustnessConfig) -> Subject:
    device = pick_device(config.device)
    detector, settings = load_detector(path, config.checkpoint, device)
    content = sha256(weights_path(path, config.checkpoint))
    return Subject(name, content, settings.image_size, Ensemble([detector]).to(device))


def _of_box(path: Path, asked: AskedRows, config: RobustnessConfig) -> tuple[Subject, list[str]]:
    box = open_box(path, config.device)
    here = asked.made_by.get("settings") or {}
    said = [
        f"{path}: made for crops of {name} {getattr(box.facts.crop, name)}, those to test on have {here[name]}"
        for name in ("margin", "alignment")
        if here.get(name) is not None and here[name] != getattr(box.facts.crop, name)
    ]
    if said and not config.allow_mismatch:
        raise UserError(said[0], f"test detectors on what they were made for, {ALLOW}")
    return Subject(box.facts.name, box.sha256, box.facts.image_size, box.ensemble), said
