"""The study's runs -> what each player gains over plain training: means, and intervals over people and over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from dfgame.metrics import Floats, auc_interval, paired_interval
from dfgame.records import COVERAGE, UserError
from dfgame.summary import FEWEST_PEOPLE, Cell, RunEvidence, fewest_people

PLAIN = "none"
_SEEN, _UNSEEN = "trained on at ", "unseen at "
Groups = dict[str, list[RunEvidence]]
"""The runs of each player, all with the same seeds in the same order."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of video-level AUCs: of each seed, its bootstrap replicates, and the people of its smallest class."""

    by_seed: Floats
    draws: Floats
    fewest_people: int

    def ahead_of(self, other: "Mean") -> "Mean":
        """The paired difference, over the same seeds and the same resampled videos."""
        fewest = min(self.fewest_people, other.fewest_people)
        return Mean(self.by_seed - other.by_seed, self.draws - other.draws, fewest)

    def interval(self, coverage: float = COVERAGE) -> tuple[float, float]:
        """Over people, of a paired difference."""
        return paired_interval(float(self.by_seed.mean()), self.draws, self.fewest_people, coverage)


def mean_of(runs: Sequence[RunEvidence], cells: Sequence[Cell]) -> Mean:
    """The mean over cells of runs that differ only in their seed."""
    results = [[run.cells[cell].result for cell in cells] for run in runs]
    by_seed = np.array([np.mean([result.auc for result in row]) for row in results])
    replicates = [run.cells[cell].replicates for run in runs for cell in cells]
    if any(one is None for one in replicates):
        raise UserError("fewer than two people of a class are tested on", "give crops of more people")
    draws = np.mean(replicates, axis=0)
    return Mean(by_seed, draws, fewest_people(run.cells[cell] for run in runs for cell in cells))


def pooled(means: Sequence[Mean]) -> Mean:
    """The mean over trainings, seed by seed and replicate by replicate."""
    by_seed = np.mean([mean.by_seed for mean in means], axis=0)
    draws = np.mean([mean.draws for mean in means], axis=0)
    return Mean(by_seed, draws, min(mean.fewest_people for mean in means))


def main_subjects(cells: Sequence[Cell], method: str) -> dict[str, list[Cell]]:
    """What is asked of detectors trained on a method: how good on it, and on the others, at each quality."""
    found = {}
    for quality in sorted({cell.compression for cell in cells}):
        for title, seen in ((f"{_SEEN}{quality}", True), (f"{_UNSEEN}{quality}", False)):
            chosen = [cell for cell in cells if cell.compression == quality and (cell.method == method) == seen]
            if chosen:
                found[title] = chosen
    return found


def subjects(cells: Sequence[Cell], method: str) -> dict[str, list[Cell]]:
    """The main subjects, and each method at each quality by itself."""
    return main_subjects(cells, method) | {f"{cell.method} at {cell.compression}": [cell] for cell in cells}


def compared(means: dict[str, Mean], plain: str = PLAIN) -> dict[str, dict[str, Any]]:
    """Each player's mean and how far it is ahead of `plain`, plain training, with both kinds of interval.

    `ahead_supported` says whether both intervals, with Bonferroni's correction for the number of players beside plain
    training, leave out 0 on the same side, over enough people.
    """
    rivals = max(len(means) - 1, 1)
    return {name: _entry(mean, means[plain], rivals) for name, mean in means.items()}


def _entry(mean: Mean, plain: Mean, rivals: int) -> dict[str, Any]:
    ahead = mean.ahead_of(plain)
    return {
        "auc": float(mean.by_seed.mean()),
        "interval": auc_interval(float(mean.by_seed.mean()), mean.draws, mean.fewest_people),
        "by_seed": mean.by_seed.tolist(),
        "ahead_of_none": float(ahead.by_seed.mean()),
        "ahead_interval": ahead.interval(),
        "ahead_by_seed": ahead.by_seed.tolist(),
        "ahead_seed_interval": seed_interval(ahead.by_seed),
        "ahead_supported": supported(ahead, rivals),
    }


def gap(better: Mean, worse: Mean) -> dict[str, Any]:
    """How much is lost from one subject to another, by the same detectors."""
    lost = better.ahead_of(worse)
    return {
        "lost": float(lost.by_seed.mean()),
        "interval": lost.interval(),
        "seed_interval": seed_interval(lost.by_seed),
        "supported": supported(lost, 1),
    }


def seed_interval(differences: Floats, coverage: float = COVERAGE) -> tuple[float, float] | None:
    """Student's interval of the mean over seeds; None for a single seed, which says nothing of others."""
    if len(differences) < 2:
        return None
    half = float(stats.t.ppf((1 + coverage) / 2, len(differences) - 1) * stats.sem(differences))
    middle = float(np.mean(differences))
    return middle - half, middle + half


def supported(difference: Mean, comparisons: int) -> bool:
    """Whether a difference may be called one: videos and seeds both say so, at 5% over so many comparisons."""
    coverage = 1 - (1 - COVERAGE) / comparisons
    over_seeds = seed_interval(difference.by_seed, coverage)
    if over_seeds is None or difference.fewest_people < FEWEST_PEOPLE:
        return False
    both = (difference.interval(coverage), over_seeds)
    return all(low > 0 for low, _ in both) or all(high < 0 for _, high in both)


def analyse(trainings: dict[str, Groups]) -> dict[str, Any]:
    """All comparisons: by training method, pooled over those where there are several, and what each player loses.

    Args:
        trainings: by the method trained on, the runs of each player; plain training, `none`, is among them.
    """
    means: dict[str, dict[str, dict[str, Mean]]] = {}
    by_training = {}
    for method, groups in trainings.items():
        cells = list(groups[PLAIN][0].cells)
        of_all = {
            title: {player: mean_of(runs, chosen) for player, runs in groups.items()}
            for title, chosen in subjects(cells, method).items()
        }
        by_training[method] = {title: compared(of_title) for title, of_title in of_all.items()}
        means[method] = {title: of_all[title] for title in main_subjects(cells, method)}
    shared = [title for title in next(iter(means.values())) if all(title in of_method for of_method in means.values())]
    everywhere = [player for player in next(iter(trainings.values())) if all(player in g for g in trainings.values())]
    over_all = {
        title: {player: pooled([of_method[title][player] for of_method in means.values()]) for player in everywhere}
        for title in shared
    }
    return {
        "trainings": by_training,
        "pooled": {title: compared(of_title) for title, of_title in over_all.items()},
        "gaps": {player: _gaps(over_all, player) for player in everywhere},
    }


def _gaps(over_all: dict[str, dict[str, Mean]], player: str) -> dict[str, Any]:
    """What a player loses on forgeries it was not trained on, and on these from one quality to the next."""
    unseen = {title.removeprefix(_UNSEEN): title for title in over_all if title.startswith(_UNSEEN)}
    found = {}
    for quality, title in unseen.items():
        seen = f"{_SEEN}{quality}"
        if seen in over_all:
            path = f"from the forgery trained on to the others, at {quality}"
            found[path] = gap(over_all[seen][player], over_all[title][player])
    for before, after in pairwise(unseen):
        path = f"on the other forgeries, from {before} to {after}"
        found[path] = gap(over_all[unseen[before]][player], over_all[unseen[after]][player])
    return found
