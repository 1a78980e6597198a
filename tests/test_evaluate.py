"""Evaluation on made-up manifests and scores: pairing, averaging, claims, refusals, going on."""

import csv
import json
import shlex
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from dfgame.cli import app, main
from dfgame.config import EvaluateConfig
from dfgame.evaluate import evaluate_runs
from dfgame.evaluate.measure import measure_run
from dfgame.evaluate.scored import Scores
from dfgame.metrics import Roc
from dfgame.players import Entry, Training, identify
from dfgame.records import UserError
from dfgame.report.cross import cross_matrices
from dfgame.report.files import write_report
from dfgame.report.terminal import terminal_tables
from dfgame.summary import (
    FEWEST_PEOPLE,
    UNSEEN,
    Cell,
    Evidence,
    Result,
    RunEvidence,
    in_order,
    summarise,
)
from synthetic_runs import METHODS, SKILL, made_up_scorer, manifest_rows, read_run, write_rows, write_run

CONFIG = EvaluateConfig(replicates=200)
FIELDS = [
    *("game", "train_method", "train_compression", "test_method", "test_compression", "level"),
    *("auc", "auc_low", "auc_high", "ap", "eer", "accuracy", "n_real", "n_fake", "seed"),
    *("run", "kind", "dataset", "pooling", "frames", "crop", "people"),
    *(
        "balanced_accuracy",
        "tpr_at_1_fpr",
        "tpr_at_5_fpr",
        "log_loss",
        "ece",
        "cllr",
        "min_cllr",
        "llr_low",
        "llr_high",
    ),
    *("threshold", "threshold_from", "undefined"),
]


@pytest.fixture
def manifest(tmp_path):
    return write_rows(tmp_path / "manifest.parquet", manifest_rows())


def run_evaluation(runs, manifest, out, config=CONFIG, scorer=None):
    return evaluate_runs(runs, manifest, out, config, scorer or made_up_scorer(), read_run)


def test_every_cell_at_both_levels_and_nothing_else(tmp_path, manifest):
    evaluation = run_evaluation([write_run(tmp_path / "plain", "none")], manifest, tmp_path / "out")
    rows = [asdict(result) for result in evaluation.results]
    assert all(list(row) == FIELDS for row in rows)
    cells = [(row["test_method"], row["test_compression"], row["level"]) for row in rows]
    expected = [(m, c, level) for c in ("c23", "c40") for m in METHODS for level in ("frame", "video")]
    assert cells == expected
    assert evaluation.card["level"]["reported"] == ["frame", "video"]
    for row in rows:
        assert (row["game"], row["train_method"], row["train_compression"]) == ("none", "Deepfakes", "c23")
        frames = 3 if row["level"] == "frame" else 1
        assert (row["n_real"], row["n_fake"]) == (24 * frames, 24 * frames)
        assert row["auc_low"] <= row["auc"] <= row["auc_high"]


def test_a_folder_of_runs_is_all_of_them_by_name(tmp_path, manifest):
    runs = [write_run(tmp_path / "runs" / name, "none", seed) for seed, name in enumerate(("b", "a", "c"))]
    (tmp_path / "runs/notes").mkdir()
    other = write_run(tmp_path / "other", "generator")
    evaluation = run_evaluation([other, tmp_path / "runs"], manifest, tmp_path / "out")
    assert [run.name for run in evaluation.runs] == ["other", "a", "b", "c"]
    assert shlex.split(evaluation.settings["command"])[3:7] == list(map(str, (other, runs[1], runs[0], runs[2])))


