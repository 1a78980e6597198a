"""Trained detectors on a manifest -> the evidence: every run on every method and quality, with intervals."""

import csv
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfgame import __version__
from dfgame.card import make_card, mismatches
from dfgame.config import EvaluateConfig, to_dict, to_flags
from dfgame.files import atomic_path, read_json, sha256, versions, writable_folder, write_json
from dfgame.jobs import console
from dfgame.measure import Scores, measure_run
from dfgame.metrics import COVERAGE, THRESHOLD, video_means
from dfgame.players import Entry, identify
from dfgame.records import LABELS, UserError
from dfgame.rows import AskedRows, asked_rows, people
from dfgame.summary import Evaluation, Result, RunEvidence, summarise

Scorer = Callable[[Path, pa.Table, Path, EvaluateConfig], pa.Table]
"""(run, rows, the manifest's folder, settings) -> the rows with a float64 column `p_fake`."""
RunReader = Callable[[Path], dict[str, Any]]
"""run -> name, game, methods, compressions, seed, config, version."""

RESULTS = "results.json"
SETTINGS = "settings.json"
SCORES = "scores"
SCORE_COLUMNS = ("path", "video", "frame", "label", "method", "compression", "p_fake", "dataset")
NOT_ASKED = {"overwrite", "allow_mismatch", "workers", "device", "batch_size"}
"""Settings that do not change the question."""
ROWS = ("split", "methods", "compressions", "datasets", "frames")
"""Settings that choose the rows; a protocol chooses them by its text."""
RECORDED_VERSIONS = ("torch", "timm", "numpy", "scipy", "scikit-learn", "pyarrow")


def evaluate_runs(
    runs: Sequence[Path],
    manifest: Path,
    out: Path,
    config: EvaluateConfig,
    scorer: Scorer | None = None,
    read_run: RunReader | None = None,
) -> Evaluation:
    """Score every run on a split of a manifest or on a protocol's test sets, and measure each method at each quality.

    Real rows of a data set at a quality are the negatives of every method of it at that quality. Writes OUT/scores
    (every frame's and every video's score) and OUT/settings.json; `report.write_report` writes the rest. Scores in
    OUT that come from the same weights and rows are used again, so that an interrupted evaluation goes on.

    Args:
        runs: folders of trained detectors.
        manifest: the table of `dfgame extract`.
        out: folder for the results.
        config: what to measure.
        scorer: gives rows their scores; `score.score_run` if None.
        read_run: says what a run is; `score.run_info` if None.

    Raises:
        UserError: OUT holds another evaluation, the split is empty, somebody is in two splits, or a run lacks the
            checkpoint or was trained for something else.
    """
    if scorer is None or read_run is None:
        from dfgame.score import run_info, score_run

        scorer, read_run = scorer or score_run, read_run or run_info
    if not runs:
        raise UserError("no RUN to evaluate", "name at least one folder of `dfgame train`")
    asked = asked_rows(manifest, config)
    entries = identify(runs, [read_run(run) for run in runs])
    settings = _settings(entries, asked, manifest, out, config)
    manifest_hash = settings["asked"]["manifest_sha256"]
    warnings = mismatches(entries, asked, manifest_hash, config.allow_mismatch)
    _claim(out, settings["asked"], config.overwrite)
    _say_first(settings, asked, warnings)
    results: list[Result] = []
    evidence: list[RunEvidence] = []
    for entry in entries:
        scored = _scored(entry, asked, manifest.parent, out / SCORES, config, settings, scorer)
        found, cells, undefined = measure_run(entry, _arrays(scored, asked), config.replicates, config.seed)
        results += found
        evidence.append(RunEvidence(entry.player, entry.training, entry.seed, cells))
        settings["undefined"] += undefined
    _say_left_out(settings["undefined"])
    if not results:
        reasons = [cell["reason"] for cell in settings["undefined"]] or ["no fake ones to measure on"]
        raise UserError(
            f"{manifest}: nothing could be measured (--split {settings['split']})",
            f"the first reason: {reasons[0]}",
        )
    write_json(out / SETTINGS, settings)
    card = make_card(entries, asked, config, manifest_hash, warnings)
    return replace(summarise(results, evidence, settings), card=card)


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
    """Make OUT; refuse if it holds the results of another question."""
    writable_folder(out, "--out")
    if not (out / RESULTS).exists() or overwrite:
        return
    before = read_json(out / SETTINGS).get("asked") if (out / SETTINGS).is_file() else None
    if before != asked:
        raise UserError(
            f"{out / RESULTS}: exists, and comes from another evaluation",
            "choose another --out, or add --overwrite to replace it",
        )


