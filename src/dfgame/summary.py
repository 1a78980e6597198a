"""The evidence of every run -> a row a player, and what may be said of who did better.

A *player* is a game with its settings; runs of it that differ only in their seed are averaged. A *cell* is a
test method at a test compression. Nothing here reads files or scores images.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from dfgame.metrics import COVERAGE, Floats, Integers, Roc, auc_interval, fewest_of_a_class, mean_roc, paired_interval
from dfgame.outcomes import Account, Confusion, Gap, Group, Level, Pair
from dfgame.players import APART, Kind, Training
from dfgame.records import COMPRESSIONS, METHODS, Interval

HARDEST = "c40"
"""The heaviest compression of FaceForensics++, reported by itself."""
SEEN, UNSEEN, ALL_HARDEST = "methods trained on", "methods not trained on", f"all methods at {HARDEST}"
"""What means over several cells are of."""
FEWEST_PEOPLE = 20
"""Different people of each class from which an interval may carry a claim, however many videos there are of them.

How often intervals of AUCs and of differences hold the truth, `benchmarks/coverage.py` simulates; LOG.md has the
figures.
"""

Verdict = Literal["alone", "other videos", "too few people", "within the intervals", "seeds overlap", "supported"]


class Cell(NamedTuple):
    """What a detector is tested on."""

    method: str
    compression: str


@dataclass(frozen=True, slots=True)
class Result:
    """One detector on one cell at one level: a row of results.json and results.csv.

    `game` is the player, `run` the detector's name in this evaluation, `kind` what it is. Intervals are over people.
    What depends on a threshold is at `threshold`, which comes from `threshold_from`: "validation", "given" or
    "default". `log_loss` (nats) and `ece` take scores at their word; `cllr` is that of likelihood ratios fitted on
    validation videos, between their bounds, in bits, and `min_cllr` its least over all monotone maps; a single video's
    ratio (natural logarithm) is to be told between `llr_low` and `llr_high`, or not at all. What is not defined is
    None; `undefined` says why, measure by measure. `pooling` is how frames made the score, `frames` how many of each
    there were ("none" and empty where whole videos were scored), `seed` is None of what is no run, `crop` how the
    faces were cut out.
    """

    game: str
    train_method: str
    train_compression: str
    test_method: str
    test_compression: str
    level: Level
    auc: float
    auc_low: float | None
    auc_high: float | None
    ap: float
    eer: float
    accuracy: float | None
    n_real: int
    n_fake: int
    seed: int | None
    run: str = ""
    kind: Kind = "run"
    dataset: str = ""
    pooling: str = "mean"
    frames: str = ""
    crop: str = ""
    people: int = 0
    balanced_accuracy: float | None = None
    tpr_at_1_fpr: float | None = None
    tpr_at_5_fpr: float | None = None
    log_loss: float | None = None
    ece: float | None = None
    cllr: float | None = None
    min_cllr: float | None = None
    llr_low: float | None = None
    llr_high: float | None = None
    threshold: float | None = None
    threshold_from: str = ""
    undefined: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A detector on a cell: its row, the bootstrap replicates of its AUC, its ROC curve, and what these rest on.

    There are no replicates where there are too few people to draw from, and then no interval of anything they are in.
    An element a video (or what the level is): its name, its person, its class number, its score, and `llrs`, its
    natural log likelihood ratio of fake against real, fitted on validation videos; None where there were none.
    """

    result: Result
    replicates: Floats | None
    roc: Roc
    names: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    labels: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    scores: Floats = field(default_factory=lambda: np.empty(0))
    llrs: Floats | None = None


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """All cells of one detector, by video; `player` is what seeds share, `name` its own in this evaluation."""

    player: str
    training: Training
    seed: int | None
    cells: dict[Cell, Evidence]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A video-level AUC or a mean of several: mean of the seeds, 95% interval over people, if any, each seed's."""

    value: float
    low: float | None
    high: float | None
    by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Player:
    """A row of the table: runs of one game and training that differ only in their seed; or a detector without one."""

    name: str
    training: Training
    seeds: tuple[int, ...]
    cells: dict[Cell, Estimate | None]
    """Those that any player of the training has; None where one of this player's runs lacks it."""
    unseen: Estimate | None
    """Mean over the methods not trained on, at every compression tested; None where all players share none."""
    hardest: Estimate | None
    """Mean over all methods at `HARDEST`; None where all players share none."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Who did best on `subject` among the players of one training, and whether that may be said."""

    training: Training
    subject: str
    best: str
    estimate: Estimate
    verdict: Verdict
    rivals: tuple[tuple[str, float, float], ...]
    """The others: name, and the interval of how far `best` is ahead (paired over people, Bonferroni), if any."""
    fewest_people: int
    """Different people of the smaller class of the smallest cell compared."""


@dataclass(frozen=True, slots=True)
class Line:
    """A player's mean ROC curve at a compression over methods it was, or was not, trained on; None is not known."""

    player: str
    training: Training
    compression: str
    seen: bool | None
    fpr: Floats
    tpr: Floats


@dataclass(frozen=True)
class Evaluation:
    """All that an evaluation found; `card` says how, see `card.make_card`."""

    results: list[Result]
    runs: list[RunEvidence]
    players: list[Player]
    comparisons: list[Comparison]
    lines: list[Line]
    settings: dict[str, Any] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    accounting: list[Account] = field(default_factory=list)


def in_order(cells: Sequence[Cell]) -> list[Cell]:
    """Cells by compression from light to heavy, then by method; names of other data sets follow."""

    def place(names: tuple[str, ...], name: str) -> tuple[int, str]:
        kind = name.partition(APART)[0]
        return (names.index(kind) if kind in names else len(names), name)

    return sorted(set(cells), key=lambda cell: (place(COMPRESSIONS, cell.compression), place(METHODS, cell.method)))