def test_numbers_are_those_of_the_kept_scores(tmp_path, manifest):
    """From the files alone, by scikit-learn, with the real videos of the same quality as negatives."""
    evaluation = run_evaluation([write_run(tmp_path / "plain", "none")], manifest, tmp_path / "out")
    frames = pq.read_table(tmp_path / "out/scores/plain.frames.parquet").to_pylist()
    assert {row["video"] for row in frames if "/900.mp4" in row["video"]} == set()
    videos = (tmp_path / "out/scores/plain.videos.csv").read_text().splitlines()
    assert videos[0] == "video,label,method,compression,p_fake,llr"
    by_video = [line.split(",") for line in videos[1:]]
    assert {llr for *_, llr in by_video} == {""}, "without validation videos"
    for result in evaluation.results:
        if result.level == "frame":
            rows = [(r["label"], r["method"], r["compression"], r["p_fake"]) for r in frames]
        else:
            rows = [(label, method, quality, float(p)) for _, label, method, quality, p, _ in by_video]
        rows = [
            (label == "fake", p)
            for label, method, quality, p in rows
            if quality == result.test_compression and (label == "real" or method == result.test_method)
        ]
        labels, scores = zip(*rows, strict=True)
        assert result.auc == pytest.approx(roc_auc_score(labels, scores))
        assert result.accuracy == pytest.approx(np.mean((np.array(scores) >= 0.5) == np.array(labels)))


def test_results_do_not_depend_on_the_order_of_rows(tmp_path):
    rows = manifest_rows(people=6)
    first = write_rows(tmp_path / "a" / "manifest.parquet", rows)
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    second = write_rows(tmp_path / "b" / "manifest.parquet", rows)
    run = write_run(tmp_path / "plain", "none")

    def by_name(run, table, folder, config):
        scores = [sum(map(ord, path)) % 97 / 97 for path in table["path"].to_pylist()]
        return table.append_column("p_fake", [scores])

    one = run_evaluation([run], first, tmp_path / "out-a", scorer=by_name)
    two = run_evaluation([run], second, tmp_path / "out-b", scorer=by_name)
    for a, b in zip(one.results, two.results, strict=True):
        assert asdict(a) == pytest.approx(asdict(b))


def test_seeds_are_averaged_and_their_range_kept(tmp_path, manifest):
    runs = [write_run(tmp_path / f"plain-{seed}", "none", seed) for seed in range(3)]
    runs.append(write_run(tmp_path / "game", "generator"))
    evaluation = run_evaluation(runs, manifest, tmp_path / "out", scorer=made_up_scorer(seed_spread=0.3))
    plain, game = evaluation.players
    assert (plain.name, plain.seeds) == ("none", (0, 1, 2))
    assert (game.name, game.seeds) == ("generator", (0,))
    cell = Cell("FaceSwap", "c40")
    by_seed = [
        result.auc
        for result in evaluation.results
        if result.game == "none" and result.level == "video" and (result.test_method, "c40") == cell
        if result.test_compression == "c40"
    ]
    cells = {of: estimate for of, estimate in plain.cells.items() if estimate is not None}
    assert cells[cell].by_seed == pytest.approx(by_seed)
    assert cells[cell].value == pytest.approx(np.mean(by_seed))
    unseen = [cells[Cell(m, c)].value for m in ("FaceSwap", "NeuralTextures") for c in ("c23", "c40")]
    assert plain.unseen is not None and plain.hardest is not None
    assert plain.unseen.value == pytest.approx(np.mean(unseen))
    assert plain.hardest.value == pytest.approx(np.mean([cells[Cell(m, "c40")].value for m in METHODS]))


def test_a_missing_class_is_left_out_with_its_reason(tmp_path, capsys):
    rows = [row for row in manifest_rows() if (row["label"], row["compression"]) != ("real", "c40")]
    path = write_rows(tmp_path / "manifest.parquet", rows)
    evaluation = run_evaluation([write_run(tmp_path / "plain", "none")], path, tmp_path / "out")
    assert {result.test_compression for result in evaluation.results} == {"c23"}
    settings = json.loads((tmp_path / "out/settings.json").read_text())
    assert [(cell["method"], cell["compression"]) for cell in settings["undefined"]] == [
        (method, "c40") for method in METHODS
    ]
    assert {cell["reason"] for cell in settings["undefined"]} == {"no real ones to measure on"}
    assert "left out: plain on FaceSwap c40: no real ones" in capsys.readouterr().err
    write_report(tmp_path / "out", evaluation)
    left_out = json.loads((tmp_path / "out/results.json").read_text())["left_out"]
    words = {"run": "plain", "test_compression": "c40", "reason": "no real ones to measure on"}
    assert left_out == [{**words, "test_method": method} for method in METHODS]


