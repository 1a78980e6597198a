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
    elif scores.min() < 0 or scores.max() > 1:
        no_reliability = "the scores are not probabilities"
    else:
        reliable = Markup(player_reliability_figure(name, reliability(labels, scores, balanced(labels))))
    if llrs is None:
        return Worth(player.name, reliable, no_reliability, None, "no validation videos to fit likelihood ratios on")
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
    """The bounds of the ratios, where all runs have the same."""
    rows = [evidence.result for run in runs for evidence in run.cells.values()]
    found = {(row.llr_low, row.llr_high) for row in rows}
    low, high = next(iter(found)) if len(found) == 1 else (None, None)
    return None if low is None or high is None else (low, high)
