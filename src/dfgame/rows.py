"""The rows that a run learns from, chooses its best checkpoint by, and that detectors are tested on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfgame.attributes import read_attributes
from dfgame.config import EvaluateConfig, TrainConfig
from dfgame.files import sha256
from dfgame.jobs import console
from dfgame.manifest import SCHEMA, check_choice, check_leaks, evenly, made_by, read_manifest
from dfgame.protocol import Protocol, Selection, absent, check_protocol, read_protocol, rows
from dfgame.records import LABELS, UserError

OF_CROPS = ("version", "settings", "detector")
"""What a run keeps of how its crops were made."""
ROW, MANIFEST = "_row", "_manifest"
"""Columns of rows that are tested on: a number of their own, and that of the manifest they come from."""


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
class Source:
    """A manifest that is tested on: its file, the SHA-256 of that, and how it was made."""

    path: Path
    sha256: str
    made_by: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AskedRows:
    """What detectors are tested on: of each test set its selection and its rows; in `table` each row once.

    `not_done` are tests of the protocol that the manifests lack, wholly or in part, each with the reason. `made_by` is
    what all manifests agree on. `validation` are the rows on which thresholds and likelihood ratios are fitted, none
    where there are none; `small` the rows left out for a face that is too small; `not_sampled` is how many more the
    tests choose from, and leave out for --frames or their own number of frames. `everything` are all rows of all
    manifests. Rows have, beside a manifest's columns, ROW, a number of their own, and MANIFEST, that of their source.
    """

    table: pa.Table
    tests: dict[Selection, pa.Table]
    protocol: Protocol | None
    not_done: list[dict[str, str]]
    made_by: dict[str, Any]
    sources: tuple[Source, ...]
    validation: pa.Table
    small: pa.Table
    not_sampled: int
    everything: pa.Table

    @property
    def hashes(self) -> list[str]:
        """The SHA-256 of the manifests."""
        return [source.sha256 for source in self.sources]


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
        if not (config.datasets or config.live.families):
            train, val = _with_fakes(train, manifest), _with_fakes(val)
        return TrainingRows(_learned_from(train, config), _val_rows(val, config), None, crops)
    protocol = read_protocol(config.protocol)
    lacking = absent(table, protocol.train) + absent(table, protocol.val)
    if lacking:
        raise UserError(
            f"--protocol {config.protocol}: {manifest} has {lacking[0]}", "extract it too, or choose another protocol"
        )
    check_protocol(protocol, table)
    train, val = (rows(table, selection) for selection in (protocol.train, protocol.val))
    return TrainingRows(_learned_from(train, config), _val_rows(val, config), protocol, crops)


def _with_fakes(table: pa.Table, told: Path | None = None) -> pa.Table:
    """Without the real rows of data sets of which there are no fakes: by them, what is fake is the data set."""
    labels, datasets = (np.array(table[name].to_pylist(), np.str_) for name in ("label", "dataset"))
    forged = np.isin(datasets, datasets[labels != LABELS[0]])
    if forged.all() or not forged.any():
        return table
    if told is not None:
        left_out = ", ".join(sorted(set(datasets[~forged].tolist())))
        console.print(
            f"{told}: {(~forged).sum():,} real crops of {left_out} are left out, of which no fakes were chosen; "
            "--datasets says otherwise",
            soft_wrap=True,
        )
    return table.filter(pa.array(forged))


def _learned_from(train: pa.Table, config: TrainConfig) -> pa.Table:
    """Of the rows to train on those that are: the real ones alone where fakes are forged while training."""
    return train.filter(pc.field("label") == LABELS[0]) if config.live.families else train


def asked_rows(manifests: Path | Sequence[Path], config: EvaluateConfig) -> AskedRows:
    """The rows that the settings, or the test sets of the protocol that they name, choose of one or several manifests.

    Raises:
        UserError: nothing of what was chosen is there, the splits or the protocol's sets share people or videos, or
            two manifests hold a data set of the same name.
    """
    paths = [manifests] if isinstance(manifests, Path) else list(manifests)
    said = read_attributes(config.attributes) if config.attributes else None
    joined = [name for name in config.by if said and name in said.columns and name not in SCHEMA.names]
    if said and not joined:
        raise UserError(f"{said.path}: has no column {' or '.join(config.by)}", "see --by and --attributes")
    tables = [read_manifest(path, [name for name in config.by if name not in joined]) for path in paths]
    for table in tables:
        check_leaks(table)
    _refuse_same_data(paths, tables)
    sources = tuple(Source(path, sha256(path), made_by(table)) for path, table in zip(paths, tables, strict=True))
    everything = said.joined(_one_table(tables), joined) if said else _one_table(tables)
    fits = np.asarray(everything["right"]) - np.asarray(everything["left"]) >= config.min_face
    table, narrow = (everything.filter(pa.array(keep)) for keep in (fits, ~fits))
    names = ", ".join(map(str, paths))
    if config.protocol:
        tests, protocol, not_done = _of_protocol(table, config, names)
        val = replace(protocol.val, frames=config.frames or max(test.frames for test in tests))
    else:
        _refuse_absent(everything, config, names)
        choice = Selection("", config.split, config.datasets, config.methods, config.compressions, config.frames)
        tests, protocol, not_done = {choice: rows(table, choice)}, None, []
        val = replace(choice, split="val") if config.split == "test" else None
        _refuse_empty(tests[choice], rows(narrow, choice), table, config, names)
    wanted = {row for chosen in tests.values() for row in chosen[ROW].to_pylist()}
    union = table.filter(pa.array([row in wanted for row in table[ROW].to_pylist()]))
    if said and (lacking := said.lacking(union)):
        console.print(lacking, soft_wrap=True)
    small, fitting = (
        {row for test in tests for row in rows(part, replace(test, frames=0))[ROW].to_pylist()}
        for part in (narrow, table)
    )
    return AskedRows(
        union,
        tests,
        protocol,
        not_done,
        _agreed([source.made_by for source in sources]),
        sources,
        rows(table, val) if val else table.slice(0, 0),
        narrow.filter(pa.array([row in small for row in narrow[ROW].to_pylist()], pa.bool_())),
        len(fitting - wanted),
        everything,
    )


def _refuse_same_data(paths: Sequence[Path], tables: Sequence[pa.Table]) -> None:
    first: dict[str, Path] = {}
    for path, table in zip(paths, tables, strict=True):
        for name in table["dataset"].unique().to_pylist():
            if first.setdefault(name, path) != path:
                raise UserError(
                    f"{first[name]} and {path}: both hold a data set named {name}",
                    "evaluate them apart, or extract one of them with a --name of its own",
                )


def _one_table(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all, each with a number of its own and that of its manifest; further columns as text."""
    found = []
    for number, table in enumerate(tables):
        columns = [table[name] if name in SCHEMA.names else _as_text(table[name]) for name in table.schema.names]
        plain = pa.table(columns, names=table.schema.names)
        found.append(plain.append_column(MANIFEST, pa.array([number] * table.num_rows, pa.int32())))
    table = pa.concat_tables(found)
    return table.append_column(ROW, pa.array(range(table.num_rows), pa.int64()))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])


