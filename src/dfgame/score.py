"""A detector over the face crops of a manifest: validation in training and an evaluation are the same numbers."""

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgame.augment import Augmentation
from dfgame.batches import crop_loader
from dfgame.boxed import load_detector as open_box
from dfgame.checkpoint import load_detector
from dfgame.config import EvaluateConfig
from dfgame.devices import pick_device
from dfgame.jobs import progress_bar
from dfgame.models import Detector, class_names, probabilities
from dfgame.records import FORGED_LIVE
from dfgame.runs import read_record


def score_crops(
    detector: Detector, paths: list[Path], image_size: int, batch_size: int, workers: int
) -> NDArray[np.float64]:
    """The probability of fake of each crop, in [0, 1], in the order of `paths`: all that is not real."""
    return 1 - class_probabilities(detector, paths, image_size, batch_size, workers)[:, 0]


@torch.inference_mode()
def class_probabilities(
    detector: Detector,
    paths: list[Path],
    image_size: int,
    batch_size: int,
    workers: int,
    augmentation: Augmentation | None = None,
) -> NDArray[np.float64]:
    """The probability of each class for each crop, (crops, classes); see `class_names`."""
    detector.eval()
    device = next(detector.parameters()).device
    found = [np.empty((0, len(class_names(detector.multi))))]
    batches = crop_loader(paths, image_size, batch_size, workers, augmentation)
    bar = progress_bar(batches, -(-len(paths) // batch_size), "scoring")
    with contextlib.closing(bar), detector.folded_norms():
        for images in bar:
            images = images.to(device, memory_format=torch.channels_last)
            found.append(probabilities(detector(images)).cpu().double().numpy())
    return np.concatenate(found)


def score_run(run: Path, table: pa.Table, folder: Path, config: EvaluateConfig) -> pa.Table:
    """The manifest's rows with a column `p_fake`: the probability of fake that the run's detector gives.

    Of a detector that tells methods apart there is the column `classes`, too: lists of the probability of each class.
    `folder` is the manifest's; the rows' paths are relative to it.
    """
    detector, settings = load_detector(run, config.checkpoint, pick_device(config.device))
    paths = [folder / path for path in table.column("path").to_pylist()]
    found = class_probabilities(detector, paths, settings.image_size, config.batch_size, config.workers)
    scored = table.append_column("p_fake", pa.array(1 - found[:, 0], pa.float64()))
    return scored.append_column("classes", pa.array(found.tolist())) if detector.multi else scored


def score_box(box: Path, table: pa.Table, folder: Path, config: EvaluateConfig) -> pa.Table:
    """The manifest's rows with a column `p_fake`: the raw score that the detectors of a box give, not calibrated."""
    detector = open_box(box, config.device)
    paths = [folder / path for path in table.column("path").to_pylist()]
    size = detector.facts.image_size
    batches = raw_scores(detector.probabilities, paths, size, config.batch_size, config.workers)
    found = [np.empty(0)]
    with contextlib.closing(progress_bar(batches, -(-len(paths) // config.batch_size), "scoring")) as bar:
        found += bar
    return table.append_column("p_fake", pa.array(np.concatenate(found), pa.float64()))


def run_info(run: Path) -> dict[str, Any]:
    """What a run was trained on: name, game, methods and compressions (empty: all there were), seed, config, version.

    Then how its data and its protocol are recorded, and how its checkpoints came about.
    """
    record = read_record(run)
    settings = record["settings"]
    chosen = (record["protocol"] or {}).get("train", settings)
    forges = bool(settings.get("live", {}).get("families"))
    return {
        "name": run.name,
        "game": settings["game"],
        "methods": [FORGED_LIVE] if forges else chosen["methods"],
        "compressions": chosen["compressions"],
        "seed": settings["seed"],
        "config": settings,
        "version": record["version"],
        "data": record["data"],
        "protocol": record["protocol"],
        "best_epoch": record.get("best_epoch"),
        "validated": any("val_auc" in entry for entry in record["history"]),
        "epochs_done": len(record["history"]),
    }


def raw_scores(
    score: Callable[[Tensor], Tensor], paths: Sequence[Path], image_size: int, batch_size: int, workers: int = 0
) -> Generator[NDArray[np.float64], None, None]:
    """The raw probability of fake of each crop, a batch after the other, in the order of `paths`."""
    for images in crop_loader(paths, image_size, batch_size, workers) if paths else ():
        yield score(images).cpu().double().numpy()
