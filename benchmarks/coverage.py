"""Do 95% intervals of an AUC hold the truth 95 times of 100? Simulated evaluations with a known answer.

    python benchmarks/coverage.py [TRIALS] [REPLICATES] [SEED]

A detector's score of a video is the sum of an effect of the person, which the person's real video and the fakes on it
share, an effect of the video, and the mean of the effects of FRAMES frames; all normal, so that the AUC is known in
closed form. In each of TRIALS trials (default 1000) 30, 60 or 100 people are drawn, each with one real video and 1 or
4 fakes, and an interval is made of REPLICATES (default 1000) bootstrap replicates over people; SEED (default 0) gives
other trials. Printed is the share of the trials in which each kind of interval holds the true AUC: `percentile` is
`metrics.interval`, `logit` is `metrics.auc_interval`. One thread of numpy takes a few minutes.
"""

import sys
from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.stats import norm

from dfgame.metrics import Floats, Integers, auc_interval, interval, multiplicities

PEOPLE, FAKES, AUCS = (30, 60, 100), (1, 4), (0.75, 0.9, 0.97)
FRAMES = 4
PERSON, VIDEO, FRAME = 0.7, 0.6, 0.8
"""Standard deviations of the effects of persons, of videos and of frames."""
FRESH = 50
"""Trials that share their draws of people."""


def samples(
    people: int, fakes: int, auc: float, trials: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """The scores of each trial: (people,) of the real videos, (people, fakes) of the fakes."""
    spread = np.hypot(VIDEO, FRAME / np.sqrt(FRAMES))
    apart = norm.ppf(auc) * np.sqrt(2) * np.hypot(PERSON, spread)
    for _ in range(trials):
        person = PERSON * rng.normal(size=(people, 1))
        scores = person + spread * rng.normal(size=(people, 1 + fakes))
        yield scores[:, 0], scores[:, 1:] + apart


def replicates_of(real: Floats, fake: Floats, draws: Integers) -> tuple[float, Floats]:
    """The AUC, and its replicates; what `people_bootstrap` gives, without sorting names again for every trial."""
    won = (real[:, None, None] < fake).sum(axis=2, dtype=np.float32)
    pairs = real.size * fake.size
    return float(won.sum() / pairs), ((draws @ won) * draws).sum(axis=1, dtype=np.float64) / pairs


def coverage(people: int, fakes: int, auc: float, trials: int, replicates: int, seed: int) -> dict[str, float]:
    """The share of intervals of each kind that hold the truth."""
    rng = np.random.default_rng([people, fakes, round(1000 * auc), seed])
    held = {"percentile": 0, "logit": 0}
    draws = np.empty((0, 0), np.float32)
    for trial, (real, fake) in enumerate(samples(people, fakes, auc, trials, rng)):
        if trial % FRESH == 0:
            names = [f"person {number}" for number in range(people)]
            draws = multiplicities(names, replicates, trials * seed + trial).astype(np.float32)
        found, drawn = replicates_of(real, fake, draws)
        for kind, (low, high) in (("percentile", interval(drawn)), ("logit", auc_interval(found, drawn, people))):
            held[kind] += low <= auc <= high
    return {kind: count / trials for kind, count in held.items()}


def main(trials: int = 1000, replicates: int = 1000, seed: int = 0) -> None:
    print("people  fakes each  AUC   percentile  logit")
    for people, fakes, auc in product(PEOPLE, FAKES, AUCS):
        shares = coverage(people, fakes, auc, trials, replicates, seed)
        print(f"{people:6}  {fakes:10}  {auc:.2f}  {shares['percentile']:10.1%}  {shares['logit']:.1%}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