def test_scores_that_are_not_numbers_are_no_results(tmp_path, manifest):
    def broken(run, table, folder, config):
        return table.append_column("p_fake", [np.full(table.num_rows, np.nan)])

    with pytest.raises(UserError, match="nothing could be measured") as error:
        run_evaluation([write_run(tmp_path / "plain", "none")], manifest, tmp_path / "out", scorer=broken)
    assert "no fake ones were scored" in error.value.remedy


def test_a_person_in_train_and_test_is_refused(tmp_path):
    rows = manifest_rows(people=6)
    rows.append({**rows[-1], "identity": "900", "source": "003", "path": "x.png"})
    path = write_rows(tmp_path / "manifest.parquet", rows)
    with pytest.raises(UserError, match="003"):
        run_evaluation([write_run(tmp_path / "plain", "none")], path, tmp_path / "out")


@pytest.mark.parametrize(
    ("config", "problem", "remedy"),
    [
        (replace(CONFIG, split="val"), "no rows in the split val", "test, train"),
        (replace(CONFIG, methods=("Face3Face",)), "--methods Face3Face", "FaceSwap"),
        (replace(CONFIG, compressions=("c50",)), "--compressions c50", "c23, c40"),
    ],
)
def test_a_choice_that_is_not_there(tmp_path, manifest, config, problem, remedy):
    with pytest.raises(UserError) as error:
        run_evaluation([write_run(tmp_path / "plain", "none")], manifest, tmp_path / "out", config)
    assert problem in error.value.problem
    assert remedy in error.value.remedy


def test_every_split_at_once(tmp_path, manifest):
    rows = [*manifest_rows(), *(row | {"split": None} for row in manifest_rows(people=4))]
    for row in rows:
        if row["split"] is None:
            row |= {"identity": f"9{row['identity']}", "video": f"more/{row['video']}"}
            row |= {"source": row["source"] and f"9{row['source']}"}
    path = write_rows(tmp_path / "all.parquet", rows)
    run = write_run(tmp_path / "plain", "none")
    evaluation = run_evaluation([run], path, tmp_path / "out", replace(CONFIG, split="all"))
    assert evaluation.settings["counts"]["frames"] == len(rows)
    leaking = write_rows(tmp_path / "leak.parquet", [*rows, rows[0] | {"split": "train"}])
    with pytest.raises(UserError, match="in two splits"):
        run_evaluation([run], leaking, tmp_path / "leak", replace(CONFIG, split="all"))


def test_at_most_so_many_frames_a_video_spread_over_it(tmp_path):
    rows = [row for row in manifest_rows(people=4, frames=7) if row["frame"] < 2 or "/000.mp4" not in row["video"]]
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    path = write_rows(tmp_path / "manifest.parquet", rows)
    run, out = write_run(tmp_path / "plain", "none"), tmp_path / "out"
    run_evaluation([run], path, out, replace(CONFIG, frames=3))
    kept = pq.read_table(out / "scores/plain.frames.parquet").to_pylist()
    assert [row["path"] for row in kept] == [r["path"] for r in rows if r["path"] in {k["path"] for k in kept}]
    of_video = {row["video"]: sorted(k["frame"] for k in kept if k["video"] == row["video"]) for row in kept}
    assert set(of_video) == {row["video"] for row in rows if row["split"] == "test"}
    for video, frames in of_video.items():
        assert frames == ([0, 1] if "/000.mp4" in video else [0, 3, 6])
    run_evaluation([run], path, out)
    assert pq.read_table(out / "scores/plain.frames.parquet").num_rows > len(kept)


def test_a_choice_of_methods_and_qualities_keeps_the_real_videos(tmp_path, manifest):
    config = replace(CONFIG, methods=("FaceSwap",), compressions=("c40",))
    evaluation = run_evaluation([write_run(tmp_path / "plain", "none")], manifest, tmp_path / "out", config)
    rows = {(r.test_method, r.test_compression, r.n_real) for r in evaluation.results if r.level == "video"}
    assert rows == {("FaceSwap", "c40", 24)}