def summarise(results: list[Result], runs: list[RunEvidence], settings: dict[str, Any]) -> Evaluation:
    """Average seeds, compare players, average ROC curves."""
    groups: dict[Training, dict[str, list[RunEvidence]]] = {}
    for run in runs:
        groups.setdefault(run.training, {}).setdefault(run.player, []).append(run)
    players, comparisons, lines = [], [], []
    for training, members in groups.items():
        cells = in_order([cell for group in members.values() for run in group for cell in run.cells])
        subjects = _subjects(training, _shared(members, cells))
        for name, group in members.items():
            players.append(_player(name, training, group, cells, subjects))
            lines += _lines(name, training, group)
        comparisons += [_compare(training, subject, cells, members) for subject, cells in subjects.items()]
    return Evaluation(results, runs, players, comparisons, lines, settings)


def _subjects(training: Training, shared: list[Cell]) -> dict[str, list[Cell]]:
    subjects = {
        UNSEEN: [cell for cell in shared if training.saw(cell.method) is False],
        HARDEST: [cell for cell in shared if cell.compression == HARDEST],
    }
    return {subject: cells for subject, cells in subjects.items() if cells}


def _shared(members: dict[str, list[RunEvidence]], cells: list[Cell]) -> list[Cell]:
    """The cells that every run has: only means over the same cells can be compared."""
    return [cell for cell in cells if all(cell in run.cells for group in members.values() for run in group)]


def _player(
    name: str,
    training: Training,
    group: list[RunEvidence],
    cells: list[Cell],
    subjects: dict[str, list[Cell]],
) -> Player:
    means = {subject: _estimate(group, cells) for subject, cells in subjects.items()}
    return Player(
        name,
        training,
        tuple(run.seed for run in group if run.seed is not None),
        {cell: _estimate(group, [cell]) if all(cell in run.cells for run in group) else None for cell in cells},
        means.get(UNSEEN),
        means.get(HARDEST),
    )


def mean_replicates(evidence: Iterable[Evidence]) -> Floats | None:
    """The bootstrap replicates of the mean AUC of several; None where one has none."""
    found = [one.replicates for one in evidence]
    there = [replicates for replicates in found if replicates is not None]
    return np.mean(there, axis=0) if len(there) == len(found) else None


def mean_interval(value: float, evidence: Sequence[Evidence]) -> Interval | None:
    """The interval over people of the mean AUC of several, which is `value`; None where one has no replicates."""
    replicates = mean_replicates(evidence)
    return None if replicates is None else auc_interval(value, replicates, fewest_people(evidence))


def fewest_people(cells: Iterable[Evidence]) -> int:
    """The different people of a class, of the cell and the class that have the fewest."""
    return min(fewest_of_a_class(cell.labels, cell.people) for cell in cells)


def _estimate(group: list[RunEvidence], cells: list[Cell]) -> Estimate:
    by_seed = [float(np.mean([run.cells[cell].result.auc for cell in cells])) for run in group]
    value = float(np.mean(by_seed))
    low, high = mean_interval(value, _evidence(group, cells)) or (None, None)
    return Estimate(value, low, high, tuple(by_seed))


def _evidence(group: list[RunEvidence], cells: list[Cell]) -> list[Evidence]:
    return [run.cells[cell] for run in group for cell in cells]


def _compare(training: Training, subject: str, cells: list[Cell], members: dict[str, list[RunEvidence]]) -> Comparison:
    """The best player is called so only if the videos and, where there are several, all seeds support it."""
    estimates = {name: _estimate(group, cells) for name, group in members.items()}
    best = max(estimates, key=lambda name: estimates[name].value)
    others = [name for name in members if name != best]
    coverage = 1 - (1 - COVERAGE) / max(len(others), 1)
    draws = {name: mean_replicates(_evidence(group, cells)) for name, group in members.items()}
    ahead = draws.pop(best)
    fewest = min(fewest_people(_evidence(group, cells)) for group in members.values())
    rivals = tuple(
        (name, *paired_interval(estimates[best].value - estimates[name].value, ahead - behind, fewest, coverage))
        for name, behind in draws.items()
        if ahead is not None and behind is not None
    )
    worst_seed = min(estimates[best].by_seed)
    if not others:
        verdict: Verdict = "alone"
    elif any(_tested_on(members, cell) > 1 for cell in cells):
        verdict = "other videos"
    elif fewest < FEWEST_PEOPLE:
        verdict = "too few people"
    elif any(low <= 0 for _, low, _ in rivals):
        verdict = "within the intervals"
    elif any(worst_seed <= max(estimates[name].by_seed) for name in others):
        verdict = "seeds overlap"
    else:
        verdict = "supported"
    return Comparison(training, subject, best, estimates[best], verdict, rivals, fewest)


def _tested_on(members: dict[str, list[RunEvidence]], cell: Cell) -> int:
    """How many sets of videos the runs scored of this cell: draws of two sets are not pairs."""
    return len({run.cells[cell].names for group in members.values() for run in group})


def _lines(name: str, training: Training, group: list[RunEvidence]) -> list[Line]:
    lines = []
    cells = in_order([cell for run in group for cell in run.cells])
    for compression in dict.fromkeys(cell.compression for cell in cells):
        for seen in (True, False, None):
            curves = [
                evidence.roc
                for run in group
                for cell, evidence in run.cells.items()
                if cell.compression == compression and training.saw(cell.method) is seen
            ]
            if curves:
                lines.append(Line(name, training, compression, seen, *mean_roc(curves)))
    return lines
