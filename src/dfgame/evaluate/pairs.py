"""Any two detectors on the videos that both scored: paired intervals and DeLong's test."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from dfgame.config import EvaluateConfig
from dfgame.metrics import Floats, Integers, delong, fewest_of_a_class, measures, paired_interval, people_bootstrap
from dfgame.outcomes import Pair
from dfgame.summary import Cell, Evidence, RunEvidence, in_order


def pairs_of(runs: Sequence[RunEvidence], config: EvaluateConfig) -> list[Pair]:
    """Every two detectors on every cell that both have, by video."""
    return [
        _pair(first, second, cell, config)
        for first, second in combinations(runs, 2)
        for cell in in_order([cell for cell in first.cells if cell in second.cells])
    ]


def _pair(first: RunEvidence, second: RunEvidence, cell: Cell, config: EvaluateConfig) -> Pair:
    one, other = first.cells[cell], second.cells[cell]
    shared, of_one, of_other = np.intersect1d(one.names, other.names, return_indices=True)
    labels = one.labels[of_one]
    named: dict[str, Any] = {
        "first": first.name,
        "second": second.name,
        "test_method": cell.method,
        "test_compression": cell.compression,
        "dataset": one.result.dataset,
        "n_real": int((labels == 0).sum()),
        "n_fake": int((labels == 1).sum()),
        "missing": len(one.names) + len(other.names) - 2 * len(shared),
    }
    try:
        draws, others = (_draws(evidence, places, config) for evidence, places in ((one, of_one), (other, of_other)))
        people = fewest_of_a_class(labels, np.array(one.people, np.str_)[of_one])
        numbers: dict[str, Any] = _compared(labels, one.scores[of_one], other.scores[of_other], draws, others, people)
    except ValueError as error:
        nothing: dict[str, Any] = dict.fromkeys(("first_auc", "second_auc", "difference", "low", "high", "p"))
        return Pair(**named, **nothing, undefined=str(error))
    return Pair(**named, **numbers)


def _draws(evidence: Evidence, places: Integers, config: EvaluateConfig) -> Floats:
    """The replicates of the AUC of some of its videos: its own where these are all of them."""
    if evidence.replicates is not None and len(places) == len(evidence.names):
        return evidence.replicates
    people = np.array(evidence.people, np.str_)[places]
    return people_bootstrap(evidence.labels[places], evidence.scores[places], people, config.replicates, config.seed)


def _compared(
    labels: Integers, one: Floats, other: Floats, first: Floats, second: Floats, people: int
) -> dict[str, float | None]:
    """Both AUCs, their difference with its interval, from the replicates `first` and `second`, and DeLong's p.

    Where the difference has no variance, as of scores that are all right against all wrong, it has neither an interval
    nor a p.
    """
    aucs = [measures(labels, scores).auc for scores in (one, other)]
    difference = aucs[0] - aucs[1]
    numbers: dict[str, float | None] = {"first_auc": aucs[0], "second_auc": aucs[1], "difference": difference}
    try:
        p = delong(labels, one, other).p
    except ValueError:
        return numbers | dict.fromkeys(("low", "high", "p"))
    low, high = paired_interval(difference, first - second, people, perfect=aucs == [1, 1])
    return numbers | {"low": low, "high": high, "p": p}
