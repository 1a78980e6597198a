"""Any two detectors on the videos that both scored: paired intervals and DeLong's test."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from dfgame.config import EvaluateConfig
from dfgame.evaluate.scored import Names
from dfgame.metrics import Floats, Integers, delong, interval, people_bootstrap
from dfgame.outcomes import Pair
from dfgame.summary import Cell, RunEvidence, in_order


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
    people = np.array(one.people, np.str_)[of_one]
    try:
        numbers: dict[str, Any] = _compared(labels, one.scores[of_one], other.scores[of_other], people, config)
    except ValueError as error:
        nothing: dict[str, Any] = dict.fromkeys(("first_auc", "second_auc", "difference", "low", "high", "p"))
        return Pair(**named, **nothing, undefined=str(error))
    return Pair(**named, **numbers)


def _compared(labels: Integers, one: Floats, other: Floats, people: Names, config: EvaluateConfig) -> dict[str, float]:
    """Both AUCs, their difference with its interval, and DeLong's p."""
    first, second = (
        people_bootstrap(labels, scores, people, config.replicates, config.seed) for scores in (one, other)
    )
    low, high = interval(first - second)
    test = delong(labels, one, other)
    return {
        "first_auc": test.auc_a,
        "second_auc": test.auc_b,
        "difference": test.difference,
        "low": low,
        "high": high,
        "p": test.p,
    }