def test_results_are_replaced_only_when_told(tmp_path, manifest):
    runs = [write_run(tmp_path / "plain", "none"), write_run(tmp_path / "game", "generator")]
    out = tmp_path / "out"
    write_report(out, run_evaluation(runs[:1], manifest, out))
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(UserError, match="another evaluation") as error:
        run_evaluation(runs, manifest, out)
    assert "--overwrite" in error.value.remedy
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    write_report(out, run_evaluation(runs, manifest, out, replace(CONFIG, overwrite=True)))
    found = json.loads((out / "results.json").read_text())
    assert {row["game"] for row in found["results"]} == {"none", "generator"}

    def interrupted(run, table, folder, config):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_runs(runs, manifest, out, replace(CONFIG, frames=1, overwrite=True), interrupted, read_run)
    assert not (out / "results.json").exists(), "once it is there, all is, and of one evaluation"


def test_how_it_is_computed_does_not_make_another_evaluation(tmp_path, manifest):
    run, out = write_run(tmp_path / "plain", "none"), tmp_path / "out"
    write_report(out, run_evaluation([run], manifest, out))
    again = run_evaluation([run], manifest, out, replace(CONFIG, batch_size=7, workers=0, device="cpu"))
    assert again.settings["asked"] == json.loads((out / "settings.json").read_text())["asked"]
    with pytest.raises(UserError, match="another evaluation"):
        run_evaluation([run], manifest, out, replace(CONFIG, seed=1))


def test_a_missing_checkpoint_is_told_before_anything_is_scored(tmp_path, manifest):
    runs = [write_run(tmp_path / "plain", "none"), write_run(tmp_path / "game", "generator")]
    (runs[0] / "last.safetensors").touch()
    (runs[1] / "epoch_005.safetensors").touch()

    def never(*_):
        raise AssertionError("scored")

    with pytest.raises(UserError) as error:
        run_evaluation(runs, manifest, tmp_path / "out", replace(CONFIG, checkpoint="last"), never)
    assert error.value.problem == f"{runs[1] / 'last.safetensors'}: no such checkpoint"
    assert error.value.remedy == "choose another --checkpoint; this run has: best, epoch_005"


def test_an_unfinished_run_is_told(tmp_path, manifest, capsys):
    runs = [write_run(tmp_path / name, "none", seed) for seed, name in enumerate(["done", "cut", "silent", "old"])]

    def how_far(run):
        info = read_run(run)
        if run.name == "old":
            del info["config"]["epochs"]
        return info | {"done": {"epochs_done": 120}, "silent": {}}.get(run.name, {"epochs_done": 7})

    evaluation = evaluate_runs(runs, manifest, tmp_path / "out", CONFIG, made_up_scorer(), how_far)
    assert evaluation.settings["unfinished"] == [{"run": "cut", "done": 7, "epochs": 120}]
    assert capsys.readouterr().err.startswith("cut: not finished, 7 of 120 epochs\nwarning: not known whether")
    page = write_report(tmp_path / "out", evaluation).read_text()
    assert "Training has not finished: cut (7 of 120 epochs)." in page


def test_an_interrupted_evaluation_goes_on(tmp_path, manifest):
    runs = [write_run(tmp_path / "plain", "none"), write_run(tmp_path / "game", "generator")]
    out, scored = tmp_path / "method=all", []
    scorer = made_up_scorer()

    def interrupted(run, table, folder, config):
        if run.name == "game" and "game" not in scored:
            scored.append("game")
            raise KeyboardInterrupt
        scored.append(run.name)
        return scorer(run, table, folder, config)

    with pytest.raises(KeyboardInterrupt):
        run_evaluation(runs, manifest, out, scorer=interrupted)
    again = run_evaluation(runs, manifest, out, scorer=interrupted)
    assert scored == ["plain", "game", "game"]
    fresh = run_evaluation(runs, manifest, tmp_path / "fresh")
    assert again.results == fresh.results
    (runs[0] / "best.safetensors").write_bytes(b"other weights")
    run_evaluation(runs, manifest, out, scorer=interrupted)
    assert scored == ["plain", "game", "game", "plain"]


