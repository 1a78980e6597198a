"""Trained on one thing, tested on another: a matrix a player over forgeries, and one of all players over qualities."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from dfgame.metrics import Floats, auc_interval
from dfgame.players import Training
from dfgame.records import COMPRESSIONS, COVERAGE, METHODS
from dfgame.report.language import counted, listed
from dfgame.report.words import training_words
from dfgame.summary import Cell, Evaluation, Evidence, Player, RunEvidence, fewest_people, in_order, mean_replicates

_INTERVAL = f"{COVERAGE:.0%} interval over people"
Seen = Literal["seen", "other quality", "unseen"]
"""Whether what is tested was trained on: method and quality, the method at another quality, or neither."""


class Column(NamedTuple):
    """What is tested: the head that several columns share, and the column's own."""

    group: str
    name: str


class Entry(NamedTuple):
    """A video-level AUC, mean over seeds, with its interval over people, if any."""

    value: float
    low: float | None
    high: float | None
    seen: Seen


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are what was trained on, columns what is tested; `entries` lacks places where nothing was measured.

    `name` serves as a file name, `title` says what the numbers are, `corner` what the rows are.
    """

    name: str
    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    entries: dict[tuple[int, int], Entry]


def cross_matrices(evaluation: Evaluation) -> list[Matrix]:
    """The matrices of an evaluation of several trainings; none where all detectors were trained on the same.
    Detectors that do not say what they were trained on are left out.

    First that of each player over forgeries, then the one over qualities. Players of several trainings are one where
    they go by one name. Rows and columns are in the usual order of methods and qualities.
    """
    players = [player for player in evaluation.players if player.training.known]
    if len({player.training for player in players}) < 2:
        return []
    names = dict.fromkeys(player.name for player in players)
    groups = [[player for player in players if player.name == name] for name in names]
    forgeries = [_over_forgeries(number, group) for number, group in enumerate(groups, 1)]
    runs = [run for run in evaluation.runs if run.training.known]
    return [*forgeries, _over_qualities(players, runs)]


def seen_of(training: Training, cell: Cell) -> Seen:
    """Whether a training had what a cell tests."""
    if not training.saw(cell.method):
        return "unseen"
    knows = not training.compressions or cell.compression in training.compressions
    return "seen" if knows else "other quality"


def _over_forgeries(number: int, group: Sequence[Player]) -> Matrix:
    """A player's matrix: a row a training, a column a method at a quality."""
    ordered = sorted(group, key=lambda player: _place(player.training))
    cells = in_order([cell for player in ordered for cell, found in player.cells.items() if found])
    entries = {}
    for row, player in enumerate(ordered):
        for column, cell in enumerate(cells):
            if found := player.cells.get(cell):
                seen = seen_of(player.training, cell)
                entries[row, column] = Entry(found.value, found.low, found.high, seen)
    name = ordered[0].name
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[:60]
    return Matrix(
        name=f"forgeries-{number}-{slug}",
        title=f"Video-level AUC of the player {name}, {_over(_seeds(ordered))}{_INTERVAL}",
        corner="trained on",
        rows=tuple(training_words(player.training) for player in ordered),
        columns=tuple(Column(cell.compression, cell.method) for cell in cells),
        entries=entries,
    )


def _over_qualities(players: Sequence[Player], runs: Sequence[RunEvidence]) -> Matrix:
    """All players: a row a player and the qualities it was trained on, a column a quality, seen methods and others."""
    rows: dict[tuple[str, tuple[str, ...]], list[RunEvidence]] = {}
    names = list(dict.fromkeys(run.player for run in runs))
    for run in sorted(runs, key=lambda run: (names.index(run.player), _place(run.training))):
        rows.setdefault((run.player, run.training.compressions), []).append(run)
    cells = in_order([cell for run in runs for cell in run.cells])
    qualities = dict.fromkeys(cell.compression for cell in cells)
    columns = [(seen, quality) for seen in (True, False) for quality in qualities]
    entries = {}
    for row, ((_, trained), group) in enumerate(rows.items()):
        for column, (seen, quality) in enumerate(columns):
            found = _mean(group, seen, quality)
            knows = not trained or quality in trained
            mark: Seen = ("seen" if knows else "other quality") if seen else "unseen"
            if found is not None:
                entries[row, column] = Entry(*found, mark)
    heads = {True: "methods trained on", False: "methods not trained on"}
    return Matrix(
        name="qualities",
        title=f"Video-level AUC, {_over(['methods', 'trainings', *_seeds(players)])}{_INTERVAL}",
        corner="player, trained at",
        rows=tuple(f"{name}, {' + '.join(trained) or 'all compressions'}" for name, trained in rows),
        columns=tuple(Column(heads[seen], quality) for seen, quality in columns),
        entries=entries,
    )


def _mean(runs: Sequence[RunEvidence], seen: bool, quality: str) -> tuple[float, float | None, float | None] | None:
    """The mean over trainings of the mean over seeds and methods; each training counts once."""
    trainings: dict[Training, list[tuple[float, Floats | None]]] = {}
    shown: list[Evidence] = []
    for run in runs:
        chosen = [
            evidence
            for cell, evidence in run.cells.items()
            if cell.compression == quality and run.training.saw(cell.method) == seen
        ]
        if chosen:
            shown += chosen
            auc = float(np.mean([evidence.result.auc for evidence in chosen]))
            trainings.setdefault(run.training, []).append((auc, mean_replicates(chosen)))
    if not trainings:
        return None
    value = float(np.mean([np.mean([auc for auc, _ in group]) for group in trainings.values()]))
    drawn = [[draws for _, draws in group if draws is not None] for group in trainings.values()]
    if any(evidence.replicates is None for evidence in shown):
        return value, None, None
    draws = np.mean([np.mean(group, axis=0) for group in drawn], axis=0)
    return value, *auc_interval(value, draws, fewest_people(shown))


def _place(training: Training) -> tuple[list[int], list[int], str]:
    """Where a training stands: by its qualities from light to heavy, then by its methods; all of them come last."""

    def places(order: Sequence[str], names: Iterable[str]) -> list[int]:
        return [order.index(name) if name in order else len(order) for name in names] or [len(order) + 1]

    return places(COMPRESSIONS, training.compressions), places(METHODS, training.methods), training_words(training)


def _seeds(players: Sequence[Player]) -> list[str]:
    """How many seeds the players have, in words; nothing where none is a run."""
    numbers = sorted({len(player.seeds) for player in players if player.seeds})
    if len(numbers) > 1:
        return [f"{numbers[0]} to {numbers[-1]} seeds"]
    return [counted(number, "seed") for number in numbers]


def _over(what: Sequence[str]) -> str:
    return f"mean over {listed(what)}, " if what else ""
