"""What a player's scores are worth, taken at their word: how far they hold as probabilities and as evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from dfgame.metrics import Floats, Integers, balanced, reliability, tippett
from dfgame.report.figures import player_reliability_figure, tippett_figure
from dfgame.report.words import training_words
from dfgame.summary import Evaluation, Player, RunEvidence


@dataclass(frozen=True, slots=True)
class Worth:
    """A player's two figures; where one cannot be drawn, the reason in its place."""

    player: str
    reliability: Markup | None
    no_reliability: str
    tippett: Markup | None
    no_tippett: str


def worth_of(evaluation: Evaluation, player: Player) -> Worth:
    """The figures of a player, over the videos of all its cells and seeds, each real video once a quality and seed."""
    runs = [run for run in evaluation.runs if (run.player, run.training) == (player.name, player.training)]
    labels, scores, llrs = _videos(runs)
    name = f"{player.name}, trained on {training_words(player.training)}"
    reliable, no_reliability = None, ""
    if not len(labels):
        no_reliability = "no scores of videos were kept"
    elif scores.min() < 0 or scores.max() > 1 or _why(runs, "ece"):
        no_reliability = "the scores are not probabilities"
    else:
        reliable = Markup(player_reliability_figure(name, reliability(labels, scores, balanced(labels))))
    if llrs is None:
        return Worth(player.name, reliable, no_reliability, None, _why(runs, "cllr") or no_reliability)
    drawn = Markup(tippett_figure(name, tippett(labels, llrs), _bounds(runs)))
    return Worth(player.name, reliable, no_reliability, drawn, "")


def _videos(runs: Sequence[RunEvidence]) -> tuple[Integers, Floats, Floats | None]:
    """Class numbers, scores and log likelihood ratios of videos, each once; no ratios where a cell has none."""
    labels, scores, llrs, seen = [], [], [], set()
    whole = True
    for run in runs:
        for cell, evidence in run.cells.items():
            whole = whole and evidence.llrs is not None
            for place, video in enumerate(evidence.names):
                key = (run.name, run.seed, evidence.result.dataset, cell.compression, video)
                if key in seen:
                    continue
                seen.add(key)
                labels.append(int(evidence.labels[place]))
                scores.append(float(evidence.scores[place]))
                if evidence.llrs is not None:
                    llrs.append(float(evidence.llrs[place]))
    return np.array(labels, np.int64), np.array(scores), np.array(llrs) if whole and llrs else None


def _bounds(runs: Sequence[RunEvidence]) -> tuple[float, float] | None:
    """The bounds within which the ratios of all runs may be believed; none where one of them has none."""
    rows = [evidence.result for run in runs for evidence in run.cells.values()]
    found = [(row.llr_low, row.llr_high) for row in rows]
    lows, highs = ([bound for bound in bounds if bound is not None] for bounds in zip(*found, strict=True))
    return (max(lows), min(highs)) if len(lows) == len(highs) == len(found) else None


def _why(runs: Sequence[RunEvidence], measure: str) -> str:
    """Why a measure is not defined, of the first cell in which it is not; empty where it is in all."""
    rows = [evidence.result for run in runs for evidence in run.cells.values()]
    reasons = [part.partition(": ") for row in rows for part in row.undefined.split("; ")]
    return next((why for name, _, why in reasons if name == measure), "")