def _settings(
    entries: list[Entry], rows: AskedRows, manifest: Path, out: Path, config: EvaluateConfig
) -> dict[str, Any]:
    """What was asked, of whom and of how much data: all of it in settings.json."""
    protocol = rows.protocol.facts if rows.protocol else None
    splits = {selection.split for selection in rows.tests}
    asked = {
        "version": __version__,
        "config": {key: value for key, value in to_dict(config).items() if key not in NOT_ASKED},
        "manifest_sha256": sha256(manifest),
        "weights_sha256": {entry.name: _weights_hash(entry.path, config.checkpoint) for entry in entries},
        "protocol_sha256": protocol["sha256"] if protocol else None,
    }
    return {
        "asked": asked,
        "command": _command(entries, manifest, out, config),
        "versions": {"dfgame": __version__} | versions(RECORDED_VERSIONS),
        "manifest": str(manifest),
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
        "seeds": len({entry.seed for entry in entries}),
        "other_manifest": _trained_elsewhere(entries, asked["manifest_sha256"]),
        "unfinished": _unfinished(entries),
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


def _trained_elsewhere(entries: list[Entry], manifest_hash: str) -> list[str]:
    """Runs known to be trained on another manifest, whose people cannot be checked against this one's."""
    hashes = {entry.name: entry.info.get("data", {}).get("manifest_sha256") for entry in entries}
    return [name for name, own in hashes.items() if own not in (None, manifest_hash)]


def _command(entries: list[Entry], manifest: Path, out: Path, config: EvaluateConfig) -> str:
    """The command line that gives these results."""
    words = ["dfgame", "evaluate", str(manifest), *(str(entry.path) for entry in entries), "--out", str(out)]
    return shlex.join([*words, *to_flags(replace(config, overwrite=False))])


def _unfinished(entries: list[Entry]) -> list[dict[str, Any]]:
    """The runs known to have trained fewer epochs than they were to."""
    found = []
    for entry in entries:
        done, epochs = entry.info.get("epochs_done"), entry.info["config"].get("epochs")
        if done is not None and epochs is not None and done < epochs:
            found.append({"run": entry.name, "done": done, "epochs": epochs})
    return found


def _weights_hash(run: Path, checkpoint: str) -> str:
    path = run / f"{checkpoint}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in run.glob("*.safetensors"))) or "none"
        raise UserError(f"{path}: no such checkpoint", f"choose another --checkpoint; this run has: {there}")
    return sha256(path)


def _scored(
    entry: Entry,
    rows: AskedRows,
    folder: Path,
    scores: Path,
    config: EvaluateConfig,
    settings: dict[str, Any],
    scorer: Scorer,
) -> pa.Table:
    """The rows with their scores: kept ones of the same weights and rows, or new ones, which are kept."""
    path = scores / f"{entry.name}.frames.parquet"
    asked = settings["asked"]
    origin = {
        "weights_sha256": asked["weights_sha256"][entry.name],
        "manifest_sha256": asked["manifest_sha256"],
        "rows": {name: asked["config"][name] for name in ROWS} | {"protocol_sha256": asked["protocol_sha256"]},
        "version": __version__,
    }
    if _origin(path) == origin:
        console.print(f"{entry.name}: scores of the same weights and rows are there already: {path}", soft_wrap=True)
        return pq.ParquetFile(path).read()  # read_table would take a folder named a=b for a column
    table = scorer(entry.path, rows.table, folder, config).select(SCORE_COLUMNS)
    _write_video_scores(scores / f"{entry.name}.videos.csv", _by_test(table, rows))
    with atomic_path(path) as temporary:  # comes last: once it is there, the other is
        pq.write_table(table.replace_schema_metadata({b"dfgame": json.dumps(origin).encode()}), temporary)
    return table


def _by_test(scored: pa.Table, rows: AskedRows) -> dict[str, pa.Table]:
    """The scored rows of each test set, by its name; without a protocol there is one, without a name."""
    if rows.protocol is None:
        return {"": scored}
    places = {path: place for place, path in enumerate(scored["path"].to_pylist())}
    return {
        selection.name: scored.take([places[path] for path in of_test["path"].to_pylist()])
        for selection, of_test in rows.tests.items()
    }


def _arrays(scored: pa.Table, rows: AskedRows) -> Scores:
    parts = _by_test(scored, rows)
    table = pa.concat_tables(parts.values())
    return Scores(
        labels=np.array([LABELS.index(label) for label in table["label"].to_pylist()]),
        scores=table["p_fake"].to_numpy(),
        methods=np.array(table["method"].to_pylist()),
        compressions=np.array(table["compression"].to_pylist()),
        videos=np.array(table["video"].to_pylist()),
        datasets=np.array(table["dataset"].to_pylist()),
        tests=np.repeat(list(parts), [part.num_rows for part in parts.values()]),
    )


def _origin(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return None
    return json.loads(metadata.get(b"dfgame", b"null"))


def _write_video_scores(path: Path, parts: dict[str, pa.Table]) -> None:
    """A row a video and, last of the columns where a protocol has several test sets, a test set."""
    columns = ("label", "method", "compression")
    test_column = [] if list(parts) == [""] else ["test"]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video", *columns, "p_fake", *test_column])
        for test, table in parts.items():
            values = zip(*(table[name].to_pylist() for name in columns), strict=True)
            facts = dict(zip(table["video"].to_pylist(), values, strict=True))
            names, means = video_means(table["video"].to_pylist(), table["p_fake"].to_numpy())
            own = [test] if test_column else []
            writer.writerows([name, *facts[name], mean, *own] for name, mean in zip(names, means, strict=True))
