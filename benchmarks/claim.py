"""What does the adversary buy? Every player for the same time, several seeds, tested on what it was not trained on.

    python benchmarks/claim.py MANIFEST OUT [SECONDS] [SEEDS] [METHOD] [PLAYER ...]

Trained on METHOD (default FaceSwap) at c23, tested on every method at c23 and c40. The rounds of each player are timed
first, and each then plays as many as fit into SECONDS of playing on one thread (default 75), with SEEDS seeds (default
5); as many runs at a time as there are cores. A run that is there already is kept, so that a call that was killed goes
on. OUT/report.html is the whole evaluation.
OUT/claim.json, also printed, has the rounds of each player and, for each subject, the mean video AUC over seeds
with its 95% interval, and the difference from plain training with its paired interval, over the same videos.
"""

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dfgame.config import AdversaryConfig, BlurConfig, DetectorConfig, EvaluateConfig, OptimizerConfig, TrainConfig
from dfgame.evaluate import evaluate_runs
from dfgame.files import write_json
from dfgame.jobs import run_jobs
from dfgame.metrics import interval
from dfgame.report.files import write_report
from dfgame.summary import Cell, RunEvidence
from dfgame.train import train_run

EPOCHS, TIMED_ROUNDS, TEST_FRAMES = 4, 6, 2
PLAIN = TrainConfig(
    game="none",
    compressions=("c23",),
    epochs=EPOCHS,
    batch_size=16,
    image_size=112,
    workers=0,
    average=0.95,
    val_images=60,
    snapshot_interval=1_000,
    hist_interval=1_000_000,
    optimizer=OptimizerConfig(lr=1e-3, schedule="cosine", warmup=20),
)
PLAYERS: dict[str, dict[str, Any]] = {
    "none": {},
    "random-blur": {"game": "random-blur"},
    "additive": {"game": "gradient", "adversary": AdversaryConfig(perturbation="additive")},
    "gradient": {"game": "gradient"},
    "generator": {"game": "generator", "adversary": AdversaryConfig(filters=16)},
    "gradient-late": {"game": "gradient", "adversary": AdversaryConfig(start=EPOCHS // 2)},
    "gradient-fake": {"game": "gradient", "adversary": AdversaryConfig(attacks="fake")},
    "gradient-bn2": {"game": "gradient", "detector": DetectorConfig(bn2=True)},
    "gradient-free": {"game": "gradient", "blur": BlurConfig(constraint="free")},
    "gradient-wide": {"game": "gradient", "blur": BlurConfig(constraint="free", window=7)},
}
"""The five that are compared by default, and settings to look for one in which the adversary helps."""
COMPARED = ("none", "random-blur", "additive", "gradient", "generator")


@dataclass(frozen=True)
class RunJob:
    """A run to train, on one thread."""

    manifest: Path
    run: Path
    config: TrainConfig


def main(
    manifest: Path, out: Path, seconds: float = 75, seeds: int = 5, method: str = "FaceSwap", *players: str
) -> None:
    """Time, train, evaluate, compare."""
    names = list(dict.fromkeys(("none", *(players or COMPARED))))
    rounds = _rounds(manifest, out, names, seconds, method)
    runs = [out / "runs" / f"{name}-{seed}" for seed in range(seeds) for name in names]
    jobs = []
    for run in runs:
        name, _, seed = run.name.rpartition("-")
        jobs.append(RunJob(manifest, run, _config(name, method, rounds[name], int(seed))))
    _train_all(jobs, workers=0)
    evaluation = evaluate_runs(
        runs, manifest, out, EvaluateConfig(checkpoint="last", frames=TEST_FRAMES, overwrite=True)
    )
    write_report(out, evaluation)
    by_player = {name: evaluation.runs[number :: len(names)] for number, name in enumerate(names)}
    found = {
        "rounds": rounds,
        "seeds": seeds,
        "seconds": seconds,
        "subjects": {title: _compared(by_player, cells) for title, cells in _subjects(by_player["none"], method)},
    }
    write_json(out / "claim.json", found)
    print(json.dumps(found, indent=2))


def _train_all(jobs: Sequence[RunJob], workers: int) -> list[float]:
    """Train all, each on one thread, so many at a time (0: one for each core); images a second of each job."""
    speeds = {}
    with contextlib.closing(run_jobs(_train, jobs, workers, "training")) as done:
        for job, speed in done:
            if isinstance(speed, Exception):
                raise speed
            speeds[job.run] = speed
            print(f"{job.run.name}: {job.config.rounds} rounds", file=sys.stderr, flush=True)
    return [speeds[job.run] for job in jobs]


def _train(job: RunJob) -> float:
    return train_run(job.manifest, job.run, replace(job.config, resume=job.run.exists()))["images_per_second"]


def _config(name: str, method: str, rounds: int, seed: int) -> TrainConfig:
    pairs = rounds // EPOCHS * PLAIN.batch_size // 2
    return replace(PLAIN, **PLAYERS[name], methods=(method,), epoch_pairs=pairs, seed=seed)


def _rounds(manifest: Path, out: Path, names: Sequence[str], seconds: float, method: str) -> dict[str, int]:
    """How many rounds of each player fit into the time; they are timed once, one player after the other."""
    timed = [replace(_config(name, method, EPOCHS * TIMED_ROUNDS, 0), val_images=2) for name in names]
    jobs = [RunJob(manifest, out / "timed" / name, config) for name, config in zip(names, timed, strict=True)]
    fit = [seconds * speed / PLAIN.batch_size for speed in _train_all(jobs, workers=1)]
    return {name: max(round(rounds) // EPOCHS, 1) * EPOCHS for name, rounds in zip(names, fit, strict=True)}


def _subjects(plain: Sequence[RunEvidence], method: str) -> list[tuple[str, list[Cell]]]:
    cells = list(plain[0].cells)
    qualities = sorted({cell.compression for cell in cells})
    subjects = [
        (f"{'trained on' if seen else 'unseen'} at {quality}", [c for c in cells if c.compression == quality])
        for quality in qualities
        for seen in (True, False)
    ]
    return [
        (title, [cell for cell in some if (cell.method == method) == title.startswith("trained")])
        for title, some in subjects
    ] + [(f"{cell.method} at {cell.compression}", [cell]) for cell in cells]


def _compared(by_player: dict[str, list[RunEvidence]], cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    draws = {
        name: np.mean([run.cells[cell].replicates for run in group for cell in cells], axis=0)
        for name, group in by_player.items()
    }
    by_seed = {
        name: [float(np.mean([run.cells[cell].result.auc for cell in cells])) for run in group]
        for name, group in by_player.items()
    }
    return {
        name: {
            "auc": float(np.mean(by_seed[name])),
            "interval": interval(draws[name]),
            "by_seed": by_seed[name],
            "ahead_of_none": float(np.mean(by_seed[name]) - np.mean(by_seed["none"])),
            "ahead_interval": interval(draws[name] - draws["none"]),
        }
        for name in by_player
    }


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), Path(given[1]), *map(float, given[2:3]), *map(int, given[3:4]), *given[4:])