def test_identify_names_players_by_what_differs(tmp_path):
    runs = [
        write_run(tmp_path / "a", "generator"),
        write_run(tmp_path / "b" / "a", "generator", image_size=128, workers=4, hist_interval=9),
        write_run(tmp_path / "c", "generator", seed=1),
        write_run(tmp_path / "d", "none"),
    ]
    entries = identify(runs, [read_run(run) for run in runs])
    assert [entry.name for entry in entries] == ["a", "a-2", "c", "d"]
    assert [entry.player for entry in entries] == [
        "generator (image-size 256)",
        "generator (image-size 128)",
        "generator (image-size 256)",
        "none",
    ]


def test_runs_of_two_manifests_are_two_players(tmp_path):
    runs = [write_run(tmp_path / name, "none", seed) for seed, name in enumerate("abc")]
    hashes = ["0" * 64, "f" * 64, "f" * 64]
    infos = [{**read_run(run), "data": {"manifest_sha256": of_run}} for run, of_run in zip(runs, hashes, strict=True)]
    players = [entry.player for entry in identify(runs, infos)]
    assert players == ["none (manifest 00000000)", "none (manifest ffffffff)", "none (manifest ffffffff)"]


def test_players_of_several_trainings_are_one_only_with_the_same_settings(tmp_path):
    """Else what the settings did would stand in one matrix as what the forgeries do."""
    runs = [
        write_run(tmp_path / "a", "none", methods=("Deepfakes",)),
        write_run(tmp_path / "b", "none", methods=("FaceSwap",), image_size=112),
        write_run(tmp_path / "c", "generator", methods=("FaceSwap",)),
    ]
    hashes = ["0" * 64, "f" * 64, "f" * 64]
    infos = [{**read_run(run), "data": {"manifest_sha256": of_run}} for run, of_run in zip(runs, hashes, strict=True)]
    players = [entry.player for entry in identify(runs, infos)]
    assert players == ["none (image-size 256)", "none (image-size 112)", "generator"]
    infos[1]["config"]["image_size"] = 256
    assert [entry.player for entry in identify(runs, infos)] == ["none", "none", "generator"]


def test_all_methods_of_two_manifests_are_two_trainings(tmp_path):
    """What one of them never had is unseen by its run alone."""
    runs = [write_run(tmp_path / name, "none", seed, methods=()) for seed, name in enumerate("abc")]
    had = [["Deepfakes", "original"], ["FaceSwap", "original"], ["FaceSwap", "original"]]
    infos = [
        {
            **read_run(run),
            "data": {"manifest_sha256": "0f"[methods == had[1]] * 64, "trained_on": {"methods": methods}},
        }
        for run, methods in zip(runs, had, strict=True)
    ]
    first, second, third = (entry.training for entry in identify(runs, infos))
    assert first != second == third and (first.method_words, second.method_words) == ("Deepfakes", "FaceSwap")
    assert [first.saw("Deepfakes"), first.saw("FaceSwap"), second.saw("Deepfakes")] == [True, False, False]
    manifest = write_rows(tmp_path / "manifest.parquet", manifest_rows(people=8, frames=2))
    of_run = dict(zip(runs, infos, strict=True))
    found = evaluate_runs(runs, manifest, tmp_path / "out", CONFIG, made_up_scorer(), lambda run: of_run[run])
    unseen = [
        {cell.method for cell in player.cells if player.training.saw(cell.method) is False} for player in found.players
    ]
    assert unseen == [{"FaceSwap", "NeuralTextures"}, {"Deepfakes", "NeuralTextures"}]
    assert len(cross_matrices(found)) == 2


def test_a_setting_that_an_older_run_does_not_know_is_at_its_default(tmp_path):
    runs = [write_run(tmp_path / name, "none", seed) for seed, name in enumerate("abc")]
    infos = [read_run(run) for run in runs]
    del infos[0]["config"]["precision"], infos[0]["config"]["blur"]
    assert {entry.player for entry in identify(runs, infos)} == {"none"}
    infos[2]["config"]["precision"] = "bf16"
    players = [entry.player for entry in identify(runs, infos)]
    assert players == ["none (precision fp32)", "none (precision fp32)", "none (precision bf16)"]


