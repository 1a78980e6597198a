"""eval.py: an experiment's checkpoint on a test set, with the published figures."""

import argparse
import csv
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from dfgame.cli.reference.data import (
    NAMES,
    compressions_of,
    data_root,
    find_data,
    is_ff,
    methods_of,
    of_ff,
    test_lists,
)
from dfgame.cli.reference.options import EVALUATION, SHARED, own_words, parse
from dfgame.cli.reference.training import backbone_of, checkpoint_of, run_folder, usual_workers
from dfgame.config import AugmentConfig, TrainConfig
from dfgame.config.values import at_least
from dfgame.files import atomic_path, read_json, write_json, write_text
from dfgame.jobs import console
from dfgame.manifest import check_choice, evenly, read_manifest, select
from dfgame.metrics import measures, roc, video_means
from dfgame.players import Training
from dfgame.records import METHODS, UserError
from dfgame.report.figures import roc_figure, standalone
from dfgame.summary import Line

LEAST = {"image_size": 1, "batch_size": 1, "workers": 0, "stride": 1, "segment_length": 1}
"""The least value of each number."""
OF_FIGURES = ("multi", "multi2two", "mean", "segment_length", "stride", "image_size", "aug_before")
"""Options that the figures depend on, beside those that choose weights and rows."""


def evaluate(words: Sequence[str]) -> int:
    """Test as eval.py does; returns the exit code."""
    given = parse("eval.py", (*EVALUATION, *SHARED), words)
    if given.segment_length is not None and not given.mean:
        raise UserError("--segment_length: changes nothing here, it needs --mean")
    for name, least in LEAST.items():
        if getattr(given, name) is not None:
            at_least(name, getattr(given, name), least)
    run = _run(given.exp_name or "test")
    dataset = given.dataset or "ff"
    fake_type = given.fake_type or ("FaceSwap" if is_ff(dataset) and not given.multi else "multi")
    methods = () if given.multi else methods_of(fake_type)
    if given.multi and given.fake_type:
        raise UserError("--fake_type: changes nothing here, with --multi all four methods are tested on")
    compressions = compressions_of(given.cmp_level, dataset)
    manifest = find_data(
        data_root(given.data_root),
        dataset,
        test_lists(methods, compressions),
        bool(given.multi),
        run / "test_lists.parquet",
    )
    table = read_manifest(manifest)
    with own_words(EVALUATION):
        check_choice(table, methods, compressions, manifest)
    datasets, methods = of_ff(table, dataset, methods)
    if datasets:
        table = table.filter(pc.field("dataset").isin(datasets))
    has_splits = any(table["split"].to_pylist())
    if not has_splits:
        console.print(f"{manifest}: has no splits, so all of it is tested on")
    rows = select(table, "test" if has_splits else None, methods, compressions)
    if given.mean:
        rows = evenly(rows, given.segment_length or 5)
    if not rows.num_rows:
        raise UserError(f"{manifest}: no rows in the split test", "see --cmp_level and --fake_type")
    found = _probabilities(given, run, [manifest.parent / path for path in rows["path"].to_pylist()])
    five = found.shape[1] > 2 and bool(given.multi) and not given.multi2two
    pairs = zip(rows["label"].to_pylist(), rows["method"].to_pylist(), strict=True)
    truth = np.array([_class(*pair, five) for pair in pairs])
    if len(set(truth > 0)) < 2:
        raise UserError(f"{manifest}: all that is tested on is real, or all of it fake", "see --fake_type")
    if given.mean:
        truth, found = _of_videos(rows["video"].to_pylist(), truth, found)
    checkpoint = checkpoint_of(run, given.epoch or "best")
    results = {
        "weights": str(checkpoint),
        "manifest": str(manifest),
        "level": "video" if given.mean else "frame",
        "count": len(truth),
        "asked": {"compressions": compressions, "methods": methods, "datasets": datasets, **_asked(given)},
    }
    results |= _five_class(truth, found) if five else _two_class(truth, found)
    name = _free(run, "_".join(["eval", given.epoch or "best", _place(dataset), fake_type, *_apart(given)]), manifest)
    write_json(run / f"{name}.json", results)
    _write_roc(run / f"{name}_roc.csv", truth, found)
    for key, value in results.items():
        print(f"{key}: {value:.4f}" if isinstance(value, float) else f"{key}: {value}")
    return 0


def _free(run: Path, name: str, manifest: Path) -> str:
    """The name, with a mark of the manifest's place where it is taken by the results of another."""
    if not (run / f"{name}.json").is_file() or read_json(run / f"{name}.json").get("manifest") == str(manifest):
        return name
    return f"{name}_{hashlib.sha256(str(manifest.resolve()).encode()).hexdigest()[:8]}"


def _place(dataset: str) -> str:
    """The data set in a file's name: by its own, or by the folder it is in."""
    if dataset in NAMES:
        return dataset
    path = Path(dataset).resolve()
    return f"{path.parent.name}-{path.stem}" if path.is_file() else path.name


def _asked(given: argparse.Namespace) -> dict[str, Any]:
    """The options that were given and that the figures depend on."""
    return {name: getattr(given, name) for name in OF_FIGURES if getattr(given, name) is not None}


