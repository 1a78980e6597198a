"""dfgame train."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import TrainConfig


def train(
    manifest: Path, run: Path, /, *, settings: Annotated[TrainConfig, Parameter(name="*")] = TrainConfig()
) -> int:
    """Train a detector in the adversarial game on the crops of MANIFEST; the result is the folder RUN.

    For example:

        dfgame train crops/manifest.parquet runs/plain --game none --methods Deepfakes --compressions c23

        dfgame train crops/manifest.parquet runs/game --game generator --adversary.moves 3 --resume

        dfgame train crops/manifest.parquet runs/ff --protocol ff-c23

    A protocol says what is trained on, validated on and tested on. Those that come with dfgame are the files in its
    folder dfgame/protocols; a copy with changes is one of your own, given by its path.

    Parameters
    ----------
    manifest: Path
        The table written by `dfgame extract`.
    run: Path
        Folder for checkpoints, settings and TensorBoard logs.
    settings: TrainConfig
        All settings.
    """
    from dfgame.train import train_run

    record = train_run(manifest, run, settings)
    if os.environ.get("RANK", "0") == "0":  # of several processes that torchrun started, one speaks
        best = record.get("best_epoch")
        print(f"{run}: {settings.rounds:,} rounds, best epoch {best}, {run / 'best.safetensors'}")
        if "images_per_second" in record:
            speed, waited = record["images_per_second"], record["waited_for_data"]
            print(f"{speed:.1f} clean images a second; {waited:.1%} of the time it waited for data")
    return 0
