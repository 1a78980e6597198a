"""Trained detectors -> one box whose scores are probabilities, and the evidence that they are.

Source: Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with its targets that keep the fit finite
where the classes do not overlap.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from dfgame import __version__
from dfgame.boxed import (
    Calibration,
    Ensemble,
    Facts,
    Thresholds,
    architecture,
    boxed_weights,
    logit,
    save_box,
    unboxed,
)
from dfgame.card import mismatches
from dfgame.checkpoint import load_detector, weights_path
from dfgame.config import CalibrateConfig, DetectorConfig, EvaluateConfig, to_dict
from dfgame.devices import pick_device
from dfgame.files import sha256, versions, writable_folder
from dfgame.jobs import console, progress_bar
from dfgame.metrics import Honesty, balanced, honesty, measures, video_means
from dfgame.models import Detector
from dfgame.players import Entry, identify
from dfgame.records import LABELS, CropRule, UserError
from dfgame.rows import AskedRows, asked_rows, people
from dfgame.score import raw_scores, run_info

FALSE_ALARMS = 0.05
"""Share of the real videos that may be called fake, and of the fake ones that may be called real."""
FOLDS = 5
"""Parts of the people, at most, each of which is measured by a map fitted to the others."""
RECORDED_VERSIONS = ("torch", "timm", "numpy", "scipy", "scikit-learn", "safetensors", "opencv-python-headless")
_OF_VIDEO = ["video", "dataset", "label", "compression", "identity", "source"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoredVideos:
    """Videos, one an element: class number, mean raw score, whether it is compressed, and its group of people."""

    labels: Integers
    raw: Floats
    compressed: NDArray[np.bool_]
    groups: Integers


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a calibration found: the box's facts, and how honest scores were before and are after, held out."""

    facts: Facts
    before: Honesty
    after: Honesty


def calibrate_runs(runs: Sequence[Path], manifest: Path, out: Path, config: CalibrateConfig) -> Calibrated:
    """Put the detectors of runs into the box OUT, calibrated on videos of a manifest.

    Raises:
        UserError: the runs differ in what they are or how their crops were cut out, the manifest does not say how its
            are, holds too little, or the runs' scores do not rise from real to fake.
    """
    _claim(out, config.overwrite)
    if not runs:
        raise UserError("no RUN to calibrate", "name at least one folder of `dfgame train`")
    entries = identify(runs, [run_info(run) for run in runs])
    asked = asked_rows(manifest, _as_evaluation(config))
    rule = _crop_rule(asked, manifest)
    for warning in _refuse_other_crops(entries, asked, manifest):
        console.print(f"warning: {warning}", soft_wrap=True)
    members, detector, image_size = _same_members(runs, config)
    scored = _score(members, image_size, asked, manifest, config)
    calibration = fit(scored.labels, scored.raw)
    if calibration.slope <= 0:
        raise UserError(
            f"{manifest}: on these videos the runs' scores do not rise from real to fake",
            "there is nothing to calibrate: train longer, or on data more like these",
        )
    before, after = honesty(scored.labels, scored.raw), honesty(scored.labels, held_out(scored))
    thresholds = choose_thresholds(scored, calibration)
    facts = Facts(
        name=config.name or out.stem,
        version=config.version,
        detector=detector,
        image_size=image_size,
        crop=rule,
        calibration=calibration,
        thresholds=thresholds,
        made=_made(entries, asked, manifest, config) | _found(scored, before, after, calibration, thresholds),
    )
    save_box(out, facts, members)
    return Calibrated(facts, before, after)


