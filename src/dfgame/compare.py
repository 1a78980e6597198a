"""Runs side by side: what differs in their settings, what they learned from, what they did, and how they tested."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dfgame.config import EvaluateConfig, flat, train_config_from_dict
from dfgame.evaluate.kept import SCORES, read_kept
from dfgame.evaluate.measure import measure_run
from dfgame.evaluate.scored import scores_of
from dfgame.files import read_json, sha256
from dfgame.metrics import Floats, paired_interval
from dfgame.outcomes import Compared, ComparedRun, Tested
from dfgame.players import Entry, identify
from dfgame.records import UserError
from dfgame.runs import RUN_FILE, read_record, runs_of
from dfgame.summary import (
    ALL_HARDEST,
    HARDEST,
    SEEN,
    UNSEEN,
    Cell,
    Evidence,
    fewest_people,
    mean_interval,
    mean_replicates,
)

NOT_WEIGHTS_OF_A_DETECTOR = "adversary"
_NOT_COMPARED = {"resume"}
"""Settings that say how the command was given, not what the run is."""
_RESULTS, _SETTINGS = "results.json", "settings.json"


def compare_runs(runs: Sequence[Path], evaluation: Path | None = None) -> Compared:
    """Read what runs keep, and their results in the folder of a `dfgame evaluate`, if one is named.

    Raises:
        UserError: fewer than two runs, one named twice, a folder that is none, or an evaluation that has none of them.
    """
    runs = runs_of(runs)
    if len(runs) < 2:
        raise UserError("a comparison needs at least two RUNs", "name folders of `dfgame train`")
    if len({run.resolve() for run in runs}) < len(runs):
        raise UserError(f"{_twice(runs)}: named twice", "name different runs")
    tested = _tested(evaluation, runs) if evaluation is not None else [{} for _ in runs]
    compared = tuple(_read(*pair) for pair in zip(runs, tested, strict=True))
    flags = [flag for flag in compared[0].settings if flag not in _NOT_COMPARED]
    differing = tuple(
        flag for flag in flags if any(run.settings[flag] != compared[0].settings[flag] for run in compared)
    )
    return Compared(compared, differing, str(evaluation) if evaluation is not None else None)


def _twice(runs: Sequence[Path]) -> Path:
    places = [run.resolve() for run in runs]
    return next(run for run, place in zip(runs, places, strict=True) if places.count(place) > 1)


def _read(run: Path, tested: dict[str, Tested]) -> ComparedRun:
    if not (run / RUN_FILE).is_file():
        raise UserError(f"{run}: not a run, it has no {RUN_FILE}", "name folders of `dfgame train`")
    record = read_record(run)
    config = train_config_from_dict(record["settings"])
    epochs, speed = record["history"], record.get("images_per_second")
    images = len(epochs) * config.rounds_per_epoch * config.batch_size
    weights = sorted(path.stem for path in run.glob("*.safetensors"))
    return ComparedRun(
        name=run.resolve().name,
        path=str(run),
        version=record["version"],
        settings={name.replace("_", "-"): value for name, value in flat(config).items()},
        data=record["data"],
        protocol=record["protocol"]["name"] if record["protocol"] else None,
        checkpoints=tuple(name for name in weights if name != NOT_WEIGHTS_OF_A_DETECTOR),
        epochs=tuple(epochs),
        epochs_planned=config.epochs,
        rounds=len(epochs) * config.rounds_per_epoch,
        best_epoch=record.get("best_epoch"),
        images_per_second=speed,
        waited_for_data=record.get("waited_for_data"),
        seconds=round(images / speed, 1) if speed else None,
        tested=tested,
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """A run's video-level AUC on each cell, whether it was trained on it, and the evidence, if it is there.

    Of a cell that `seen` has as None that is not known.
    """

    aucs: dict[Cell, float]
    seen: dict[Cell, bool | None]
    evidence: dict[Cell, Evidence]

    def subjects(self) -> dict[str, tuple[Cell, ...]]:
        """The cells of each subject that has any."""
        subjects = {
            SEEN: tuple(cell for cell in self.aucs if self.seen[cell]),
            UNSEEN: tuple(cell for cell in self.aucs if self.seen[cell] is False),
            ALL_HARDEST: tuple(cell for cell in self.aucs if cell.compression == HARDEST),
        }
        return {subject: cells for subject, cells in subjects.items() if cells}

    def mean(self, cells: Sequence[Cell]) -> float:
        """The mean AUC over cells."""
        return float(np.mean([self.aucs[cell] for cell in cells]))

    def replicates(self, cells: Sequence[Cell]) -> Floats | None:
        """The bootstrap replicates of that mean."""
        return mean_replicates([self.evidence[cell] for cell in cells]) if self.evidence else None

    def fewest_people(self, cells: Sequence[Cell]) -> int:
        """The different people of a class, where there are fewest; only where there are replicates."""
        return fewest_people(self.evidence[cell] for cell in cells)

    def interval(self, cells: Sequence[Cell]) -> tuple[float, float] | None:
        """The interval of that mean over people."""
        return mean_interval(self.mean(cells), [self.evidence[cell] for cell in cells]) if self.evidence else None


def _tested(folder: Path, runs: Sequence[Path]) -> list[dict[str, Tested]]:
    """The subjects of each run that an evaluation has; a run is told by its weights, wherever it lay then."""
    if not all((folder / name).is_file() for name in (_RESULTS, _SETTINGS)):
        raise UserError(f"--evaluation {folder}: not the folder of an evaluation", "name the OUT of `dfgame evaluate`")
    settings, rows = read_json(folder / _SETTINGS), read_json(folder / _RESULTS)["results"]
    by_hash = {value: name for name, value in settings["asked"]["weights_sha256"].items()}
    checkpoint = f"{settings['asked']['config']['checkpoint']}.safetensors"
    weights = [run / checkpoint for run in runs]
    names = [by_hash.get(sha256(path)) if path.is_file() else None for path in weights]
    infos = {info["run"]: info for info in settings["runs"]}
    if not any(names):
        raise UserError(
            f"--evaluation {folder}: has none of these runs", "name an evaluation of them, as they are now"
        )
    measured = [_measured(folder, infos[name], settings, rows) if name else None for name in names]
    return [_subjects(one, measured[0] if place else None) if one else {} for place, one in enumerate(measured)]


def _measured(folder: Path, info: dict[str, Any], settings: dict[str, Any], rows: list[dict[str, Any]]) -> _Measured:
    [named] = identify([Path(info["path"])], [info])
    aucs = {
        Cell(row["test_method"], row["test_compression"]): row["auc"]
        for row in rows
        if row["run"] == info["run"] and row["level"] == "video"
    }
    entry = replace(named, name=info["run"], player=info["player"])
    seen = {cell: named.training.saw(cell.method) for cell in aucs}
    return _Measured(aucs, seen, _evidence(folder, entry, settings))


def _evidence(folder: Path, entry: Entry, settings: dict[str, Any]) -> dict[Cell, Evidence]:
    """That of the evaluation itself, found again from the scores that it keeps; none for a protocol's."""
    path = folder / SCORES / f"{entry.name}.frames.parquet"
    if settings["protocol"] or not path.is_file():
        return {}
    table, said = read_kept(path)
    asked = settings["asked"]["config"]
    config = EvaluateConfig(replicates=settings["replicates"], seed=asked["seed"], pooling=asked["pooling"])
    scores = scores_of(table, said)
    nobody = scores.where(np.zeros(len(scores.labels), bool))
    return measure_run(entry, scores, nobody, config).cells


def _subjects(run: _Measured, first: _Measured | None) -> dict[str, Tested]:
    found = {}
    for subject, cells in run.subjects().items():
        draws, value = run.replicates(cells), run.mean(cells)
        ahead = ahead_interval = None
        if first is not None and set(first.subjects().get(subject, ())) == set(cells):
            theirs, others = first.mean(cells), first.replicates(cells)
            ahead, perfect = value - theirs, value == theirs == 1
            if draws is not None and others is not None:
                fewest = min(one.fewest_people(cells) for one in (run, first))
                ahead_interval = paired_interval(ahead, draws - others, fewest, perfect=perfect)
        found[subject] = Tested(value, run.interval(cells), ahead, ahead_interval, len(cells))
    return found