def test_a_seed_counted_twice_is_refused(tmp_path):
    runs = [write_run(tmp_path / "a", "none"), write_run(tmp_path / "b", "none", device="cpu")]
    with pytest.raises(UserError, match="the same seed"):
        identify(runs, [read_run(run) for run in runs])


def test_training_words():
    everything = Training((), ())
    assert everything.saw("anything")
    folder = Training((), (), had=("unknown",))
    assert (folder.saw("unknown"), folder.saw("unknown of B"), folder.saw("FaceSwap of B")) == (True, None, False)
    assert (everything.method_words, everything.compression_words) == ("all", "all")
    two = Training(("Deepfakes", "FaceSwap"), ("c23", "c40"))
    assert (two.saw("FaceSwap"), two.saw("Face2Face")) == (True, False)
    assert (two.method_words, two.compression_words) == ("Deepfakes+FaceSwap", "c23+c40")


def test_cells_go_from_light_to_heavy():
    cells = [Cell("Other", "c40"), Cell("FaceSwap", "c40"), Cell("FaceSwap", "raw"), Cell("Deepfakes", "c40")]
    assert in_order(cells) == [
        Cell("FaceSwap", "raw"),
        Cell("Deepfakes", "c40"),
        Cell("FaceSwap", "c40"),
        Cell("Other", "c40"),
    ]


def _evidence(player: str, aucs: list[float], people: int = 40, noise: float = 0.01) -> list[RunEvidence]:
    """Runs of a player, one a seed, whose replicates share their luck with others'; 60 videos of a class."""
    luck = np.random.default_rng(0).normal(size=400) * 0.05
    own = np.random.default_rng(sum(map(ord, player))).normal(size=400) * noise
    curve = Roc(np.array([0.0, 1]), np.array([0.0, 1]), np.array([1.0, 0]))
    cell = Cell("FaceSwap", "c23")
    runs = []
    for seed, auc in enumerate(aucs):
        result = Result(player, "Deepfakes", "c23", *cell, "video", auc, 0, 1, auc, 1 - auc, auc, 60, 60, seed)
        names, labels = tuple(map(str, range(120))), np.repeat([0, 1], 60)
        of = tuple(f"person {number % (60 if number < 60 else people)}" for number in range(120))
        evidence = Evidence(result, auc + luck + own, curve, names, of, labels)
        runs.append(RunEvidence(player, Training(("Deepfakes",), ("c23",)), seed, {cell: evidence}))
    return runs


@pytest.mark.parametrize(
    ("rival", "people", "verdict"),
    [
        ([0.70], 40, "supported"),
        ([0.79], 40, "within the intervals"),
        ([0.70], FEWEST_PEOPLE, "supported"),
        ([0.70], FEWEST_PEOPLE - 1, "too few people"),
        ([0.50, 0.81], 40, "seeds overlap"),
        (None, 40, "alone"),
    ],
)
def test_the_best_is_called_so_only_if_the_evidence_supports_it(rival, people, verdict):
    """However many videos there are: of too few people nothing is claimed."""
    runs = _evidence("best", [0.8, 0.82], people)
    if rival is not None:
        runs += _evidence("rival", rival, people)
    (comparison,) = summarise([], runs, {}).comparisons
    assert (comparison.subject, comparison.best, comparison.verdict) == (UNSEEN, "best", verdict)
    assert comparison.fewest_people == people


def test_players_that_scored_other_videos_are_not_compared():
    """A lead that the intervals support is not said where the draws are no pairs."""
    best, rival = _evidence("best", [0.8]), _evidence("rival", [0.7])
    for run, names in ((best[0], ("a", "b")), (rival[0], ("a", "c"))):
        for cell, evidence in run.cells.items():
            run.cells[cell] = replace(evidence, names=names)
    (comparison,) = summarise([], best + rival, {}).comparisons
    assert (comparison.best, comparison.verdict) == ("best", "other videos")


def test_comparisons_are_paired():
    """A lead far smaller than the intervals is supported if it is there on every resampled test set."""
    runs = _evidence("best", [0.80], noise=0.001) + _evidence("rival", [0.78], noise=0.001)
    evaluation = summarise([], runs, {})
    first, second = (player.unseen for player in evaluation.players)
    assert first is not None and second is not None
    assert first.low is not None and second.high is not None and first.low < second.high
    assert evaluation.comparisons[0].verdict == "supported"


