"""The detectors that go into a box: those of runs, or those of a box that is there already."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dfgame.boxed import architecture, boxed_weights, unboxed
from dfgame.boxed import load_detector as open_box
from dfgame.card import cautions, mismatches
from dfgame.checkpoint import load_detector, weights_path
from dfgame.config import CalibrateConfig, DetectorConfig, to_dict
from dfgame.devices import pick_device
from dfgame.files import sha256
from dfgame.jobs import console
from dfgame.models import Detector
from dfgame.players import Entry, identify
from dfgame.records import CropRule, UserError
from dfgame.rows import AskedRows
from dfgame.score import run_info

BOX = ".safetensors"


@dataclass(frozen=True, slots=True)
class Members:
    """Detectors of one kind, with the weights that the box will hold, and where they come from (see `Facts.made`)."""

    detectors: list[Detector]
    kind: DetectorConfig
    image_size: int
    made: dict[str, Any]


def members_of(
    sources: Sequence[Path], asked: AskedRows, manifest: Path, rule: CropRule, config: CalibrateConfig
) -> Members:
    """The detectors of all sources, which are folders of runs, or boxes.

    Raises:
        UserError: they differ in what they are, or in how the faces were cut out that they are made for.
    """
    runs = [source for source in sources if not _is_box(source)]
    entries = identify(runs, [run_info(run) for run in runs]) if runs else []
    warnings = [*_refuse_other_crops(entries, asked), *cautions(entries, asked, config.split, config.checkpoint)]
    for warning in warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    detectors: list[Detector] = []
    kinds: list[tuple[DetectorConfig, int]] = []
    made: dict[str, Any] = {"runs": [_run_facts(entry, config.checkpoint) for entry in entries], "warnings": warnings}
    for source in sources:
        if _is_box(source):
            box = open_box(source, config.device)
            if box.facts.crop != rule:
                raise UserError(
                    f"{source}: made for crops of {_words(box.facts.crop)}, those of {manifest} have {_words(rule)}",
                    "calibrate it on crops made as those it was made for",
                )
            detectors += [member for member in box.ensemble.members if isinstance(member, Detector)]
            kinds.append((box.facts.detector, box.facts.image_size))
            made["runs"] += box.facts.made.get("runs", [])
            named = {"name": box.facts.name, "version": box.facts.version, "sha256": box.sha256}
            made["boxes"] = [*made.get("boxes", []), named]
        else:
            trained, settings = load_detector(source, config.checkpoint, torch.device("cpu"))
            boxed = unboxed(settings.detector, boxed_weights(trained))
            detectors.append(boxed.to(pick_device(config.device)))
            kinds.append((architecture(settings.detector), settings.image_size))
    _refuse_different(sources, kinds)
    return Members(detectors, *kinds[0], made)


def _is_box(source: Path) -> bool:
    return source.suffix == BOX and not source.is_dir()


def _words(rule: CropRule) -> str:
    return f"margin {rule.margin}, alignment {rule.alignment}, size {rule.size}, min-score {rule.min_score}"


def _refuse_other_crops(entries: Sequence[Entry], asked: AskedRows) -> list[str]:
    """Warnings of what is not known of the crops that the runs learned from."""
    try:
        return mismatches(entries, asked, allow=False)
    except UserError as error:
        raise UserError(error.problem, "calibrate runs on crops made as those they were trained on") from None


def _refuse_different(sources: Sequence[Path], kinds: Sequence[tuple[DetectorConfig, int]]) -> None:
    first = _flags(*kinds[0])
    for source, kind in zip(sources[1:], kinds[1:], strict=True):
        differing = [f"{flag} {value}" for flag, value in _flags(*kind).items() if value != first[flag]]
        if differing:
            raise UserError(
                f"{source}: differs from {sources[0]}: it has {', '.join(differing)}",
                "one box holds detectors of one architecture and input size",
            )


def _flags(detector: DetectorConfig, image_size: int) -> dict[str, Any]:
    named = {f"--detector.{name}": value for name, value in to_dict(detector).items()}
    return named | {"--image-size": image_size}


def _run_facts(entry: Entry, checkpoint: str) -> dict[str, Any]:
    """Where a run's detector comes from; no path of this machine."""
    return {
        "name": entry.name,
        "game": entry.info["game"],
        "seed": entry.seed,
        "methods": entry.info["methods"],
        "compressions": entry.info["compressions"],
        "protocol": (entry.info["protocol"] or {}).get("name"),
        "manifest_sha256": entry.info["data"].get("manifest_sha256"),
        "checkpoint": checkpoint,
        "weights_sha256": sha256(weights_path(entry.path, checkpoint)),
    }