def fit(labels: ArrayLike, raw: ArrayLike) -> Calibration:
    """Platt scaling of raw scores, the two classes weighted equally, so that either is as likely beforehand.

    Raises:
        ValueError: a class is missing.
    """
    truth = np.asarray(labels, np.int64)
    real, fake = np.bincount(truth, minlength=2)
    if not real or not fake:
        raise ValueError("a class is missing")
    weights, x = balanced(truth), logit(raw)
    targets = np.where(truth == 1, (fake + 1) / (fake + 2), 1 / (real + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        z = line[0] * x + line[1]
        off = weights * (expit(z) - targets)
        return float(weights @ (np.logaddexp(0, z) - targets * z)), np.array([off @ x, off.sum()])

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return Calibration(float(slope), float(intercept))


def person_groups(targets: Sequence[str], sources: Sequence[str | None]) -> Integers:
    """For each video the number of its group: nobody, as target or as source, is in two of them.

    Where everybody is linked to everybody, only the targets are kept apart.
    """
    names = sorted({*targets, *(name for name in sources if name is not None)})
    place = {name: number for number, name in enumerate(names)}
    rows = np.array([place[name] for name in targets])
    columns = np.array([place[own if other is None else other] for own, other in zip(targets, sources, strict=True)])
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    count, groups = connected_components(links, directed=False)
    return rows if count == 1 else groups[rows].astype(np.int64)


def folds(scored: ScoredVideos) -> Iterator[tuple[Integers, Integers]]:
    """(videos to fit on, videos held out) of each fold; every video is held out once, and no person is in two folds.

    Raises:
        UserError: there are too few people.
    """
    groups = len(np.unique(scored.groups))
    if groups < 2:
        raise UserError("the videos are of one person", "calibrate on more people: see --split and --datasets")
    for fitted, held in GroupKFold(min(FOLDS, groups)).split(scored.raw, groups=scored.groups):
        if len(set(scored.labels[fitted].tolist())) < 2:
            raise UserError(
                "too few people have real and fake videos", "calibrate on more people: see --split and --datasets"
            )
        yield fitted, held


def held_out(scored: ScoredVideos) -> Floats:
    """Each video's calibrated score, by the map that was fitted to other people."""
    found = np.empty(len(scored.raw))
    for fitted, held in folds(scored):
        found[held] = fit(scored.labels[fitted], scored.raw[fitted])(scored.raw[held])
    return found


def choose_thresholds(scored: ScoredVideos, calibration: Calibration) -> Thresholds:
    """The lowest `fake` that at most 5% of the real videos reach; the highest `real` that 5% of the fakes stay below.

    Only compressed videos count: raw ones are easier than what is met in the world. Neither passes one half, so that
    nothing is called fake that is more likely real.

    Raises:
        UserError: there are no compressed videos of a class.
    """
    p_fake = calibration(scored.raw)
    real, fake = (np.sort(p_fake[scored.compressed & (scored.labels == label)]) for label in (0, 1))
    if not len(real) or not len(fake):
        raise UserError("no compressed videos, real and fake, to choose thresholds on", "see --compressions")
    allowed = int(FALSE_ALARMS * len(real)), int(FALSE_ALARMS * len(fake))
    above, below = np.nextafter(real[-1 - allowed[0]], np.inf), np.nextafter(fake[allowed[1]], -np.inf)
    return Thresholds(fake=float(max(above, 0.5)), real=float(min(below, 0.5)))


def _claim(out: Path, overwrite: bool) -> None:
    if out.suffix != ".safetensors":
        raise UserError(f"{out}: OUT is the file to write", "name it with .safetensors")
    if out.exists() and not overwrite:
        raise UserError(f"{out}: exists", "choose another OUT, or add --overwrite to replace it")
    writable_folder(out.parent)


def _as_evaluation(config: CalibrateConfig) -> EvaluateConfig:
    """The same choice of rows."""
    return EvaluateConfig(
        split=config.split,
        checkpoint=config.checkpoint,
        methods=config.methods,
        compressions=config.compressions,
        datasets=config.datasets,
        frames=config.frames,
    )


def _crop_rule(asked: AskedRows, manifest: Path) -> CropRule:
    settings = asked.made_by.get("settings") or {}
    values: dict[str, Any] = {field.name: settings.get(field.name) for field in fields(CropRule)}
    unknown = [name for name, value in values.items() if value is None]
    if unknown:
        raise UserError(
            f"{manifest}: does not say how its faces were cut out ({', '.join(unknown)})",
            "calibrate on crops of `dfgame extract`, so that others can be cut out alike",
        )
    return CropRule(**values)


def _refuse_other_crops(entries: Sequence[Entry], asked: AskedRows, manifest: Path) -> list[str]:
    """Warnings of what is not known of the crops that the runs learned from."""
    try:
        return mismatches(entries, asked, sha256(manifest), allow=False)
    except UserError as error:
        raise UserError(error.problem, "calibrate runs on crops made as those they were trained on") from None


def _same_members(runs: Sequence[Path], config: CalibrateConfig) -> tuple[list[Detector], DetectorConfig, int]:
    """The runs' detectors with the weights that the box will hold, what they are, and their input's side."""
    device = pick_device(config.device)
    members, kinds = [], []
    for run in runs:
        trained, settings = load_detector(run, config.checkpoint, torch.device("cpu"))
        members.append(unboxed(settings.detector, boxed_weights(trained)).to(device))
        kinds.append((architecture(settings.detector), settings.image_size))
    first = _flags(*kinds[0])
    for run, kind in zip(runs[1:], kinds[1:], strict=True):
        differing = [f"{flag} {value}" for flag, value in _flags(*kind).items() if value != first[flag]]
        if differing:
            raise UserError(
                f"{run}: differs from {runs[0]}: it has {', '.join(differing)}",
                "one box holds detectors of one architecture and input size",
            )
    return members, *kinds[0]


def _flags(detector: DetectorConfig, image_size: int) -> dict[str, Any]:
    named = {f"--detector.{name}": value for name, value in to_dict(detector).items()}
    return named | {"--image-size": image_size}


def _score(
    members: Sequence[Detector], image_size: int, asked: AskedRows, manifest: Path, config: CalibrateConfig
) -> ScoredVideos:
    table = asked.table
    paths = [manifest.parent / path for path in table["path"].to_pylist()]
    batches = raw_scores(Ensemble(members), paths, image_size, config.batch_size, config.workers)
    with contextlib.closing(progress_bar(batches, -(-len(paths) // config.batch_size), "scoring")) as bar:
        scores = np.concatenate(list(bar))
    videos = table["video"].to_pylist()
    names, means = video_means(videos, scores)
    rows = {row["video"]: row for row in table.select(_OF_VIDEO).to_pylist()}
    in_order = [rows[str(name)] for name in names]
    labels = np.array([LABELS.index(row["label"]) for row in in_order])
    if len(set(labels.tolist())) < 2:
        raise UserError(
            f"{manifest}: no real and fake videos to calibrate on", "see --split, --methods and --datasets"
        )
    groups = person_groups(
        [f"{row['dataset']}/{row['identity']}" for row in in_order],
        [None if row["source"] is None else f"{row['dataset']}/{row['source']}" for row in in_order],
    )
    return ScoredVideos(labels, means, np.array([row["compression"] != "raw" for row in in_order]), groups)


def _made(entries: Sequence[Entry], asked: AskedRows, manifest: Path, config: CalibrateConfig) -> dict[str, Any]:
    """Where the box comes from; no path of this machine."""
    names = ("dataset", "method", "compression")
    return {
        "dfgame": __version__,
        "versions": versions(RECORDED_VERSIONS),
        "runs": [
            {
                "name": entry.name,
                "game": entry.info["game"],
                "seed": entry.seed,
                "methods": entry.info["methods"],
                "compressions": entry.info["compressions"],
                "protocol": (entry.info["protocol"] or {}).get("name"),
                "manifest_sha256": entry.info["data"].get("manifest_sha256"),
                "checkpoint": config.checkpoint,
                "weights_sha256": sha256(weights_path(entry.path, config.checkpoint)),
            }
            for entry in entries
        ],
        "calibrated_on": {
            "manifest_sha256": sha256(manifest),
            "split": config.split,
            "frames": config.frames,
            "people": people(asked.table),
            **{f"{name}s": sorted(set(asked.table[name].to_pylist())) for name in names},
        },
    }


def _found(
    scored: ScoredVideos, before: Honesty, after: Honesty, calibration: Calibration, thresholds: Thresholds
) -> dict[str, Any]:
    """The numbers behind the map and the thresholds; `after` is of people that the map was not fitted to."""
    p_fake = calibration(scored.raw)
    real, fake = (p_fake[scored.compressed & (scored.labels == label)] for label in (0, 1))
    found = measures(scored.labels, scored.raw)
    return {
        "real_videos": found.n_real,
        "fake_videos": found.n_fake,
        "groups_of_people": len(np.unique(scored.groups)),
        "auc": found.auc,
        "before": {"ece": before.ece, "log_loss": before.log_loss},
        "after": {"ece": after.ece, "log_loss": after.log_loss},
        "compressed_real": {"videos": len(real), **_verdicts(real, thresholds)},
        "compressed_fake": {"videos": len(fake), **_verdicts(fake, thresholds)},
    }


def _verdicts(p_fake: Floats, thresholds: Thresholds) -> dict[str, float]:
    """The shares that are called fake and real."""
    return {"fake": float((p_fake >= thresholds.fake).mean()), "real": float((p_fake <= thresholds.real).mean())}
