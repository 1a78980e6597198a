"""The rows that a run learns from, chooses its best checkpoint by, and is tested on; and a record of how many."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dfgame.config import EvaluateConfig, TrainConfig
from dfgame.manifest import check_choice, check_leaks, evenly, made_by, read_manifest
from dfgame.protocol import Protocol, Selection, absent, check_protocol, read_protocol, rows
from dfgame.records import LABELS, UserError

OF_CROPS = ("version", "settings", "detector")
"""What a run keeps of how its crops were made."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What a run learns from and is validated on, by which protocol, and how the crops were made."""

    train: pa.Table
    val: pa.Table
    protocol: Protocol | None
    crops: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """How much there is to train on and to choose the best checkpoint by, and what it is."""
        names = {
            f"{column}s": sorted(set(self.train.column(column).to_pylist()))
            for column in ("dataset", "method", "compression")
        }
        sizes = {
            name: {
                "crops": table.num_rows,
                "videos": len(table.column("video").unique()),
                "identities": people(table),
            }
            for name, table in (("train", self.train), ("val", self.val))
        }
        return sizes | {"trained_on": names, "made_by": self.crops}


@dataclass(frozen=True, slots=True)
class AskedRows:
    """What runs are tested on: all rows, and of each test set its selection and its rows, each row once in `table`.

    `not_done` are tests of the protocol that the manifest lacks, wholly or in part, each with the reason.
    """

    table: pa.Table
    tests: dict[Selection, pa.Table]
    protocol: Protocol | None
    not_done: list[dict[str, str]]
    made_by: dict[str, Any]


def people(table: pa.Table) -> int:
    """How many people are in it; the same name in two data sets is two people."""
    return table.group_by(["dataset", "identity"]).aggregate([]).num_rows


def training_rows(manifest: Path, config: TrainConfig) -> TrainingRows:
    """The rows that the settings, or the protocol that they name, choose.

    Raises:
        UserError: the manifest lacks what was chosen, or its splits or the protocol's sets share people or videos.
    """
    table = read_manifest(manifest)
    check_leaks(table)
    crops = {name: value for name, value in made_by(table).items() if name in OF_CROPS}
    if not config.protocol:
        _refuse_absent(table, config, manifest)
        choice = (config.datasets, config.methods, config.compressions)
        train, val = (rows(table, Selection(split, split, *choice)) for split in ("train", "val"))
        return TrainingRows(train, _val_rows(val, config), None, crops)
    protocol = read_protocol(config.protocol)
    lacking = absent(table, protocol.train) + absent(table, protocol.val)
    if lacking:
        raise UserError(
            f"--protocol {config.protocol}: {manifest} has {lacking[0]}", "extract it too, or choose another protocol"
        )
    check_protocol(protocol, table)
    return TrainingRows(rows(table, protocol.train), _val_rows(rows(table, protocol.val), config), protocol, crops)


def asked_rows(manifest: Path, config: EvaluateConfig) -> AskedRows:
    """The rows that the settings, or the test sets of the protocol that they name, choose.

    Raises:
        UserError: nothing of what was chosen is there, or the splits or the protocol's sets share people or videos.
    """
    table = read_manifest(manifest)
    check_leaks(table)
    if config.protocol:
        return _of_protocol(table, config, manifest)
    _refuse_absent(table, config, manifest)
    choice = Selection("", config.split, config.datasets, config.methods, config.compressions, config.frames)
    chosen = rows(table, choice)
    if not chosen.num_rows:
        there = sorted({str(split) for split in table.column("split").to_pylist()} - {"None"})
        raise UserError(
            f"{manifest}: no rows in the split {config.split}",
            f"choose another --split; it has: {', '.join(there) or 'no splits'}",
        )
    return AskedRows(chosen, {choice: chosen}, None, [], made_by(table))


def _of_protocol(table: pa.Table, config: EvaluateConfig, manifest: Path) -> AskedRows:
    protocol = read_protocol(config.protocol)
    if config.frames and all(test.frames for test in protocol.tests):
        raise UserError(
            f"--frames {config.frames}: changes nothing, the protocol {protocol.name} says how many", "leave it out"
        )
    check_protocol(protocol, table)
    tests, not_done = {}, []
    for test in protocol.tests:
        choice = replace(test, frames=test.frames or config.frames)
        chosen = rows(table, choice)
        lacking = [label for label in LABELS if label not in chosen["label"].to_pylist()]
        reasons = absent(table, test) or [f"no {label} videos of {test.where}" for label in lacking]
        not_done += [{"test": test.name, "reason": reason} for reason in reasons]
        if not lacking:
            tests[choice] = chosen
    if not tests:
        raise UserError(
            f"{manifest}: none of the tests of the protocol {protocol.name} can be done",
            f"the first reason: {not_done[0]['reason']}",
        )
    wanted = {path for chosen in tests.values() for path in chosen["path"].to_pylist()}
    union = table.filter(pa.array([path in wanted for path in table["path"].to_pylist()]))
    return AskedRows(union, tests, protocol, not_done, made_by(table))


def _refuse_absent(table: pa.Table, config: TrainConfig | EvaluateConfig, manifest: Path) -> None:
    there = set(table["dataset"].to_pylist())
    missing = [name for name in config.datasets if name not in there]
    if missing:
        raise UserError(
            f"--datasets {' '.join(missing)}: not in {manifest}", f"it has: {', '.join(sorted(there)) or 'none'}"
        )
    check_choice(rows(table, Selection("", "all", config.datasets)), config.methods, config.compressions, manifest)


def _val_rows(table: pa.Table, config: TrainConfig) -> pa.Table:
    """What is scored after an epoch: at most `val_images` rows, spread evenly over the table, sorted by video.

    At video level: `segment_length` frames of each video, of as many videos as that allows.
    """
    if config.val_level == "video":
        table = evenly(table, config.segment_length)
        names = table.column("video").to_pylist()
        videos = list(dict.fromkeys(names))
        most = config.val_images // config.segment_length or len(videos)
        if config.val_images and len(videos) > most:
            kept = {videos[k] for k in np.linspace(0, len(videos) - 1, most).round().astype(int)}
            table = table.filter(pa.array([name in kept for name in names]))
        return table
    if not config.val_images or table.num_rows <= config.val_images:
        return table
    return table.take(np.linspace(0, table.num_rows - 1, config.val_images).round().astype(int))
