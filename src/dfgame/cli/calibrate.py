"""dfgame calibrate."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dfgame.config import CalibrateConfig

if TYPE_CHECKING:
    from rich.table import Table

    from dfgame.boxed import Condition


def calibrate(
    manifest: Path,
    out: Path,
    /,
    *runs: Path,
    settings: Annotated[CalibrateConfig, Parameter(name="*")] = CalibrateConfig(),
) -> int:
    """Put the detectors RUNS into one file OUT, whose scores are probabilities: for `dfgame inspect`.

    In the place of a run an earlier OUT may be named: its detectors are calibrated anew, on other videos.

    Several runs, as the seeds of one training, are averaged. Their scores of the videos of MANIFEST's val split are
    mapped to probabilities, and thresholds are chosen with which at most 5% of the real compressed videos are called
    fake. How often that is wrong is measured by the width of faces and the detail that is left of them, also on faces
    shrunk to 96, 64 and 40 pixels. What is printed of calibrated scores and of verdicts is measured on people held out
    in turn, by a map and thresholds found on the others. A diagram, OUT with .svg in place of .safetensors, shows how
    far scores can be taken at their word.

    For example:

        dfgame calibrate crops/manifest.parquet detector.safetensors runs/game

        dfgame calibrate crops/manifest.parquet detector.safetensors runs/game-0 runs/game-1 --name game --version 2

        dfgame calibrate crops/manifest.parquet newer.safetensors detector.safetensors --version 3

    Parameters
    ----------
    manifest: Path
        The table written by `dfgame extract`.
    out: Path
        The file to write, NAME.safetensors.
    runs: Path
        Folders written by `dfgame train`, or files written by this command.
    settings: CalibrateConfig
        All settings.
    """
    from rich.table import Table

    from dfgame.calibrate import calibrate_runs
    from dfgame.files import write_text
    from dfgame.inspection.conditions import USEFUL_AUC
    from dfgame.jobs import stdout
    from dfgame.report.figures import reliability_figure, standalone

    found = calibrate_runs(runs, manifest, out, settings)
    diagram = out.with_suffix(".svg")
    write_text(diagram, standalone(reliability_figure(found.before.bins, found.after.bins)))
    made, thresholds = found.facts.made, found.facts.thresholds
    table = Table("", "calibration error", "log-loss", title="video-level scores", title_justify="left")
    for name, one in (("raw", found.before), ("calibrated, of held-out people", found.after)):
        table.add_row(name, f"{one.ece:.3f}", f"{one.log_loss:.3f}")
    stdout.print(table)
    videos = f"{made['real_videos']} real and {made['fake_videos']} fake videos"
    people = f"{made['calibrated_on']['people']} people in {made['groups_of_people']} groups kept apart"
    stdout.print(f"{videos} of {people}; AUC {made['auc']:.3f}", soft_wrap=True)
    if not made["sources_kept_apart"]:
        stdout.print(
            "held out are targets alone: these fakes link all people, so that their sources are on both sides"
        )
    for label in ("real", "fake"):
        seen = made[f"compressed_{label}"]
        shares = f"{seen['fake']:.1%} called fake, {seen['real']:.1%} called real"
        stdout.print(f"{seen['videos']} compressed {label} videos, of held-out people: {shares}", soft_wrap=True)
    if found.facts.conditions:
        stdout.print(_rates(found.facts.conditions))
        if hard := [one.rates.faces for one in found.facts.conditions if one.auc[0] < USEFUL_AUC]:
            stdout.print(f"the AUC may be below {USEFUL_AUC}: of such faces nothing is concluded: {'; '.join(hard)}")
    stdout.print(f"fake from p_fake {thresholds.fake:.3f}, real up to {thresholds.real:.3f}", soft_wrap=True)
    stdout.print(f"{out}: the detector\n{diagram}: how far its scores can be taken at their word", soft_wrap=True)
    return 0


def _rates(conditions: "Sequence[Condition]") -> "Table":
    from rich.table import Table

    columns = ("faces", "videos", "AUC, 95% interval", "real called fake", "fake called real")
    table = Table(*columns, title="error rates, of held-out people", title_justify="left")
    for one in conditions:
        rates, (low, high) = one.rates, one.auc
        auc = f"{rates.auc:.3f} ({low:.3f} to {high:.3f})"
        videos = f"{rates.real} + {rates.fake}"
        table.add_row(rates.faces, videos, auc, f"{rates.real_called_fake:.0%}", f"{rates.fake_called_real:.0%}")
    return table