def test_more_rivals_ask_for_a_wider_interval():
    def width(rivals: int) -> float:
        runs = _evidence("best", [0.8])
        for number in range(rivals):
            runs += _evidence(f"rival {number}", [0.7])
        first = summarise([], runs, {}).comparisons[0].rivals[0]
        return first[2] - first[1]

    assert width(4) > width(1)


def test_the_same_clip_at_two_qualities_is_drawn_together():
    """Two qualities with the same scores: the mean over them varies as one does, not less."""
    rng = np.random.default_rng(0)
    methods, compressions, videos, labels, scores = [], [], [], [], []
    for index in range(30):
        fake, score = index % 2, rng.normal()
        for quality in ("c23", "c40"):
            methods.append("FaceSwap" if fake else "original")
            compressions.append(quality)
            videos.append(f"data/{quality}/videos/{index}.mp4")
            labels.append(fake)
            scores.append(score + fake)
    datasets, tests = ["data"] * len(videos), [""] * len(videos)
    people = [f"person {number // 2}" for number in range(len(videos))]
    columns: list[Any] = [labels, scores, methods, compressions, videos, datasets, tests, videos, people]
    arrays = Scores(*map(np.array, columns), by={})
    entry = Entry(Path("run"), "run", "none", Training((), ()), 0, {})
    cells = measure_run(entry, arrays, arrays.where(arrays.labels < 0), replace(CONFIG, replicates=100)).cells
    light, heavy = cells.values()
    assert light.replicates is not None and heavy.replicates is not None
    assert (light.replicates == heavy.replicates).all()
    assert light.replicates.std() > 0


def test_one_person_in_a_class_costs_the_interval_and_nothing_else(tmp_path):
    """All real videos are of one person: what does not rest on drawing people is measured all the same."""
    rows = manifest_rows(people=6)
    for row in rows:
        row["identity"] = "000" if row["label"] == "real" and row["split"] == "test" else row["identity"]
    path, runs = write_rows(tmp_path / "m.parquet", rows), [write_run(tmp_path / name, name) for name in SKILL]
    evaluation = run_evaluation(runs, path, tmp_path / "out")
    assert not evaluation.settings["undefined"] and len(evaluation.results) == 3 * 2 * 2 * len(METHODS)
    for result in evaluation.results:
        assert result.auc > 0.5 and result.ap > 0.5 and result.auc_low is None and result.auc_high is None
        assert "auc_low: an interval needs at least two people of each class" in result.undefined
    assert {one.verdict for one in evaluation.comparisons} == {"too few people"}
    assert all(pair.low is None and "two people" in pair.undefined for pair in evaluation.pairs)
    page = write_report(tmp_path / "out", evaluation).read_text()
    assert "an interval needs at least two people of each class" in page
    assert {(row["auc_low"], row["auc_high"]) for row in csv.DictReader((tmp_path / "out/figure_auc.csv").open())} == {
        ("", "")
    }


def test_a_cell_that_one_detector_lacks_is_shown_as_not_scored(tmp_path, capsys):
    """One scored FaceSwap alone and the other Deepfakes alone: both are told, and none of them is compared."""
    rows = manifest_rows(people=6, compressions=("c23",))
    path = write_rows(tmp_path / "m.parquet", rows)
    files = []
    for method in ("Deepfakes", "FaceSwap"):
        chosen = {row["video"]: len(row["video"]) % 7 + (row["label"] == "fake") for row in rows}
        chosen = {row["video"]: chosen[row["video"]] for row in rows if row["method"] in ("original", method)}
        files.append(tmp_path / f"{method}.csv")
        files[-1].write_text("path,score\n" + "".join(f"{name},{score}\n" for name, score in chosen.items()))
    evaluation = run_evaluation(files, path, tmp_path / "out")
    told = [(cell["run"], cell["method"], cell["reason"]) for cell in evaluation.settings["undefined"]]
    reason = "no fake ones were scored"
    assert told == [
        ("Deepfakes", "FaceSwap", reason),
        ("Deepfakes", "NeuralTextures", reason),
        ("FaceSwap", "Deepfakes", reason),
        ("FaceSwap", "NeuralTextures", reason),
    ]
    first, second = evaluation.players
    cells = [Cell("Deepfakes", "c23"), Cell("FaceSwap", "c23")]
    assert list(first.cells) == list(second.cells) == cells
    assert [first.cells[cell] is None for cell in cells] == [False, True]
    assert [second.cells[cell] is None for cell in cells] == [True, False]
    assert not evaluation.comparisons and not evaluation.pairs
    console = Console(file=StringIO(), width=80)
    for table in terminal_tables(evaluation):
        console.print(table)
    assert console.file.getvalue().count("not scored") == 2  # type: ignore[attr-defined]
    page = write_report(tmp_path / "out", evaluation).read_text()
    assert "FaceSwap not scored" in page and "Left out: FaceSwap on Deepfakes at c23" in page


