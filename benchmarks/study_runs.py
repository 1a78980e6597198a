"""The study's runs: what each player is, how many rounds of it fit into the time, and their training."""

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from dfgame.checkpoint import open_run
from dfgame.config import (
    AdversaryConfig,
    BlurConfig,
    DetectorConfig,
    OptimizerConfig,
    TrainConfig,
)
from dfgame.files import read_json
from dfgame.jobs import console, run_jobs
from dfgame.runs import RUN_FILE
from dfgame.train import train_run

EPOCHS, TIMED_ROUNDS = 4, 6
TIMED_ON = "FaceSwap"
"""Rounds take the same time whatever is trained on."""
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
CLAMPED = BlurConfig(constraint="clamp")
"""Sigma at most one pixel, from where a gradient step can only sharpen."""
PLAYERS: dict[str, dict[str, Any]] = {
    "none": {},
    "random-blur": {"game": "random-blur"},
    "additive": {"game": "gradient", "adversary": AdversaryConfig(perturbation="additive")},
    "gradient": {"game": "gradient"},
    "generator": {"game": "generator", "adversary": AdversaryConfig(filters=16)},
    "gradient-fake": {"game": "gradient", "adversary": AdversaryConfig(attacks="fake")},
    "random-blur-norm": {"game": "random-blur", "blur": BlurConfig(constraint="norm")},
    "clamped": {"game": "gradient", "blur": CLAMPED},
    "clamped-late": {"game": "gradient", "blur": CLAMPED, "adversary": AdversaryConfig(start=EPOCHS // 2)},
    "clamped-mild": {"game": "gradient", "blur": CLAMPED, "adversary": AdversaryConfig(start=EPOCHS // 2, share=0.5)},
    "clamped-fake": {"game": "gradient", "blur": CLAMPED, "adversary": AdversaryConfig(attacks="fake")},
    "clamped-bn2": {"game": "gradient", "blur": CLAMPED, "detector": DetectorConfig(bn2=True)},
    "gradient-free": {"game": "gradient", "blur": BlurConfig(constraint="free")},
    "gradient-wide": {"game": "gradient", "blur": BlurConfig(constraint="free", window=7)},
}
"""The five that are compared by default, random blur as strong as the gradient player's, and settings to look for one
in which the adversary helps."""
COMPARED = ("none", "random-blur", "additive", "gradient", "generator")


class Named(NamedTuple):
    """A run of the study: the method it is trained on at c23, who plays, and its seed."""

    method: str
    player: str
    seed: int


@dataclass(frozen=True, slots=True)
class RunJob:
    """A run to train, on one thread."""

    manifest: Path
    run: Path
    config: TrainConfig


@dataclass(frozen=True, slots=True)
class Runs:
    """Where the study's runs are, and how they are trained: `shared` is what they have in common."""

    out: Path
    manifest: Path
    shared: TrainConfig
    rounds: dict[str, int]

    def path(self, run: Named) -> Path:
        """The folder of a run."""
        return self.out / "runs" / f"{run.method}-{run.player}-{run.seed}"

    def missing(self, runs: Iterable[Named]) -> list[Named]:
        """Those that are not trained to their end."""
        return [run for run in runs if not _ended(self.path(run))]

    def train(self, runs: Sequence[Named]) -> None:
        """Train those that are not there yet, as many at a time as there are cores.

        Raises:
            UserError: one that is there has other settings.
        """
        jobs = []
        for run in runs:
            config = config_of(self.shared, run.player, run.method, self.rounds[run.player], run.seed)
            if _ended(self.path(run)):
                open_run(self.path(run), self.manifest, replace(config, resume=True))
            else:
                jobs.append(RunJob(self.manifest, self.path(run), config))
        train_all(jobs, workers=0)


def config_of(shared: TrainConfig, player: str, method: str, rounds: int, seed: int) -> TrainConfig:
    """How a player is trained for so many rounds on a method."""
    pairs = rounds // EPOCHS * shared.batch_size // 2
    return replace(shared, **PLAYERS[player], methods=(method,), epoch_pairs=pairs, seed=seed)


def train_all(jobs: Sequence[RunJob], workers: int) -> list[float]:
    """Train all, each on one thread, so many at a time (0: one for each core); images a second of each job."""
    speeds = {}
    with contextlib.closing(run_jobs(_train, jobs, workers, "training")) as done:
        for job, speed in done:
            if isinstance(speed, Exception):
                raise speed
            speeds[job.run] = speed
            console.print(f"{job.run.name}: {job.config.rounds} rounds")
    return [speeds[job.run] for job in jobs]


def _train(job: RunJob) -> float:
    record = train_run(job.manifest, job.run, replace(job.config, resume=job.run.exists()))
    return record.get("images_per_second", 0.0)  # none where a run was killed between its last round and its last word


def timed_rounds(
    manifest: Path, out: Path, players: Sequence[str], seconds: float, shared: TrainConfig
) -> dict[str, int]:
    """How many rounds of each player fit into the time; they are timed once, one player after the other.

    A timing that was interrupted begins anew: what is left of one would be timed with its start. The first player is
    timed twice, and the first time does not count: a process's first rounds compile and make room for all.
    """
    rounds = EPOCHS * TIMED_ROUNDS
    timed = [replace(config_of(shared, player, TIMED_ON, rounds, 0), val_images=2) for player in players]
    jobs = [RunJob(manifest, out / "timed" / name, config) for name, config in zip(players, timed, strict=True)]
    for job in jobs:
        if not _ended(job.run):
            shutil.rmtree(job.run, ignore_errors=True)
    first = [replace(jobs[0], run=out / "timed" / "warm-up")] if any(not _ended(job.run) for job in jobs) else []
    shutil.rmtree(out / "timed" / "warm-up", ignore_errors=True)
    speeds = train_all([*first, *jobs], workers=1)[len(first) :]
    fit = [seconds * speed / shared.batch_size for speed in speeds]
    return {name: max(round(rounds) // EPOCHS, 1) * EPOCHS for name, rounds in zip(players, fit, strict=True)}


def speed_of(out: Path, player: str) -> float:
    """Images a second on one thread, as the player was timed."""
    return read_json(out / "timed" / player / RUN_FILE)["images_per_second"]


def _ended(run: Path) -> bool:
    return (run / RUN_FILE).is_file() and "images_per_second" in read_json(run / RUN_FILE)
