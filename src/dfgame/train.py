"""The loop around rounds: schedule, validation, logs, checkpoints, resume.

Everything random in round k follows from (seed, k): batch, augmentation, dropout and the adversary's dice. A run
that is killed and resumed is therefore the run that was not killed, on the processor bit for bit.
"""

import contextlib
import copy
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from dfgame.adversaries import Adversary, make_adversary, make_optimizer, rate_factor
from dfgame.augment import Augmentation, diff_augment
from dfgame.batches import Batch, RoundBatches, forger_of, plainly, round_loader
from dfgame.checkpoint import (
    ADVERSARY_FILE,
    RERENDERER_FILE,
    load_state,
    load_weights,
    new_detector,
    open_run,
    record_what_plays,
    save_state,
    save_weights,
    weights_path,
)
from dfgame.config import TrainConfig, pairs_of
from dfgame.curves import Curves
from dfgame.files import held_folder, write_json
from dfgame.footage import Footage
from dfgame.forgery.live import Forger
from dfgame.game import Round, play_round
from dfgame.jobs import Clock, console, progress_bar
from dfgame.memory import keep_freed_memory
from dfgame.metrics import video_means
from dfgame.models import Detector, class_names, follow, share_batch_norms
from dfgame.processes import Processes
from dfgame.records import LABELS, METHODS, UserError
from dfgame.rows import TrainingRows, training_rows
from dfgame.runs import RUN_FILE
from dfgame.score import pick_device, score_crops


def train_run(manifest: Path, run: Path, config: TrainConfig) -> dict[str, Any]:
    """Train a detector on a manifest's train split; returns the record that is also RUN/run.json.

    The best checkpoint is the one with the highest AUC on the val split, of frames or of videos (`val_level`), at the
    methods and qualities trained on, or on the protocol's validation set. What is tested on is never read. Started by
    `accelerate launch` or torchrun, all processes train the one detector.

    Raises:
        UserError: RUN holds another run or is being written, or the manifest has nothing to train on or leaks between
            splits.
    """
    keep_freed_memory()
    processes = Processes(pick_device(config.device))
    rows = training_rows(manifest, config)
    with contextlib.ExitStack() as ends:
        processes.first(lambda: ends.enter_context(held_folder(run, "RUN")))
        record = processes.first(lambda: open_run(run, manifest, config, rows.protocol))
        training = Training(run, config, record, rows, manifest.parent, processes)
        ends.callback(training.close)
        training.play()
    return training.record