def test_settings_say_what_was_done(tmp_path, manifest):
    runs = [write_run(tmp_path / "plain", "none"), write_run(tmp_path / "plain-1", "none", seed=1)]
    config = replace(CONFIG, methods=("FaceSwap",), seed=7)
    run_evaluation(runs, manifest, tmp_path / "out", config)
    settings = json.loads((tmp_path / "out/settings.json").read_text())
    assert settings["counts"] == {
        "identities": 24,
        "videos": 96,
        "real_videos": 48,
        "fake_videos": 48,
        "frames": 288,
    }
    assert settings["datasets"] == ["Made-up Faces"]
    assert (settings["threshold"], settings["seeds"], settings["replicates"]) == (0.5, 2, 200)
    assert settings["asked"]["config"]["seed"] == 7
    assert [run["config"]["seed"] for run in settings["runs"]] == [0, 1]
    words = settings["command"].split()
    _, bound, _ = app.parse_args(words[1:])
    assert bound.arguments["settings"] == config
    assert bound.arguments["out"] == tmp_path / "out"
    assert (bound.arguments["manifest"], *bound.arguments["runs"]) == (manifest, *runs)


def test_a_run_of_another_manifest_is_told(tmp_path, manifest):
    def elsewhere(run):
        return {**read_run(run), "data": {"manifest_sha256": "0" * 64}}

    run = write_run(tmp_path / "plain", "none")
    evaluation = evaluate_runs([run], manifest, tmp_path / "out", CONFIG, made_up_scorer(), elsewhere)
    assert evaluation.settings["other_manifest"] == ["plain"]


def call(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code, capsys.readouterr()


def test_the_command_from_end_to_end(tmp_path, manifest, monkeypatch, capsys):
    monkeypatch.setattr("dfgame.score.score_run", made_up_scorer())
    monkeypatch.setattr("dfgame.score.run_info", read_run)
    runs = [write_run(tmp_path / "plain", "none"), write_run(tmp_path / "game", "generator")]
    out = tmp_path / "out"
    words = ("evaluate", manifest, *runs, "--out", out, "--replicates", 200)
    code, said = call(capsys, *words)
    assert code == 0
    assert "NeuralTextures" in said.out and "unseen" in said.out and str(out / "report.html") in said.out
    assert {path.name for path in out.iterdir()} == {
        *("report.html", "results.json", "results.csv", "settings.json", "card.json", "scores"),
        *("curves.csv", "figure_auc.csv", "figure_roc.csv"),
    }
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    code, _ = call(capsys, *words)
    assert code == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    code, said = call(capsys, *words, "--methods", "FaceSwap")
    assert code == 2
    assert "--overwrite" in said.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_command_says_when_something_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("dfgame.score.score_run", made_up_scorer())
    monkeypatch.setattr("dfgame.score.run_info", read_run)
    rows = [row for row in manifest_rows(people=4) if (row["label"], row["compression"]) != ("real", "c40")]
    path = write_rows(tmp_path / "manifest.parquet", rows)
    run = write_run(tmp_path / "plain", "none")
    assert call(capsys, "evaluate", path, run, "--out", tmp_path / "out")[0] == 1
    code, said = call(capsys, "evaluate", path, "--out", tmp_path / "none")
    assert code == 2
    assert "RUN" in said.err
