"""A table of results to append to, one for many evaluations: stable columns, and never the same line twice."""

import csv
import io
from pathlib import Path
from typing import Any

from filelock import FileLock

from dfgame.files import atomic_path, writable_folder
from dfgame.records import UserError
from dfgame.summary import Evaluation, Result

VERSION = 1
"""Of the columns; a change of them is another version, and another file."""
_OF_RESULT = (
    *("kind", "game", "seed", "train_method", "train_compression", "dataset", "test_method", "test_compression"),
    *("level", "pooling", "frames", "crop", "n_real", "n_fake", "people", "auc", "auc_low", "auc_high", "ap", "eer"),
    *("accuracy", "balanced_accuracy", "threshold", "threshold_from", "tpr_at_1_fpr", "tpr_at_5_fpr", "log_loss"),
    *("ece", "cllr", "min_cllr", "llr_low", "llr_high"),
)
COLUMNS = ("version", "detector", "detector_sha256", "manifest_sha256", "split", "protocol", *_OF_RESULT)


def check_board(path: Path) -> None:
    """Refuse, before anything is scored, what `append` could not append to.

    Raises:
        UserError: it is a folder, has other columns, or its folder cannot be written to.
    """
    if path.is_dir():
        raise UserError(f"--leaderboard {path}: is a folder", "name a file, as leaderboard.csv")
    writable_folder(path.parent, "--leaderboard")
    if path.exists():
        _read(path)


def append(path: Path, evaluation: Evaluation) -> int:
    """Append a line a detector, cell and level to `path`, whole or not at all; returns how many are new.

    Others that append to it at the same time wait for each other.

    Raises:
        UserError: the file is there and has other columns.
    """
    lines = [_line(evaluation.settings, result) for result in evaluation.results]
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        before = _read(path) if path.exists() else []
        known = {tuple(line) for line in before}
        new = [line for line in lines if tuple(line) not in known]
        if not new and path.exists():
            return 0
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([COLUMNS, *before, *new])
    return len(new)


def _line(settings: dict[str, Any], result: Result) -> list[str]:
    asked = settings["asked"]
    values = [
        VERSION,
        result.run,
        asked["weights_sha256"][result.run],
        "+".join(asked["manifest_sha256"]),
        settings["split"],
        settings["protocol"] or "",
        *(getattr(result, name) for name in _OF_RESULT),
    ]
    return ["" if value is None else str(value) for value in values]


def _read(path: Path) -> list[list[str]]:
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error):
        lines = []
    if not lines or tuple(lines[0]) != COLUMNS:
        raise UserError(f"{path}: is no leaderboard of this version", "append to another file with --leaderboard")
    return lines[1:]
