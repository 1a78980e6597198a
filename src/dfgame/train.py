"""The loop around rounds: schedule, validation, logs, checkpoints, resume.

Everything random in round k follows from (seed, k): batch, augmentation, dropout and the adversary's dice.
A run that is killed and resumed is therefore the run that was not killed.
"""

import importlib.metadata
import platform
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.utils.tensorboard.writer import SummaryWriter

from dfgame import __version__
from dfgame.adversaries import Adversary, make_adversary
from dfgame.augment import Augmentation
from dfgame.batches import Batch, RoundBatches, plainly, round_loader
from dfgame.checkpoint import (
    RUN_FILE,
    load_state,
    new_detector,
    save_state,
    save_weights,
    weights_path,
)
from dfgame.config import TrainConfig, to_dict
from dfgame.files import atomic_path, read_json, sha256, writable_folder, write_json
from dfgame.game import Round, play_round
from dfgame.jobs import console, progress_bar
from dfgame.manifest import check_leaks, read_manifest, select
from dfgame.models import Detector
from dfgame.pictures import adversarial_grid
from dfgame.records import LABELS, UserError
from dfgame.score import pick_device, score_crops

RECORDED_VERSIONS = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless")
FREE_TO_CHANGE = {"resume", "workers", "log_interval", "device"}
"""Settings that may differ between a run and its resumption: none of them changes the result's recipe."""


def train_run(manifest: Path, run: Path, config: TrainConfig) -> dict[str, Any]:
    """Train a detector on a manifest's train split; returns the record that is also RUN/run.json.

    The best checkpoint is the one with the highest frame-level AUC on the val split, at the methods and
    qualities trained on. The test split is never read.

    Raises:
        UserError: RUN holds another run, or the manifest has nothing to train on or leaks between splits.
    """
    table = read_manifest(manifest)
    check_leaks(table)
    record = _open_run(run, manifest, config)
    training = Training(run, config, record, table, manifest.parent)
    write_json(run / RUN_FILE, training.record)
    try:
        training.play()
    finally:
        training.close()
    return training.record


