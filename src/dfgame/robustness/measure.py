"""Detectors on videos that are made worse: one pass over the videos, then the curves."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfgame import __version__
from dfgame.config import EvaluateConfig, RobustnessConfig, to_dict, to_flags
from dfgame.files import held_folder, read_json, sha256, versions, write_json
from dfgame.jobs import console
from dfgame.records import Failure, UserError
from dfgame.robustness.curves import Measured, Robustness, ScoredVideo, measured
from dfgame.robustness.points import KINDS
from dfgame.robustness.scores import ScoreStore
from dfgame.robustness.source import source_of
from dfgame.robustness.subjects import BlackBox, Subject, subjects_of
from dfgame.robustness.videos import Task, by_video, person, score_videos
from dfgame.rows import asked_rows
from dfgame.runs import runs_of

RESULTS = "robustness.json"
FAILURES = "failures.json"
RECORDED_VERSIONS = ("torch", "timm", "numpy", "scikit-learn", "opencv-python-headless", "av")
OF_SCORES = ("frames", "around", "adversary_steps", "seed")
"""Settings that a video's score at a point depends on."""
OF_ROWS = ("split", "methods", "compressions", "datasets", "people")


def measure_robustness(
    detectors: Sequence[Path], manifest: Path, data: Sequence[Path], out: Path, config: RobustnessConfig
) -> Robustness:
    """The curves of all detectors; writes OUT/failures.json and what a later call goes on from.

    A video is decoded once, made worse in every way, and its faces are cut out again with the manifest's boxes, as the
    manifest says that they were. A video that cannot be used is recorded and is in no point of any curve. What an
    earlier call scored with the same weights, manifest and settings is used again.

    Args:
        detectors: folders of `dfgame train`, folders of such, boxes of `dfgame calibrate`, and ONNX files.
        manifest: the table of `dfgame extract`.
        data: the roots of the data sets that it was made from; without them the stored crops are made worse.
        out: folder for the results.
        config: what to measure.

    Raises:
        UserError: OUT holds another measurement, or another process writes there; a transformation was asked for that
            needs videos or a slope that there is not; no video could be used, or one class is missing.
    """
    if not detectors:
        raise UserError("no detector to measure", "name a folder of `dfgame train`, or a file of `dfgame calibrate`")
    with held_folder(out, "--out"):
        return _measured(detectors, manifest, data, out, config)


def _measured(
    detectors: Sequence[Path], manifest: Path, data: Sequence[Path], out: Path, config: RobustnessConfig
) -> Robustness:
    detectors = runs_of(detectors)
    asked = asked_rows(manifest, _selection(config))
    subjects, warnings = subjects_of(detectors, asked, config)
    warnings += _without_slope(subjects, config)
    source = source_of(asked.made_by, manifest, data, config)
    origin = {
        "version": __version__,
        "manifest_sha256": sha256(manifest),
        "done_to": source.done_to,
        **{name: value for name, value in to_dict(config).items() if name in OF_SCORES},
    }
    identity = {"origin": origin, "rows": {name: to_dict(config)[name] for name in OF_ROWS}}
    _claim(out, identity, config.overwrite)
    for line in (*warnings, *source.not_done):
        console.print(f"warning: {line}", soft_wrap=True)
    task = Task(subjects, source, by_video(asked.table, config.people), ScoreStore(out, origin), config)
    failures = score_videos(task)
    write_json(out / FAILURES, [{"path": one.path, "reason": one.reason} for one in failures])
    settings = {
        "asked": identity,
        "command": _command(detectors, manifest, data, out, config),
        "versions": {"dfgame": __version__} | versions(RECORDED_VERSIONS),
        "manifest": str(manifest),
        "datasets": sorted(set(asked.table["dataset"].to_pylist())),
        "config": to_dict(replace(config, overwrite=False)),
        "weights_sha256": {subject.name: subject.sha256 for subject in subjects},
        **_counts(task, failures),
    }
    return Robustness(
        rows=tuple(_curves(task, manifest, failures)),
        settings=settings,
        failures=tuple(failures),
        not_done=source.not_done,
        notes=tuple(warnings),
        subjects=tuple(subject.name for subject in subjects),
    )


def _without_slope(subjects: Sequence[Subject | BlackBox], config: RobustnessConfig) -> list[str]:
    """What to say of detectors that the adversaries cannot attack, and of which.

    Raises:
        UserError: only adversaries were asked for, and none of the detectors can be attacked.
    """
    attacks = " and ".join(name for name in config.chosen if KINDS[name].attack)
    hidden = [subject.name for subject in subjects if isinstance(subject, BlackBox)]
    if attacks and config.only and len(hidden) == len(subjects):
        raise UserError(
            f"--only {attacks}: needs the detector's slope, which an ONNX file does not give",
            "name the run or the box that it was made from, or leave it out",
        )
    return [f"{name}: {attacks} not done, an ONNX file gives no slope to follow" for name in hidden if attacks]


def _selection(config: RobustnessConfig) -> EvaluateConfig:
    """The rows to test on, in the words of an evaluation."""
    return EvaluateConfig(
        split=config.split,
        methods=config.methods,
        compressions=config.compressions,
        datasets=config.datasets,
        frames=config.frames,
    )


def _claim(out: Path, identity: dict[str, Any], overwrite: bool) -> None:
    path = out / RESULTS
    if path.is_file() and not overwrite and _asked_before(path) != identity:
        raise UserError(
            f"{path}: exists, and comes from another measurement",
            "choose another --out, or add --overwrite to replace it",
        )


def _asked_before(path: Path) -> Any:
    """What the results there come from, None where they are something else."""
    before = read_json(path)
    return before.get("settings", {}).get("asked") if isinstance(before, dict) else None


def _counts(task: Task, failures: Sequence[Failure]) -> dict[str, Any]:
    """How much the curves rest on."""
    failed = {failure.path for failure in failures}
    videos = [rows for video, rows in task.videos.items() if video not in failed]
    return {
        "people": len({person(rows[0]) for rows in videos}),
        "videos": len(videos),
        "frames": sum(map(len, videos)),
        "failed": len(failed),
    }


def _curves(task: Task, manifest: Path, failures: Sequence[Failure]) -> Iterator[Measured]:
    failed = {failure.path for failure in failures}
    videos = [
        ScoredVideo(video, rows[0]["label"], person(rows[0]))
        for video, rows in task.videos.items()
        if video not in failed
    ]
    there = {video.name: task.store.read(video.name) for video in videos}
    for subject in task.subjects:
        for point in task.points_of(subject):
            scores = {name: of_video[subject.key][point.key] for name, of_video in there.items()}
            try:
                yield measured(subject.name, point, videos, scores, task.config.replicates, task.config.seed)
            except ValueError as error:
                remedy = f"{failures[0].path}: {failures[0].reason}" if failures else "choose other rows"
                raise UserError(f"{manifest}: nothing can be measured ({error})", remedy) from None


def _command(
    detectors: Sequence[Path], manifest: Path, data: Sequence[Path], out: Path, config: RobustnessConfig
) -> str:
    """The command line that gives these results."""
    roots = ["--data", *map(str, data)] if data else []
    words = ["dfgame", "robustness", str(manifest), *map(str, detectors), *roots, "--out", str(out)]
    return shlex.join([*words, *to_flags(replace(config, overwrite=False))])
