"""Detectors on manifests -> the evidence: every one on every method and quality, with intervals."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dfgame import __version__
from dfgame.card import learned_from, make_card, mismatches, trained_elsewhere, unfinished
from dfgame.config import EvaluateConfig, to_dict, to_flags
from dfgame.evaluate.accounting import accounts_of
from dfgame.evaluate.confusion import confusions_of
from dfgame.evaluate.groups import groups_of, refuse_many_values
from dfgame.evaluate.kept import said_by
from dfgame.evaluate.measure import measure_run
from dfgame.evaluate.pairs import pairs_of
from dfgame.evaluate.scored import cells_of, of_tests, scores_of
from dfgame.files import read_json, sha256, versions, writable_folder, write_json
from dfgame.jobs import console
from dfgame.metrics import COVERAGE, THRESHOLD
from dfgame.outcomes import Account, Confusion, Gap, Group
from dfgame.players import Entry, identify
from dfgame.records import UserError
from dfgame.rows import MANIFEST, AskedRows, asked_rows, people
from dfgame.runs import runs_of
from dfgame.subjects import Predicted, RunReader, Scorer, Subject, open_subject, refuse_unused
from dfgame.summary import Evaluation, Result, RunEvidence, summarise

__all__ = ["RunReader", "Scorer", "evaluate_runs"]

RESULTS = "results.json"
SETTINGS = "settings.json"
NOT_ASKED = {"overwrite", "allow_mismatch", "workers", "device", "batch_size", "leaderboard"}
"""Settings that do not change the question."""
RECORDED_VERSIONS = ("torch", "timm", "numpy", "scipy", "scikit-learn", "pyarrow")


def evaluate_runs(
    runs: Sequence[Path],
    manifest: Path | Sequence[Path],
    out: Path,
    config: EvaluateConfig,
    scorer: Scorer | None = None,
    read_run: RunReader | None = None,
) -> Evaluation:
    """Score every detector on a split of manifests or on a protocol's test sets, and measure each cell.

    Real rows of a data set at a quality are the negatives of every method of it at that quality. Writes OUT/scores
    (every frame's and every video's score) and OUT/settings.json; `report.write_report` writes the rest. Scores in
    OUT that come from the same weights and rows are used again, so that an interrupted evaluation goes on.

    Args:
        runs: folders of trained detectors, folders of such; boxes, ONNX files, or tables of scores (see `subjects`).
        manifest: the table of `dfgame extract`, or several, whose data sets must have different names.
        out: folder for the results.
        config: what to measure.
        scorer: gives rows their scores by a run; `score.score_run` if None.
        read_run: says what a run is; `score.run_info` if None.

    Raises:
        UserError: OUT holds another evaluation, the split is empty, somebody is in two splits, or a detector cannot be
            used or was trained for something else.
    """
    if not runs:
        raise UserError(
            "no RUN to evaluate",
            "name a folder of `dfgame train`, or a file: .safetensors, .onnx, or .csv with scores",
        )
    runs = runs_of(runs)
    asked = asked_rows(manifest, config)
    subjects = [open_subject(path, asked, config, scorer, read_run) for path in runs]
    refuse_unused(subjects, config)
    if config.by:
        refuse_many_values(asked.table, config.by)
    entries = identify(runs, [subject.info for subject in subjects])
    settings = _settings(entries, subjects, asked, out, config)
    warnings = [*mismatches(entries, asked, config.allow_mismatch), *learned_from(entries, asked)]
    _claim(out, settings["asked"], config.overwrite)
    _say_first(settings, asked, warnings)
    results: list[Result] = []
    evidence: list[RunEvidence] = []
    groups: list[Group] = []
    gaps: list[Gap] = []
    confusions: list[Confusion] = []
    accounts: list[Account] = []
    nothing = np.zeros(asked.table.num_rows)
    cells = cells_of(of_tests(asked.tests, asked.table, Predicted(nothing, nothing == 0), ()))
    for entry, subject in zip(entries, subjects, strict=True):
        said = said_by(entry, subject, asked, out, settings["asked"], config)
        scores = of_tests(asked.tests, asked.table, said.tested, config.by)
        validation = scores_of(asked.validation, said.validation)
        crops = crop_words(asked) if entry.kind != "scores" else {}
        found = measure_run(entry, scores, validation, config, subject.unit == "video", crops, cells)
        results += found.results
        evidence.append(RunEvidence(entry.player, entry.training, entry.seed, found.cells, entry.name))
        settings["undefined"] += found.undefined
        of_groups, of_gaps = groups_of(entry, scores, validation, config)
        groups += of_groups
        gaps += of_gaps
        confusions += confusions_of(entry, scores)
        accounts += accounts_of(entry.name, subject, asked, said.tested)
    _say_left_out(settings["undefined"])
    _refuse_nothing(results, asked, settings)
    write_json(out / SETTINGS, settings)
    return replace(
        summarise(results, evidence, settings),
        card=make_card(entries, asked, config, warnings, (result.level for result in results), accounts),
        pairs=pairs_of(evidence, config),
        groups=groups,
        gaps=gaps,
        confusions=confusions,
        accounting=accounts,
    )


def _refuse_nothing(results: Sequence[Result], asked: AskedRows, settings: dict[str, Any]) -> None:
    if not results:
        reasons = [cell["reason"] for cell in settings["undefined"]] or ["no fake ones to measure on"]
        names = ", ".join(str(source.path) for source in asked.sources)
        raise UserError(
            f"{names}: nothing could be measured (--split {settings['split']})", f"the first reason: {reasons[0]}"
        )


def _say_first(settings: dict[str, Any], asked: AskedRows, warnings: Sequence[str]) -> None:
    """What is to be known before the hours of scoring."""
    for run in settings["unfinished"]:
        console.print(f"{run['run']}: not finished, {run['done']} of {run['epochs']} epochs", soft_wrap=True)
    for test in asked.not_done:
        console.print(f"not done: test {test['test']}: {test['reason']}", soft_wrap=True)
    for warning in warnings:
        console.print(f"warning: {warning}", soft_wrap=True)


def _say_left_out(cells: Sequence[dict[str, str]]) -> None:
    for cell in cells:
        console.print(
            f"left out: {cell['run']} on {cell['method']} {cell['compression']}: {cell['reason']}", soft_wrap=True
        )


def _claim(out: Path, asked: dict[str, Any], overwrite: bool) -> None:
    """Make OUT; refuse if it holds the results of another question, or remove these where they are to be replaced."""
    writable_folder(out, "--out")
    if not (out / RESULTS).exists():
        return
    before = read_json(out / SETTINGS).get("asked") if (out / SETTINGS).is_file() else None
    if before != asked and overwrite:
        (out / RESULTS).unlink()
    elif before != asked:
        raise UserError(
            f"{out / RESULTS}: exists, and comes from another evaluation",
            "choose another --out, or add --overwrite to replace it",
        )


def _settings(
    entries: list[Entry], subjects: Sequence[Subject], rows: AskedRows, out: Path, config: EvaluateConfig
) -> dict[str, Any]:
    """What was asked, of whom and of how much data: all of it in settings.json."""
    protocol = rows.protocol.facts if rows.protocol else None
    splits = {selection.split for selection in rows.tests}
    asked = {
        "version": __version__,
        "config": {key: value for key, value in to_dict(config).items() if key not in NOT_ASKED},
        "manifest_sha256": rows.hashes,
        "weights_sha256": {entry.name: subject.hash() for entry, subject in zip(entries, subjects, strict=True)},
        "protocol_sha256": protocol["sha256"] if protocol else None,
        "attributes_sha256": sha256(config.attributes) if config.attributes else None,
    }
    manifests = [source.path for source in rows.sources]
    return {
        "asked": asked,
        "command": _command(entries, manifests, out, config),
        "versions": {"dfgame": __version__} | versions(RECORDED_VERSIONS),
        "manifests": [str(path) for path in manifests],
        "datasets": sorted(set(rows.table.column("dataset").to_pylist())),
        "split": splits.pop() if len(splits) == 1 else "all",
        "protocol": protocol["name"] if protocol else None,
        "counts": _counts(rows.table),
        "threshold": THRESHOLD,
        "coverage": COVERAGE,
        "replicates": config.replicates,
        "runs": [
            {"run": entry.name, "player": entry.player, "path": str(entry.path), **entry.info} for entry in entries
        ],
        "seeds": len({entry.seed for entry in entries} - {None}),
        "other_manifest": trained_elsewhere(entries, rows.hashes),
        "unknown_training": [entry.name for entry in entries if not entry.training.known],
        "unfinished": unfinished(entries),
        "not_done": rows.not_done,
        "undefined": [],
    }


def _counts(rows: pa.Table) -> dict[str, int]:
    """How much is tested on; a video at two qualities counts twice, a person once."""
    videos = dict(zip(rows.column("video").to_pylist(), rows.column("label").to_pylist(), strict=True))
    labels = list(videos.values())
    return {
        "identities": people(rows),
        "videos": len(labels),
        "real_videos": labels.count("real"),
        "fake_videos": labels.count("fake"),
        "frames": rows.num_rows,
    }


def crop_words(asked: AskedRows) -> dict[str, str]:
    """How the faces of each data set were cut out, as it stands beside its numbers; empty where nothing is known."""
    found = {}
    pairs = zip(asked.everything["dataset"].to_pylist(), asked.everything[MANIFEST].to_pylist(), strict=True)
    for dataset, number in sorted(set(pairs)):
        settings = asked.sources[number].made_by.get("settings") or {}
        said = [(name, settings.get(name)) for name in ("margin", "alignment", "size")]
        found[dataset] = ", ".join(f"{name} {value}" for name, value in said if value is not None)
    return found


def _command(entries: list[Entry], manifests: Sequence[Path], out: Path, config: EvaluateConfig) -> str:
    """The command line that gives these results."""
    words = ["dfgame", "evaluate", *map(str, manifests), *(str(entry.path) for entry in entries), "--out", str(out)]
    return shlex.join([*words, *to_flags(replace(config, overwrite=False))])