class Training:
    """One run of the game: what it holds between rounds, and how it goes through them."""

    def __init__(self, run: Path, config: TrainConfig, record: dict[str, Any], table: pa.Table, folder: Path) -> None:
        self.run, self.config, self.record = run, config, record
        rows = select(table, "train", config.methods, config.compressions)
        self._folder = folder
        self._val = _thinned(select(table, "val", config.methods, config.compressions), config)
        self._batches = RoundBatches(
            rows,
            folder,
            batch_size=config.batch_size,
            image_size=config.image_size,
            augmentation=Augmentation(config.augment),
            seed=config.seed,
        )
        self._device = pick_device(config.device)
        torch.manual_seed(config.seed)
        self.detector = new_detector(config.detector).to(self._device).to(memory_format=torch.channels_last)
        self.adversary = make_adversary(config.game, config.blur, config.adversary, config.optimizer)
        if self.adversary is not None:
            self.adversary.to(self._device).to(memory_format=torch.channels_last)
        self.optimizers = _optimizers(self.detector, self.adversary, config)
        self._schedules = [
            torch.optim.lr_scheduler.StepLR(o, config.optimizer.decay_epochs, config.optimizer.decay_factor)
            for o in self.optimizers.values()
        ]
        self._class_weights = _class_weights(rows).to(self._device) if config.optimizer.weighted else None
        self._first_round = self._load_state()
        self._log = SummaryWriter(str(run / "tensorboard"), purge_step=self._first_round)
        record["data"] |= _counts(rows, self._val)
        if len(set(self._val.column("label").to_pylist())) < 2:
            console.print(f"{run}: no real and fake crops in the val split, so the best checkpoint is the last")

    def play(self) -> None:
        """Play all rounds that are left."""
        rounds = range(self._first_round, self.config.rounds)
        if not rounds:
            console.print(f"{self.run}: already complete, {self.config.rounds} rounds")
            return
        per_epoch = self.config.rounds_per_epoch
        loader = plainly(round_loader(self._batches, rounds, self.config.workers))
        bar = progress_bar(zip(rounds, loader, strict=True), len(rounds), f"{self.config.game}: rounds")
        started, waited = time.monotonic(), 0.0
        for number, batch in bar:
            played = self._round(number, batch)
            if number % self.config.log_interval == 0:
                self._log_scalars(played, number)
            if (number + 1) % per_epoch == 0:
                before = time.monotonic()
                self._end_epoch((number + 1) // per_epoch, batch, played)
                waited += time.monotonic() - before
            elif (number + 1) % self.config.state_interval == 0:
                self._save_state(number + 1)
        seconds = time.monotonic() - started - waited
        self.record["images_per_second"] = round(len(rounds) * self.config.batch_size / seconds, 2)
        write_json(self.run / RUN_FILE, self.record)

    def close(self) -> None:
        """Flush the logs."""
        self._log.close()

    def _round(self, number: int, batch: Batch) -> Round:
        torch.manual_seed(_round_seed(self.config.seed, number))
        images = batch.images.to(self._device, memory_format=torch.channels_last)
        bf16 = self.config.precision == "bf16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16):
            return play_round(
                self.detector,
                self.optimizers["detector"],
                self.adversary,
                images,
                batch.labels.to(self._device),
                moves=self.config.adversary.moves,
                class_weights=self._class_weights,
            )

    def _end_epoch(self, epoch: int, batch: Batch, played: Round) -> None:
        for schedule in self._schedules:
            schedule.step()
        entry = {"epoch": epoch, **played.scalars, **self._validate()}
        self.record["history"].append(entry)
        score = entry.get("val_auc", float(epoch))
        is_best = score > self.record.get("best_score", float("-inf"))
        if is_best:
            self.record |= {"best_score": score, "best_epoch": epoch}
            save_weights(weights_path(self.run, "best"), self.detector)
        save_weights(weights_path(self.run, "last"), self.detector)
        if epoch % self.config.snapshot_interval == 0:
            save_weights(weights_path(self.run, f"epoch_{epoch:03d}"), self.detector)
        for name in ("val_auc", "val_loss"):
            if name in entry:
                self._log.add_scalar(name, entry[name], epoch * self.config.rounds_per_epoch)
        self._log_pictures(epoch, batch, played)
        self._save_state(epoch * self.config.rounds_per_epoch)
        write_json(self.run / RUN_FILE, self.record)

    def _validate(self) -> dict[str, float]:
        """Frame-level AUC and log loss on the val split; nothing where it lacks a class."""
        labels = np.array([LABELS.index(label) for label in self._val.column("label").to_pylist()])
        if len(set(labels)) < 2:
            return {}
        paths = [self._folder / path for path in self._val.column("path").to_pylist()]
        scores = score_crops(self.detector, paths, self.config.image_size, self.config.batch_size, self.config.workers)
        of_label = np.clip(np.where(labels == 1, scores, 1 - scores), 1e-12, 1)
        return {
            "val_auc": float(roc_auc_score(labels, scores)),
            "val_loss": float(-np.log(of_label).mean()),
        }

    def _log_scalars(self, played: Round, number: int) -> None:
        for name, value in played.scalars.items():
            self._log.add_scalar(name, value, number)
        for name, optimizer in self.optimizers.items():
            self._log.add_scalar(f"lr/{name}", optimizer.param_groups[0]["lr"], number)

    def _log_pictures(self, epoch: int, batch: Batch, played: Round) -> None:
        if played.perturbed is None:
            return
        grid = adversarial_grid(batch.images, played.perturbed)
        self._log.add_image("clean, adversarial, difference, sigma", grid, epoch, dataformats="HWC")
        with atomic_path(self.run / "pictures" / f"epoch_{epoch:03d}.png") as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(grid, cv2.COLOR_RGB2BGR))

    def _save_state(self, rounds_done: int) -> None:
        """Weights, optimisers, schedules and history, in one file, so that they always fit together."""
        save_state(
            self.run,
            {
                "rounds": rounds_done,
                "detector": self.detector.state_dict(),
                "adversary": self.adversary.state_dict() if self.adversary is not None else {},
                "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                "schedules": [schedule.state_dict() for schedule in self._schedules],
                "history": self.record["history"],
                "best": {k: self.record[k] for k in ("best_score", "best_epoch") if k in self.record},
            },
        )

    def _load_state(self) -> int:
        state = load_state(self.run) if self.config.resume else None
        if state is None:
            return 0
        self.detector.load_state_dict(state["detector"])
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for schedule, saved in zip(self._schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        self.record["history"] = state["history"]
        self.record |= state["best"]
        console.print(f"{self.run}: going on after round {state['rounds']:,} of {self.config.rounds:,}")
        return state["rounds"]


def _open_run(run: Path, manifest: Path, config: TrainConfig) -> dict[str, Any]:
    """The run's record: a new one, or the one to go on with, whose settings must be the same."""
    settings = to_dict(config)
    writable_folder(run, "RUN")
    path = run / RUN_FILE
    if path.is_file() and not config.resume:
        raise UserError(f"{run}: holds a run already", "go on with --resume, or choose another folder as RUN")
    if path.is_file():
        record = read_json(path)
        before = record["settings"]
        changed = [k for k in settings if k not in FREE_TO_CHANGE and before.get(k) != settings[k]]
        if changed:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
            raise UserError(
                f"{run}: was begun with other settings ({flags})",
                "give the same ones to go on, or choose another folder as RUN",
            )
        if record["data"]["manifest_sha256"] != sha256(manifest):
            raise UserError(
                f"{run}: was begun on another manifest than {manifest}",
                "go on with the same one, or choose another folder as RUN",
            )
        return record
    return {
        "version": __version__,
        "settings": settings,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in RECORDED_VERSIONS},
        "data": {"manifest": str(manifest), "manifest_sha256": sha256(manifest)},
        "history": [],
    }


def _optimizers(
    detector: Detector, adversary: Adversary | None, config: TrainConfig
) -> dict[str, torch.optim.Optimizer]:
    own = torch.optim.RAdam(detector.parameters(), lr=config.optimizer.lr, weight_decay=config.optimizer.weight_decay)
    return {"detector": own} | (adversary.optimizers() if adversary is not None else {})


def _class_weights(rows: pa.Table) -> Tensor:
    """Inverse frequency of each class among the rows, with mean 1."""
    labels = rows.column("label").to_pylist()
    inverse = torch.tensor([1 / max(labels.count(label), 1) for label in LABELS])
    return inverse / inverse.mean()


def _thinned(rows: pa.Table, config: TrainConfig) -> pa.Table:
    """At most `val_images` rows, spread evenly over the table, which is sorted by video."""
    if not config.val_images or rows.num_rows <= config.val_images:
        return rows
    return rows.take(np.linspace(0, rows.num_rows - 1, config.val_images).round().astype(int))


def _counts(train: pa.Table, val: pa.Table) -> dict[str, Any]:
    """How much there was to train on and to choose the best checkpoint by."""
    return {
        name: {
            "crops": rows.num_rows,
            "videos": len(rows.column("video").unique()),
            "identities": len(rows.column("identity").unique()),
        }
        for name, rows in (("train", train), ("val", val))
    }


def _round_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number, 1)).generate_state(1, np.uint64)[0] >> np.uint64(1))