def _apart(given: argparse.Namespace) -> list[str]:
    """What tells the file of these options from that of others: `c40`, `mean`, `stride-1`."""
    words = [name if value is True else f"{name}-{value}" for name, value in _asked(given).items() if name != "multi"]
    return [given.cmp_level, *words] if given.cmp_level else words


def _run(name: str) -> Path:
    found = [run for run in (run_folder(name, "gen"), run_folder(name, "grad")) if run.is_dir()]
    if not found:
        raise UserError(f"--exp_name {name}: no folder ckts_exp_gen_{name} or ckts_exp_grad_{name} here")
    if len(found) > 1:
        raise UserError(f"--exp_name {name}: both {found[0]} and {found[1]} are here", "rename one of the folders")
    return found[0]


def _probabilities(given: argparse.Namespace, run: Path, paths: list[Path]) -> NDArray[np.float64]:
    from dfgame.augment import Augmentation
    from dfgame.checkpoint import load_detector
    from dfgame.score import class_probabilities, pick_device

    checkpoint = checkpoint_of(run, given.epoch or "best").stem
    detector, config = load_detector(run, checkpoint, pick_device(given.device or "auto"))
    _tell_what_differs(given, config, run)
    if given.stride is not None:
        if config.detector.head == "fc":
            raise UserError("--stride: changes nothing here, the run has an fc head")
        detector.set_stride(given.stride)
    augmentation = Augmentation(AugmentConfig(before="light")) if given.aug_before else None
    workers = usual_workers() if given.workers is None else given.workers
    size = given.image_size or config.image_size
    return class_probabilities(detector, paths, size, given.batch_size or 32, workers, augmentation)


def _tell_what_differs(given: argparse.Namespace, config: TrainConfig, run: Path) -> None:
    """What a run is, it knows itself: options that say otherwise are named."""
    detector = config.detector
    said: dict[str, tuple[bool, str]] = {
        "model_type": (
            given.model_type is not None and backbone_of(given.model_type) != detector.backbone,
            f"trained with {detector.backbone}",
        ),
        "fc_model": (bool(given.fc_model) and detector.head != "fc", "has a patch head"),
        "bn2": (bool(given.bn2) and not detector.bn2, "has no auxiliary BatchNorm"),
        "multi": (bool(given.multi) and not detector.multi, "has two classes; its two-class figures follow"),
        "multi2two": (bool(given.multi2two) and not detector.multi, "has two classes already"),
    }
    for name, (differs, what) in said.items():
        if differs:
            console.print(f"--{name}: {run} {what}")


def _class(label: str, method: str, five: bool) -> int:
    """The class number of a row; where there are five, a method beyond the four has none."""
    if label == "real" or not five:
        return int(label != "real")
    if method not in METHODS:
        raise UserError(f"{method} has no class of its own in five classes", "collapse them: --multi2two")
    return METHODS.index(method) + 1


def _of_videos(
    videos: list[str], truth: NDArray[np.int64], found: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The classes and the mean probabilities of each video."""
    of_video = dict(zip(videos, truth, strict=True))
    columns = [video_means(videos, column) for column in found.T]
    return np.array([of_video[name] for name in columns[0][0]]), np.stack([means for _, means in columns], axis=1)


def _two_class(truth: NDArray[np.int64], found: NDArray[np.float64]) -> dict[str, Any]:
    """The figures of real against fake, which is all that is not real."""
    labels, scores = (truth > 0).astype(int), 1 - found[:, 0]
    all_of_them = measures(labels, scores)
    right = (scores >= 0.5) == (labels == 1)
    return {
        "accuracy": all_of_them.accuracy,
        "real accuracy": float(right[labels == 0].mean()),
        "fake accuracy": float(right[labels == 1].mean()),
        "auc": all_of_them.auc,
        "average precision": all_of_them.ap,
        "eer": all_of_them.eer,
    }


def _five_class(truth: NDArray[np.int64], found: NDArray[np.float64]) -> dict[str, Any]:
    """The figures of the five classes, and those of their collapse into two."""
    answer = found.argmax(axis=1)
    names = ("real", *METHODS)
    confusion = [[int(((truth == k) & (answer == j)).sum()) for j in range(5)] for k in range(5)]
    of_class = {
        f"{name} accuracy": float((answer[truth == k] == k).mean())
        for k, name in enumerate(names)
        if (truth == k).any()
    }
    of_two = {f"two-class {name}": value for name, value in _two_class(truth, found).items()}
    return {"accuracy": float((answer == truth).mean()), **of_class, "confusion (rows: truth)": confusion, **of_two}


def _write_roc(path: Path, truth: NDArray[np.int64], found: NDArray[np.float64]) -> None:
    curve = roc((truth > 0).astype(int), 1 - found[:, 0])
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["false positive rate", "true positive rate", "threshold"])
        writer.writerows(zip(curve.fpr.tolist(), curve.tpr.tolist(), curve.thresholds.tolist(), strict=True))
    name = path.parent.name
    line = Line(name, Training((), ()), "", True, curve.fpr, curve.tpr)
    write_text(path.with_suffix(".svg"), standalone(roc_figure([line], [name])))


def main() -> None:
    """The command."""
    from dfgame.cli import exit_with

    exit_with(lambda: evaluate(sys.argv[1:]), "eval.py --help", again="")
