"""The files of an evaluation: every figure comes with the numbers it shows."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from dfgame.files import atomic_path, write_json, write_text
from dfgame.report.matrices import write_matrices
from dfgame.report.page import Picture, render_page
from dfgame.report.schema import results_of
from dfgame.summary import Evaluation, Result

CURVE_COLUMNS = (
    "game",
    "train_method",
    "train_compression",
    "test_method",
    "test_compression",
    "seed",
    "fpr",
    "tpr",
    "threshold",
)
LINE_COLUMNS = ("game", "train_method", "train_compression", "test_compression", "methods", "fpr", "tpr")
MATRIX_COLUMNS = (
    "game",
    "train_method",
    "train_compression",
    "test_method",
    "test_compression",
    "methods",
    "auc",
    "auc_low",
    "auc_high",
    "seeds",
    "lowest_seed",
    "highest_seed",
)


def write_report(out: Path, evaluation: Evaluation, pictures: Sequence[Picture] = ()) -> Path:
    """Write an evaluation's files to `out`; returns the path of the page.

    - card.json: the protocol card, how the numbers came about;
    - report.html: one file that opens anywhere, without script or network;
    - results.csv: a row a detector, cell and level; results.json: these and all other numbers, as
      docs/results.schema.json says. results.json comes last: once it is there, all is;
    - curves.csv: every run's video-level ROC curves;
    - figure_auc.csv, figure_roc.csv: what the page's figures show;
    - matrices/: where there are several trainings, a matrix a player and one over qualities: SVG, LaTeX, Markdown.

    Args:
        out: a folder; files of these names in it are replaced.
        evaluation: what `evaluate.evaluate_runs` found.
        pictures: examples to show.
    """
    rows = [asdict(result) for result in evaluation.results]
    columns = [item.name for item in fields(Result)]
    _write_csv(out / "results.csv", columns, (row.values() for row in rows))
    _write_csv(out / "curves.csv", CURVE_COLUMNS, _curve_rows(evaluation))
    _write_csv(out / "figure_auc.csv", MATRIX_COLUMNS, _matrix_rows(evaluation))
    _write_csv(out / "figure_roc.csv", LINE_COLUMNS, _line_rows(evaluation))
    write_matrices(out, evaluation)
    page = out / "report.html"
    write_text(page, render_page(evaluation, pictures))
    write_json(out / "card.json", evaluation.card)
    write_json(out / "results.json", results_of(evaluation))
    return page


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _curve_rows(evaluation: Evaluation) -> Iterable[tuple[Any, ...]]:
    for run in evaluation.runs:
        training = (run.training.method_words, run.training.compression_words)
        for cell, evidence in run.cells.items():
            curve = evidence.roc
            for point in zip(curve.fpr, curve.tpr, curve.thresholds, strict=True):
                yield (run.player, *training, *cell, run.seed, *point)


def _line_rows(evaluation: Evaluation) -> Iterable[tuple[Any, ...]]:
    for line in evaluation.lines:
        training = (line.training.method_words, line.training.compression_words)
        for point in zip(line.fpr, line.tpr, strict=True):
            yield (line.player, *training, line.compression, _seen(line.seen), *point)


def _matrix_rows(evaluation: Evaluation) -> Iterable[tuple[Any, ...]]:
    for player in evaluation.players:
        training = (player.training.method_words, player.training.compression_words)
        for cell, found in player.cells.items():
            if found is None:
                continue
            yield (
                player.name,
                *training,
                *cell,
                _seen(player.training.saw(cell.method)),
                *(found.value, found.low, found.high),
                *((len(found.by_seed), min(found.by_seed), max(found.by_seed)) if player.seeds else (0, "", "")),
            )


def _seen(seen: bool | None) -> str:
    return "unknown" if seen is None else "seen" if seen else "unseen"
