"""What does the adversary buy? Every player for the same time, several seeds, tested on what it was not trained on.

    python benchmarks/claim.py MANIFEST OUT [SECONDS] [SEEDS] [METHOD] [PLAYER ...]

Trained on METHOD (default FaceSwap) at c23, tested on every method at c23 and c40. The rounds of each player are timed
first, and each then plays as many as fit into SECONDS of playing (default 75), with SEEDS seeds (default 5). A run
that is there already is kept, so that a call that was killed goes on. OUT/report.html is the whole evaluation.
OUT/claim.json, also printed, has the rounds of each player and, for each subject, the mean video AUC over seeds
with its 95% interval, and the difference from plain training with its paired interval, over the same videos.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dfgame.config import AdversaryConfig, BlurConfig, DetectorConfig, EvaluateConfig, OptimizerConfig, TrainConfig
from dfgame.evaluate import evaluate_runs
from dfgame.files import read_json, write_json
from dfgame.memory import keep_freed_memory
from dfgame.metrics import interval
from dfgame.report import write_report
from dfgame.summary import Cell, RunEvidence
from dfgame.train import train_run

EPOCHS, TIMED_ROUNDS = 4, 6
PLAIN = TrainConfig(
    game="none",
    compressions=("c23",),
    epochs=EPOCHS,
    batch_size=16,
    image_size=112,
    average=0.95,
    val_images=300,
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


def main(
    manifest: Path, out: Path, seconds: float = 75, seeds: int = 5, method: str = "FaceSwap", *players: str
) -> None:
    """Time, train, evaluate, compare."""
    keep_freed_memory()
    names = list(dict.fromkeys(("none", *(players or COMPARED))))
    rounds = _rounds(manifest, out, names, seconds, method)
    runs = [out / "runs" / f"{name}-{seed}" for seed in range(seeds) for name in names]
    for run in runs:
        name, _, seed = run.name.rpartition("-")
        config = _config(name, method, rounds[name], int(seed))
        train_run(manifest, run, replace(config, resume=run.exists()))
        print(f"{run.name}: {rounds[name]} rounds", file=sys.stderr, flush=True)
    evaluation = evaluate_runs(runs, manifest, out, EvaluateConfig(checkpoint="last"))
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


def _config(name: str, method: str, rounds: int, seed: int) -> TrainConfig:
    pairs = rounds // EPOCHS * PLAIN.batch_size // 2
    return replace(PLAIN, **PLAYERS[name], methods=(method,), epoch_pairs=pairs, seed=seed)


def _rounds(manifest: Path, out: Path, names: Sequence[str], seconds: float, method: str) -> dict[str, int]:
    """How many rounds of each player fit into the time; once timed, the same ever after."""
    file = out / "rounds.json"
    known: dict[str, int] = read_json(file) if file.is_file() else {}
    for name in [name for name in names if name not in known]:
        run = out / "timed" / name
        config = replace(_config(name, method, 4 * TIMED_ROUNDS, 0), val_images=2, resume=run.exists())
        started = time.monotonic()
        record = train_run(manifest, run, config)
        speed = record.get("images_per_second") or config.rounds * 16 / (time.monotonic() - started)
        known[name] = max(round(seconds * speed / PLAIN.batch_size) // EPOCHS, 1) * EPOCHS
        write_json(file, known)
    return {name: known[name] for name in names}


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
