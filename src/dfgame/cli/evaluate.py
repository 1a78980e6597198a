"""dfgame evaluate."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import EvaluateConfig

MANIFEST = ".parquet"
"""How the names of manifests end."""


def evaluate(
    manifest: Path,
    /,
    *runs: Path,
    out: Path = Path("evaluation"),
    settings: Annotated[EvaluateConfig, Parameter(name="*")] = EvaluateConfig(),
) -> int:
    """Measure the detectors RUNS on the crops of MANIFEST: tables, intervals, curves and a page in OUT.

    A detector is a run's folder, or a folder of runs, which stands for all of them; a file of `dfgame calibrate`
    (.safetensors), an ONNX file (.onnx), or what any other tool said: a CSV file with the columns path and score, the
    higher the more fake. A path is that of a crop or of a video, as the manifest has it. Further manifests (.parquet)
    may be named among the detectors.

    Runs that differ only in their seed are averaged. Every method is measured against the real videos of the
    same data set and quality. OUT/card.json says how the numbers came about. An interrupted evaluation
    goes on when called again.

    For example:

        dfgame evaluate crops/manifest.parquet runs/plain runs/game

        dfgame evaluate crops/manifest.parquet runs/game-0 runs/game-1 --out seeds --compressions c23 c40

        dfgame evaluate crops/manifest.parquet runs

        dfgame evaluate crops/manifest.parquet runs/ff --protocol ff-c23

        dfgame evaluate crops/manifest.parquet theirs.csv detector.safetensors --leaderboard board.csv

        dfgame evaluate crops/manifest.parquet detector.safetensors --by skin_tone --attributes people.csv

        dfgame evaluate ff/manifest.parquet celebdf/manifest.parquet theirs.onnx --onnx.output logits

    Parameters
    ----------
    manifest: Path
        The table written by `dfgame extract`.
    runs: Path
        Folders written by `dfgame train`, folders of such, .safetensors, .onnx and .csv files; further manifests,
        .parquet files.
    out: Path
        Folder for the results.
    settings: EvaluateConfig
        All settings.
    """
    from dfgame.evaluate import evaluate_runs
    from dfgame.jobs import console, stdout
    from dfgame.leaderboard import append, check_board
    from dfgame.report.files import write_report
    from dfgame.report.terminal import accounting_table, card_table, terminal_tables
    from dfgame.report.words import findings, unscored

    if settings.leaderboard is not None:
        check_board(settings.leaderboard)
    manifests = [manifest, *(path for path in runs if path.suffix == MANIFEST)]
    evaluation = evaluate_runs([path for path in runs if path.suffix != MANIFEST], manifests, out, settings)
    page = write_report(out, evaluation)
    if settings.leaderboard is not None:
        new = append(settings.leaderboard, evaluation)
        console.print(f"{settings.leaderboard}: {new} new lines", soft_wrap=True)
    for table in terminal_tables(evaluation):
        stdout.print(table)
    for sentence in (*findings(evaluation), *unscored(evaluation)):
        stdout.print(sentence)
    stdout.print(accounting_table(evaluation.accounting))
    stdout.print(card_table(evaluation.card))
    stdout.print(f"{page}: the whole report", soft_wrap=True)
    return 1 if evaluation.settings["undefined"] or evaluation.settings["not_done"] else 0
