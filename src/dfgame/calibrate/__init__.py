"""Trained detectors -> one box whose scores are probabilities, and the evidence that they are.

`members` gets the detectors, `views` scores crops, `maps` finds the map to probabilities and the thresholds, `rates`
says how often they are wrong on which faces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dfgame import __version__
from dfgame.boxed import Calibration, Ensemble, Facts, Thresholds, save_box
from dfgame.calibrate.maps import Floats, ScoredVideos, choose_thresholds, fit, held_out, person_groups
from dfgame.calibrate.members import members_of
from dfgame.calibrate.rates import conditions
from dfgame.calibrate.views import View, scored_views
from dfgame.config import CalibrateConfig, EvaluateConfig
from dfgame.files import sha256, versions, writable_folder
from dfgame.metrics import Honesty, honesty, measures, video_means
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
    plain = next(views)
    scored = _scored(plain, truth)
    calibration = fit(scored.labels, scored.raw)
    if calibration.slope <= 0:
        raise UserError(
            f"{manifest}: on these videos the runs' scores do not rise from real to fake",
            "there is nothing to calibrate: train longer, or on data more like these",
        )
    before, after = honesty(scored.labels, scored.raw), honesty(scored.labels, held_out(scored))
    thresholds = choose_thresholds(scored, calibration)
    labels, groups = ({name: one[what] for name, one in truth.items()} for what in ("label", "group"))
    facts = Facts(
        name=config.name or out.stem,
        version=config.version,
        detector=members.kind,
        image_size=members.image_size,
        crop=rule,
        calibration=calibration,
        thresholds=thresholds,
        made=members.made | _made(asked, manifest, config) | _found(scored, before, after, calibration, thresholds),
        conditions=conditions([plain, *views], labels, groups, calibration, thresholds),
    )
    save_box(out, facts, members.detectors)
    return Calibrated(facts, before, after)


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


def _truth(table: pa.Table, manifest: Path) -> dict[str, dict[str, int]]:
    """Of each video by name: its class number as `label`, its `group` of people, and whether it is `compressed`.

    Raises:
        UserError: a class is missing.
    """
    rows = {row["video"]: row for row in table.select(_OF_VIDEO).to_pylist()}
    if len({row["label"] for row in rows.values()}) < 2:
        raise UserError(
            f"{manifest}: no real and fake videos to calibrate on", "see --split, --methods and --datasets"
        )
    groups = person_groups(
        [f"{row['dataset']}/{row['identity']}" for row in rows.values()],
        [None if row["source"] is None else f"{row['dataset']}/{row['source']}" for row in rows.values()],
    )
    return {
        name: {"label": LABELS.index(row["label"]), "group": int(group), "compressed": row["compression"] != "raw"}
        for (name, row), group in zip(rows.items(), groups, strict=True)
    }


def _scored(view: View, truth: dict[str, dict[str, int]]) -> ScoredVideos:
    names, means = video_means(view.videos, view.raw)
    known = [truth[name] for name in names.tolist()]
    labels, groups, compressed = (np.array([one[what] for one in known]) for what in ("label", "group", "compressed"))
    return ScoredVideos(labels, means, compressed.astype(bool), groups)


def _made(asked: AskedRows, manifest: Path, config: CalibrateConfig) -> dict[str, Any]:
    """On what the box was calibrated; no path of this machine."""
    names = ("dataset", "method", "compression")
    return {
        "dfgame": __version__,
        "versions": versions(RECORDED_VERSIONS),
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
