"""Do 95% intervals hold the truth 95 times of 100? Simulated evaluations with a known answer.

    python benchmarks/coverage.py [TRIALS] [REPLICATES] [SEED]

A detector's score of a video is the sum of an effect of the person, which the person's real video and the fakes on it
share, an effect of the video, and the mean of the effects of FRAMES frames; all normal, so that the AUC is known in
closed form. In each of TRIALS trials (default 1000) 5 to 100 people are drawn, each with one real video and 1 or
4 fakes, and an interval is made of REPLICATES (default 1000) bootstrap replicates over people; SEED (default 0) gives
other trials. Printed is the share of the trials in which each kind of interval holds the truth:

- `percentile`, `logit`: of the AUC, the percentiles of its replicates and `metrics.auc_interval`; `apart` is the
  share of the trials in which all fakes score higher than all real ones, so that replicates do not vary;
- `paired`: of the difference, 0, of two detectors as good as each other that agree in half of every effect, by
  `metrics.paired_interval`, on which `summary` rests who did best; `worse`: the same where the second one's AUC is
  0.1 lower; `middle`: of the former, the percentiles of its replicates;
- `missed`, `difference`: of the share of fakes below a threshold, one in ten, by `metrics.share_interval`, and of how
  far it is from that of a second group of as many people, one in five, by `metrics.difference_interval`.

One thread of numpy takes a few minutes.
"""

import sys
from itertools import product

import numpy as np
from scipy.stats import norm

from dfgame.metrics import (
    Floats,
    Integers,
    auc_interval,
    difference_interval,
    multiplicities,
    paired_interval,
    share_interval,
)

PEOPLE, FAKES, AUCS = (5, 10, 20, 30, 60, 100), (1, 4), (0.75, 0.9, 0.97)
FRAMES = 4
PERSON, VIDEO, FRAME = 0.7, 0.6, 0.8
"""Standard deviations of the effects of persons, of videos and of frames."""
WORSE = 0.1
"""How much lower the AUC of the worse detector is."""
KINDS = ("percentile", "logit", "apart", "paired", "worse", "middle")
FRESH = 50
"""Trials that share their draws of people."""


SPREAD = np.hypot(VIDEO, FRAME / np.sqrt(FRAMES))
"""Standard deviation of a video's score about its person's effect."""
MISSED = (0.1, 0.2)
"""The shares of fakes missed in the two groups."""


def effects(people: int, fakes: int, rng: np.random.Generator) -> Floats:
    """(people, 1 + fakes): what the scores of each person's real video and of the fakes on it vary by."""
    return PERSON * rng.normal(size=(people, 1)) + SPREAD * rng.normal(size=(people, 1 + fakes))


def replicates_of(scores: Floats, draws: Integers) -> tuple[float, Floats]:
    """The AUC, and its replicates; what `people_bootstrap` gives, without sorting names again for every trial."""
    real, fake = scores[:, 0], scores[:, 1:]
    won = (real[:, None, None] < fake).mean(axis=2, dtype=np.float32)
    pairs = draws.sum(axis=1, dtype=np.float64) ** 2
    with np.errstate(invalid="ignore"):
        return float(won.mean()), ((draws @ won) * draws).sum(axis=1, dtype=np.float64) / pairs


def percentiles(replicates: Floats) -> tuple[float, float]:
    """The middle 95% of bootstrap replicates."""
    low, high = np.nanquantile(replicates, [0.025, 0.975])
    return float(low), float(high)


def coverage(people: int, fakes: int, auc: float, trials: int, replicates: int, seed: int) -> dict[str, float]:
    """The share of intervals of an AUC, and of a difference of two, of each kind that hold the truth."""
    rng = np.random.default_rng([people, fakes, round(1000 * auc), seed])
    truths = np.array([auc, auc, auc - WORSE])
    apart = np.outer(norm.ppf(truths) * np.sqrt(2) * np.hypot(PERSON, SPREAD), np.arange(1 + fakes) > 0)
    held = dict.fromkeys(KINDS, 0)
    draws = np.empty((0, 0), np.float32)
    for trial in range(trials):
        if trial % FRESH == 0:
            names = [f"person {number}" for number in range(people)]
            draws = multiplicities(names, replicates, trials * seed + trial).astype(np.float32)
        both, *own = (effects(people, fakes, rng) for _ in range(3))
        shifts = zip((own[0], own[1], own[1]), apart, strict=True)
        measured = [replicates_of((both + one) / np.sqrt(2) + shift, draws) for one, shift in shifts]
        (found, drawn), (other, others), (lower, lowers) = measured
        intervals = {
            "percentile": (percentiles(drawn), auc),
            "logit": (auc_interval(found, drawn, people), auc),
            "paired": (paired_interval(found - other, drawn - others, people, perfect=found == other == 1), 0),
            "worse": (paired_interval(found - lower, drawn - lowers, people), WORSE),
            "middle": (percentiles(drawn - others), 0),
        }
        for kind, ((low, high), truth) in intervals.items():
            held[kind] += low <= truth <= high
        held["apart"] += found == 1
    return {kind: count / trials for kind, count in held.items()}


def coverage_of_shares(people: int, fakes: int, trials: int, seed: int) -> dict[str, float]:
    """The share of intervals of the fakes missed, and of the difference of two groups, that hold the truth."""
    rng = np.random.default_rng([people, fakes, seed])
    held = {"missed": 0, "difference": 0}
    for _ in range(trials):
        scores = (effects(people, fakes, rng)[:, 1:] / np.hypot(PERSON, SPREAD) for _ in MISSED)
        found = [float((norm.cdf(one) < truth).mean()) for one, truth in zip(scores, MISSED, strict=True)]
        one, other = (share_interval(share, people) for share in found)
        low, high = difference_interval(found[0], one, found[1], other)
        held["missed"] += one[0] <= MISSED[0] <= one[1]
        held["difference"] += low <= MISSED[0] - MISSED[1] <= high
    return {kind: count / trials for kind, count in held.items()}


def main(trials: int = 1000, replicates: int = 1000, seed: int = 0) -> None:
    print("people  fakes each  AUC   " + "  ".join(KINDS))
    for people, fakes, auc in product(PEOPLE, FAKES, AUCS):
        shares = coverage(people, fakes, auc, trials, replicates, seed)
        told = "  ".join(f"{shares[kind]:{len(kind)}.1%}" for kind in KINDS)
        print(f"{people:6}  {fakes:10}  {auc:.2f}  {told}", flush=True)
    print("people  fakes each  missed  difference")
    for people, fakes in product(PEOPLE, FAKES):
        shares = coverage_of_shares(people, fakes, trials, seed)
        print(f"{people:6}  {fakes:10}  {shares['missed']:6.1%}  {shares['difference']:.1%}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
