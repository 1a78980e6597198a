"""Trained detectors -> one box whose scores are probabilities, and the evidence that they are.

`members` gets the detectors, `views` scores crops, `maps` finds the map to probabilities and the thresholds, `rates`
says how often they are wrong on which faces.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfgame import __version__
from dfgame.boxed import Ensemble, Facts, save_box
from dfgame.calibrate.maps import Choice, ScoredVideos, choose, choose_by_fold, folds, held_out, joined, person_groups
from dfgame.calibrate.members import members_of
from dfgame.calibrate.rates import conditions
from dfgame.calibrate.views import View, scored_views
from dfgame.config import CalibrateConfig, EvaluateConfig
from dfgame.files import sha256, versions, writable_folder
from dfgame.metrics import Honesty, honesty, measures, pooled
from dfgame.records import LABELS, CropRule, UserError
from dfgame.rows import AskedRows, asked_rows, people

RECORDED_VERSIONS = ("torch", "timm", "numpy", "scipy", "scikit-learn", "safetensors", "opencv-python-headless")
_OF_VIDEO = ["video", "dataset", "label", "compression", "identity", "source"]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a calibration found: the box's facts, and how honest scores were before and are after, held out."""

    facts: Facts
    before: Honesty
    after: Honesty


def calibrate_runs(sources: Sequence[Path], manifest: Path, out: Path, config: CalibrateConfig) -> Calibrated:
    """Put the detectors of runs, or of boxes, into the box OUT, calibrated on videos of a manifest.

    Raises:
        UserError: the detectors differ in what they are or how their crops were cut out, the manifest does not say how
            its are, holds too little, or the scores do not rise from real to fake.
    """
    _claim(out, config.overwrite)
    if not sources:
        raise UserError("no RUN to calibrate", "name at least one folder of `dfgame train`, or a detector's box")
    asked = asked_rows(manifest, _as_evaluation(config))
    rule = _crop_rule(asked, manifest)
    members = members_of(sources, asked, manifest, rule, config)
    truth = _truth(asked.table, manifest)
    views = scored_views(
        Ensemble(members.detectors),
        asked.table,
        manifest.parent,
        rule,
        members.image_size,
        config.batch_size,
        config.workers,
    )
    plain = _by_video(next(views), truth)
    choice = choose(plain)
    if choice.calibration.slope <= 0:
        raise UserError(
            f"{manifest}: on these videos the runs' scores do not rise from real to fake",
            "there is nothing to calibrate: train longer, or on data more like these",
        )
    by_fold = choose_by_fold(plain)
    before, after = (honesty(plain.labels, p_fake) for p_fake in (plain.raw, held_out(plain, by_fold)[0]))
    everything = joined([plain, *(_by_video(view, truth) for view in views)])
    facts = Facts(
        name=config.name or out.stem,
        version=config.version,
        detector=members.kind,
        image_size=members.image_size,
        crop=rule,
        calibration=choice.calibration,
        thresholds=choice.thresholds,
        made=members.made
        | {"sources_kept_apart": _sources_apart(asked.table, truth)}
        | _made(asked, manifest, config)
        | _found(plain, before, after, by_fold),
        conditions=conditions(everything, choice, by_fold),
    )
    save_box(out, facts, members.detectors)
    return Calibrated(facts, before, after)


def _claim(out: Path, overwrite: bool) -> None:
    """Refuse to write OUT, or the diagram beside it, over what is there."""
    if out.suffix != ".safetensors":
        raise UserError(f"{out}: OUT is the file to write", "name it with .safetensors")
    for path in (out, out.with_suffix(".svg")):
        if path.exists() and not overwrite:
            raise UserError(f"{path}: exists", "choose another OUT, or add --overwrite to replace it")
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


def _truth(table: pa.Table, manifest: Path) -> dict[str, tuple[int, int, int, bool]]:
    """Of each video by name: class number, group of people, fold, whether it is compressed.

    Raises:
        UserError: a class is missing, or there are too few people.
    """
    rows = {row["video"]: row for row in table.select(_OF_VIDEO).to_pylist()}
    if len({row["label"] for row in rows.values()}) < 2:
        raise UserError(
            f"{manifest}: no real and fake videos to calibrate on", "see --split, --methods and --datasets"
        )
    labels = np.array([LABELS.index(row["label"]) for row in rows.values()])
    groups = person_groups(
        labels,
        [f"{row['dataset']}/{row['identity']}" for row in rows.values()],
        [None if row["source"] is None else f"{row['dataset']}/{row['source']}" for row in rows.values()],
    )
    compressed = [row["compression"] != "raw" for row in rows.values()]
    known = zip(labels.tolist(), groups.tolist(), folds(labels, groups).tolist(), compressed, strict=True)
    return dict(zip(rows, known, strict=True))


def _sources_apart(table: pa.Table, truth: dict[str, tuple[int, int, int, bool]]) -> bool:
    """Whether nobody is in two folds, as target or as source."""
    found: dict[str, set[int]] = defaultdict(set)
    for row in table.select(_OF_VIDEO).to_pylist():
        for name in {row["identity"], row["source"]} - {None}:
            found[f"{row['dataset']}/{name}"].add(truth[row["video"]][2])
    return all(len(numbers) == 1 for numbers in found.values())


def _by_video(view: View, truth: dict[str, tuple[int, int, int, bool]]) -> ScoredVideos:
    """The mean score of each video's crops, their median width and detail, and what is known of it."""
    names, raw = pooled(view.videos, view.raw, "mean")
    widths, details = (pooled(view.videos, values, "median")[1] for values in (view.width, view.detail))
    known = zip(*(truth[name] for name in names.tolist()), strict=True)
    labels, groups, numbers, compressed = (np.array(column) for column in known)
    return ScoredVideos(labels, groups, numbers, compressed, raw, widths, details)


def _made(asked: AskedRows, manifest: Path, config: CalibrateConfig) -> dict[str, Any]:
    """On what the box was calibrated; no path of this machine."""
    names = ("dataset", "method", "compression")
    counts = Counter(asked.table["video"].to_pylist()).values()
    return {
        "dfgame": __version__,
        "versions": versions(RECORDED_VERSIONS),
        "calibrated_on": {
            "manifest_sha256": sha256(manifest),
            "split": config.split,
            "frames": config.frames,
            "frames_of_a_video": [min(counts), max(counts)],
            "people": people(asked.table),
            **{f"{name}s": sorted(set(asked.table[name].to_pylist())) for name in names},
        },
    }


def _found(scored: ScoredVideos, before: Honesty, after: Honesty, by_fold: list[Choice]) -> dict[str, Any]:
    """The numbers behind the map and the thresholds; all but `before` and `auc` are of people held out in turn."""
    compressed = scored.where(scored.compressed)
    _, verdicts = held_out(compressed, by_fold)
    found = measures(scored.labels, scored.raw)
    return {
        "real_videos": found.n_real,
        "fake_videos": found.n_fake,
        "groups_of_people": len(np.unique(scored.groups)),
        "auc": found.auc,
        "before": {"ece": before.ece, "log_loss": before.log_loss},
        "after": {"ece": after.ece, "log_loss": after.log_loss},
        **{f"compressed_{name}": _shares(verdicts[compressed.labels == label]) for label, name in enumerate(LABELS)},
    }


def _shares(verdicts: NDArray[np.str_]) -> dict[str, float]:
    """How many videos, and the shares that are called fake and real."""
    return {"videos": len(verdicts), **{said: float((verdicts == said).mean()) for said in ("fake", "real")}}