def _agreed(made: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How manifests were made, as far as they agree; failures are those of all, None where one does not say."""
    if len(made) == 1:
        return made[0]
    settings = [one.get("settings") or {} for one in made]
    detectors = [one.get("detector") for one in made]
    failures = [one.get("failures") for one in made]
    return {
        "settings": {key: value for key, value in settings[0].items() if all(s.get(key) == value for s in settings)},
        "detector": detectors[0] if all(one == detectors[0] for one in detectors) else None,
        "failures": None if None in failures else [failure for of_one in failures for failure in of_one or ()],
    }


def _refuse_empty(chosen: pa.Table, narrow: pa.Table, table: pa.Table, config: EvaluateConfig, names: str) -> None:
    if not chosen.num_rows and narrow.num_rows:
        raise UserError(
            f"--min-face {config.min_face:g}: no face of the split {config.split} of {names} is as wide",
            "choose a smaller one, in pixels",
        )
    if not chosen.num_rows:
        there = sorted({str(split) for split in table.column("split").to_pylist()} - {"None"})
        raise UserError(
            f"{names}: no rows in the split {config.split}",
            f"choose another --split; it has: {', '.join(there) or 'no splits'}",
        )


def _of_protocol(
    table: pa.Table, config: EvaluateConfig, names: str
) -> tuple[dict[Selection, pa.Table], Protocol, list[dict[str, str]]]:
    """The test sets that can be done, their protocol, and what of it cannot be done."""
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
            f"{names}: none of the tests of the protocol {protocol.name} can be done",
            f"the first reason: {not_done[0]['reason']}",
        )
    return tests, protocol, not_done


def _refuse_absent(table: pa.Table, config: TrainConfig | EvaluateConfig, manifest: Path | str) -> None:
    there = set(table["dataset"].to_pylist())
    missing = [name for name in config.datasets if name not in there]
    if missing:
        raise UserError(
            f"--datasets {' '.join(missing)}: not in {manifest}", f"it has: {', '.join(sorted(there)) or 'none'}"
        )
    check_choice(rows(table, Selection("", "all", config.datasets)), config.methods, config.compressions, manifest)


def _val_rows(table: pa.Table, config: TrainConfig) -> pa.Table:
    """What is scored after an epoch: at most `val_images` rows, spread evenly over the table, sorted by video.

    At video level: `segment_length` frames of each video, of as many videos as that allows, and one at least.
    """
    if config.val_level == "video":
        table = evenly(table, config.segment_length)
        names = table.column("video").to_pylist()
        videos = list(dict.fromkeys(names))
        most = max(1, config.val_images // config.segment_length)
        if config.val_images and len(videos) > most:
            kept = {videos[k] for k in np.linspace(0, len(videos) - 1, most).round().astype(int)}
            table = table.filter(pa.array([name in kept for name in names]))
        return table
    if not config.val_images or table.num_rows <= config.val_images:
        return table
    return table.take(np.linspace(0, table.num_rows - 1, config.val_images).round().astype(int))