class Training:
    """One run of the game: what it holds between rounds, and how it goes through them."""

    def __init__(
        self,
        run: Path,
        config: TrainConfig,
        record: dict[str, Any],
        rows: TrainingRows,
        folder: Path,
        processes: Processes,
    ) -> None:
        self.run, self.config, self.record = run, config, record
        self._processes, self._folder = processes, folder
        _check_shares(config, processes.count)
        self._val = rows.val
        self._batches = RoundBatches(
            rows.train,
            folder,
            batch_size=config.batch_size,
            image_size=config.image_size,
            augmentation=Augmentation(config.augment),
            seed=config.seed,
            classes=class_names(config.detector.multi),
            sampling=config.sampling,
            shard=(processes.index, processes.count),
            block=config.accumulate,
            forger=processes.first(lambda: self._forger(rows)) if config.live.families else None,
            footage=Footage(config.footage) if config.footage.chance else None,
        )
        self._layout = torch.channels_last if config.channels_last else torch.contiguous_format
        torch.manual_seed(config.seed)
        state = load_state(run) if config.resume else None
        fresh = new_detector(config.detector if state is None else replace(config.detector, pretrained=False))
        self._average = copy.deepcopy(fresh) if config.average else None
        self.detector = self._placed(fresh)
        if self._average is not None:
            self._average.to(processes.device).to(memory_format=self._layout)
        if config.detector.bn2 and not self.detector.has_auxiliary_norms:
            raise UserError(
                f"--detector.bn2: {config.detector.backbone} has no BatchNorm to split", "leave out --detector.bn2"
            )
        self.adversary = make_adversary(config)
        if self.adversary is not None:
            if config.adversary.weights and state is None:
                load_weights(Path(config.adversary.weights), self.adversary)
            self._placed(self.adversary)
        self.optimizers = _optimizers(self.detector, self.adversary, config)
        for optimizer in self.optimizers.values():
            processes.average_gradients(optimizer)
        self._rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in self.optimizers.items()}
        self._class_weights = None
        if config.optimizer.weighted:
            self._class_weights = _class_weights(rows.train, config.sampling).to(processes.device)
        self._first_round = self._take(state)
        self._curves: Curves | None = None
        record["data"] |= rows.facts
        self._say_what_is_odd()

    def _forger(self, rows: TrainingRows) -> Forger:
        network = self.run / RERENDERER_FILE
        return forger_of(rows.train, self._folder, self.config.live, network, self.config.seed)

    def _placed(self, module: Any) -> Any:
        """On the device, in the memory layout that was asked for, compiled and sharing statistics if asked for."""
        module.to(self._processes.device, memory_format=self._layout)
        if self.config.sync_bn:
            share_batch_norms(module)
        if self.config.compile:
            torch._dynamo.config.suppress_errors = True  # plainly, where there is no compiler
            networks = (
                [module.backbone] if isinstance(module, Detector) else getattr(module, "generators", {}).values()
            )
            for network in networks:
                network.compile()
        return module

    def _say_what_is_odd(self) -> None:
        if len(set(self._val.column("label").to_pylist())) < 2:
            self._say("no real and fake crops in the val split, so the best checkpoint is the last")
        if self.config.sync_bn and self._processes.count == 1:
            self._say("--sync-bn changes nothing: there is one process")

    def _say(self, what: str) -> None:
        if self._processes.is_main:
            console.print(f"{self.run}: {what}", soft_wrap=True)

    def play(self) -> None:
        """Play all rounds that are left."""
        rounds = range(self._first_round, self.config.rounds)
        if not rounds:
            self._say(f"already complete, {self.config.rounds} rounds")
            if self._processes.is_main:
                write_json(self.run / RUN_FILE, self.record)
            return
        changed = record_what_plays(self.record, self._first_round, self._processes.count, self._processes.device.type)
        if changed:
            self._say(f"goes on with {changed}: not the run bit for bit that it would have been")
        if self._processes.is_main:
            write_json(self.run / RUN_FILE, self.record)
            self._curves = Curves(self.run, self._first_round)
        clock = Clock()
        loader = clock.waits(plainly(round_loader(self._batches, rounds, self.config.workers)))
        with contextlib.closing(self._bar(zip(rounds, loader, strict=True), len(rounds))) as bar:
            for number, batch in bar:
                self._play_one(number, batch, clock)
        self.record["images_per_second"] = round(len(rounds) * self.config.batch_size / clock.working(), 2)
        self.record["waited_for_data"] = round(clock.waited / clock.working(), 4)
        if self._processes.is_main:
            write_json(self.run / RUN_FILE, self.record)

    def close(self) -> None:
        """Flush the logs."""
        if self._curves is not None:
            self._curves.close()

    def _bar(self, items: Iterable[Any], total: int) -> Any:
        if not self._processes.is_main:
            return (item for item in items)
        return progress_bar(items, total, f"{self.config.game}: rounds")

    def _play_one(self, number: int, batch: Batch, clock: Clock) -> None:
        """One round, and what is due after it."""
        played = self._round(number, batch)
        if self._average is not None:
            follow(self._average, self.detector, min(self.config.average, (1 + number) / (10 + number)))
        if not all(math.isfinite(value) for value in played.scalars.values()):
            raise self._diverged(f"the loss is no longer a number in round {number:,}")
        is_logged, ends_epoch = (
            number % self.config.log_interval == 0,
            (number + 1) % self.config.rounds_per_epoch == 0,
        )
        if is_logged or ends_epoch:
            played = played._replace(scalars=self._processes.mean(played.scalars))
        if self._curves is not None and is_logged:
            rates = {f"lr/{name}": o.param_groups[0]["lr"] for name, o in self.optimizers.items()}
            self._curves.scalars(played.scalars | rates, number)
        if self._curves is not None and number % self.config.hist_interval == 0:
            players = {"detector": self.detector, "adversary": self.adversary}
            self._curves.histograms(played, players, number)
        if ends_epoch:
            with clock.stopped():
                self._end_epoch((number + 1) // self.config.rounds_per_epoch, played)
        elif (number + 1) % self.config.state_interval == 0:
            self._save_state(number + 1)

    def _diverged(self, how: str) -> UserError:
        return UserError(f"{self.run}: {how}", "try a lower --optimizer.lr; what was saved before is untouched")

    def _round(self, number: int, batch: Batch) -> Round:
        torch.manual_seed(_round_seed(self.config.seed, number, self._processes.index))
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._rates[name] * rate_factor(self.config, number)
        enters = self.config.adversary.start * self.config.rounds_per_epoch
        if not self.config.sync_bn:
            self._processes.same_buffers(self.detector)
        if number == enters:
            self.detector.match_batch_norms()
        device = self._processes.device
        images = batch.images.to(device).contiguous(memory_format=self._layout)
        bf16 = self.config.precision == "bf16"
        # Without the cache of cast weights: they change within a round, at each of the adversary's moves.
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
            return play_round(
                self.detector,
                self.optimizers["detector"],
                self.adversary if number >= enters else None,
                images,
                batch.labels.to(device),
                moves=self.config.adversary.moves,
                share=self.config.adversary.share,
                parts=self.config.accumulate,
                permute=self.config.permute,
                augment_after=diff_augment if self.config.augment.after else None,
                class_weights=self._class_weights,
            )

    @property
    def _result(self) -> Detector:
        """What the run is about: the detector, or the average of what it was."""
        return self.detector if self._average is None else self._average

    def _end_epoch(self, epoch: int, played: Round) -> None:
        self._processes.same_buffers(self.detector)
        if self._average is not None:
            self._processes.same_buffers(self._average)
        if self.adversary is not None:
            self._processes.same_buffers(self.adversary)
        entry = {"epoch": epoch, **played.scalars, **self._validate()}
        self.record["history"].append(entry)
        score = entry.get("val_auc", float(epoch))
        is_best = score > self.record.get("best_score", float("-inf"))
        if is_best:
            self.record |= {"best_score": score, "best_epoch": epoch}
        if not self._processes.is_main:
            return
        names = ["last"]
        names += ["best"] if is_best else []
        names += [f"epoch_{epoch:03d}"] if epoch % self.config.snapshot_interval == 0 else []
        for name in names:
            save_weights(weights_path(self.run, name), self._result)
        if self.config.game == "generator" and self.adversary is not None:
            save_weights(self.run / ADVERSARY_FILE, self.adversary)
        last_round = epoch * self.config.rounds_per_epoch - 1
        if self._curves is not None:
            self._curves.scalars({k: entry[k] for k in ("val_auc", "val_loss") if k in entry}, last_round)
            self._curves.pictures(played, self.adversary, epoch, last_round)
        self._save_state(last_round + 1)
        write_json(self.run / RUN_FILE, self.record)

    def _validate(self) -> dict[str, float]:
        """AUC and log loss on the val split, of frames or of videos; nothing where it lacks a class."""
        labels = [LABELS.index(label) for label in self._val.column("label").to_pylist()]
        if len(set(labels)) < 2:
            return {}
        config, names = self.config, self._val.column("video").to_pylist()
        paths = [self._folder / path for path in self._processes.shares(self._val.column("path").to_pylist())]
        own = score_crops(self._result, paths, config.image_size, config.batch_size, config.workers)
        scores = np.array(self._processes.gather(own.tolist()))
        if not np.isfinite(scores).all():
            raise self._diverged("its scores of the val split are no longer numbers")
        if config.val_level == "video":
            of_video = dict(zip(names, labels, strict=True))
            videos, scores = video_means(names, scores)
            labels = [of_video[name] for name in videos]
        truth = np.array(labels)
        of_label = np.clip(np.where(truth == 1, scores, 1 - scores), 1e-12, 1)
        return {
            "val_auc": float(roc_auc_score(truth, scores)),
            "val_loss": float(-np.log(of_label).mean()),
        }

    def _save_state(self, rounds_done: int) -> None:
        """Weights, their average, optimisers and history, in one file, so that they always fit together."""
        if not self._processes.is_main:
            return
        if self._curves is not None:
            self._curves.flush()
        save_state(
            self.run,
            {
                "rounds": rounds_done,
                "detector": self.detector.state_dict(),
                "average": self._average.state_dict() if self._average is not None else {},
                "adversary": self.adversary.state_dict() if self.adversary is not None else {},
                "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                "history": self.record["history"],
                "best": {k: self.record[k] for k in ("best_score", "best_epoch") if k in self.record},
            },
        )

    def _take(self, state: dict[str, Any] | None) -> int:
        """Go on from a state, or begin where there is none; returns the first round to play."""
        if state is None:
            self.record["history"] = []
            self.record.pop("best_score", None)
            self.record.pop("best_epoch", None)
            return 0
        self.detector.load_state_dict(state["detector"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.record["history"] = state["history"]
        self.record |= state["best"]
        self._say(f"going on after round {state['rounds']:,} of {self.config.rounds:,}")
        return state["rounds"]


def _check_shares(config: TrainConfig, processes: int) -> None:
    if config.batch_size // 2 % (processes * config.accumulate):
        raise UserError(
            f"--batch-size {config.batch_size}: its halves cannot be shared out evenly to {processes} processes "
            f"in {config.accumulate} parts",
            f"use a multiple of {2 * processes * config.accumulate}",
        )
    pairs, share = config.part_pairs // processes, config.adversary.share
    if share < 1 and pairs_of(share, pairs) == pairs:
        raise UserError(
            f"--adversary.share {share}: changes nothing where each of {processes} processes plays so little "
            f"at a time (pairs: {pairs})",
            "use a lower one, or a larger --batch-size",
        )


def _optimizers(
    detector: nn.Module, adversary: Adversary | None, config: TrainConfig
) -> dict[str, torch.optim.Optimizer]:
    own = make_optimizer(detector.parameters(), config.optimizer.lr, config.optimizer)
    return {"detector": own} | (adversary.optimizers() if adversary is not None else {})


def _class_weights(rows: pa.Table, sampling: str) -> Tensor:
    """Of each of the five classes the inverse of its share of the batches, with mean 1; 0 of those that do not occur.

    Half of a batch is real; its other half is drawn from the fake videos or, with `sampling` "frame", frames.
    """
    fakes = rows.filter(pc.field("label") == "fake")
    drawn = fakes if sampling == "frame" else fakes.group_by(["video", "method"]).aggregate([])
    names = drawn.column("method").to_pylist()
    shares = torch.tensor([1.0, *(names.count(name) / max(len(names), 1) for name in METHODS)]) / 2
    inverse = torch.where(shares > 0, 1 / shares, 0)
    return inverse / inverse[shares > 0].mean()


def _round_seed(seed: int, number: int, process: int) -> int:
    entropy = (seed, number, 1, process) if process else (seed, number, 1)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
