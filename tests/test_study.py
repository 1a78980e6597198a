"""The study: its arithmetic against hand-worked cases, its sentences, and the whole of it, tiny."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import study
from study_analysis import Mean, analyse, compared, main_subjects, mean_of, pooled, seed_interval, supported
from study_page import _robustness, _sides, clock, sentences, study_page
from study_runs import PLAIN, PLAYERS, Named, RunJob, Runs, config_of, timed_rounds, train_all

from dfgame.config import DetectorConfig
from dfgame.files import write_json
from dfgame.metrics import Roc
from dfgame.players import Training
from dfgame.records import METHODS, UserError
from dfgame.summary import FEWEST_PEOPLE, Cell, Evidence, Result, RunEvidence

CELLS = [Cell(method, quality) for quality in ("c23", "c40") for method in METHODS]


def evidence(player: str, seed: int, aucs: dict[Cell, float], videos: int = 30, spread: float = 0.01) -> RunEvidence:
    """A run with these AUCs, whose replicates lie around them, those of all runs alike."""
    cells = {}
    for number, (cell, auc) in enumerate(aucs.items()):
        draws = auc + spread * np.random.default_rng(number).normal(size=500)
        result = Result(player, "FaceSwap", "c23", *cell, "video", auc, 0.0, 1.0, 0.5, 0.5, 0.5, videos, videos, seed)
        people, labels = tuple(map(str, range(videos))) * 2, np.repeat([0, 1], videos)
        cells[cell] = Evidence(result, draws, Roc(np.zeros(2), np.zeros(2), np.zeros(2)), people, people, labels)
    return RunEvidence(player, Training(("FaceSwap",), ("c23",)), seed, cells)


def runs_of(player: str, aucs: list[float], **more: Any) -> list[RunEvidence]:
    """A run a seed, with the same AUC on every cell, a tenth better on the method trained on."""
    return [
        evidence(player, seed, {cell: auc + 0.1 * (cell.method == "FaceSwap") for cell in CELLS}, **more)
        for seed, auc in enumerate(aucs)
    ]


def test_the_interval_over_seeds_is_students():
    """Of 1, 2, 3, 4, 5: mean 3, standard error 0.7071, and 2.7764 of these at 4 degrees of freedom."""
    low, high = seed_interval(np.arange(1.0, 6.0)) or (0, 0)
    assert (low, high) == pytest.approx((3 - 1.9633, 3 + 1.9633), abs=1e-4)
    assert seed_interval(np.array([0.5])) is None


def test_subjects_are_the_forgery_trained_on_and_the_others():
    found = main_subjects(CELLS, "FaceSwap")
    assert list(found) == ["trained on at c23", "unseen at c23", "trained on at c40", "unseen at c40"]
    assert found["trained on at c40"] == [Cell("FaceSwap", "c40")]
    assert [cell.method for cell in found["unseen at c23"]] == ["Deepfakes", "Face2Face", "NeuralTextures"]


def test_differences_are_paired_by_seed_and_by_replicate():
    plain, game = runs_of("none", [0.6, 0.7, 0.8]), runs_of("gradient", [0.65, 0.76, 0.84])
    found = compared({"none": mean_of(plain, CELLS[:1]), "gradient": mean_of(game, CELLS[:1])})
    assert found["gradient"]["ahead_by_seed"] == pytest.approx([0.05, 0.06, 0.04])
    assert found["gradient"]["ahead_of_none"] == pytest.approx(0.05)
    low, high = found["gradient"]["ahead_interval"]
    assert (low, high) == pytest.approx((0.05, 0.05)), "both have the same replicates but for their means"
    low, high = found["gradient"]["interval"]
    assert high - low == pytest.approx(2 * 1.96 * 0.01, rel=0.15)
    assert found["none"]["ahead_of_none"] == 0 and not found["none"]["ahead_supported"]


def difference(by_seed: list[float], low: float, high: float, people: int = FEWEST_PEOPLE) -> Mean:
    return Mean(np.array(by_seed), np.linspace(low, high, 1001), people)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (difference([0.10, 0.11, 0.12], 0.05, 0.15), True),
        (difference([-0.10, -0.11, -0.12], -0.15, -0.05), True),
        (difference([0.10, 0.11, 0.12], -0.05, 0.25), False),
        (difference([-0.30, 0.11, 0.52], 0.05, 0.15), False),
        (difference([0.11], 0.05, 0.15), False),
        (difference([0.10, 0.11, 0.12], 0.05, 0.15, FEWEST_PEOPLE - 1), False),
    ],
)
def test_a_difference_needs_videos_seeds_and_enough_of_them(found, holds):
    assert supported(found, 1) == holds


def test_more_comparisons_need_more():
    """Of 0.02, 0.06, 0.07: the 95% interval is 0.05 +- 0.0657 (4.3027 standard errors of 0.0153), at 80% +- 0.0288."""
    one = difference([0.02, 0.06, 0.07], 0.02, 0.1)
    assert not supported(one, 1)
    near = difference([0.04, 0.06, 0.07], 0.02, 0.1)
    assert supported(near, 1) and not supported(near, 4)


def test_pooling_counts_each_training_once():
    one, other = (
        Mean(np.array([0.6, 0.8]), np.array([0.7, 0.7]), 30),
        Mean(np.array([0.4, 0.5]), np.array([0.4, 0.5]), 20),
    )
    both = pooled([one, other])
    assert both.by_seed == pytest.approx([0.5, 0.65]) and both.draws == pytest.approx([0.55, 0.6])
    assert both.fewest_people == 20


@pytest.fixture
def found() -> dict[str, Any]:
    """A study in which the gradient player is ahead everywhere, and the additive one is not told apart."""
    groups = {
        "none": runs_of("none", [0.70, 0.71, 0.72]),
        "gradient": runs_of("gradient", [0.80, 0.81, 0.83]),
        "additive": runs_of("additive", [0.40, 0.81, 0.99]),
    }
    shared = {"methods": ["FaceSwap", "Deepfakes"], "seeds": 3}
    return json.loads(json.dumps(shared | analyse({"FaceSwap": groups, "Deepfakes": groups})))


def test_sentences_say_only_what_both_intervals_bear(found):
    said = sentences(found)
    assert "Over all trainings, unseen at c23: gradient is ahead of plain training by 0.103 AUC" in " ".join(said)
    assert "Over all trainings, unseen at c40: additive cannot be told from plain training." in said
    sides = "gradient ahead of plain training, additive not to be told from it"
    assert f"Trained on Deepfakes, unseen at c23: {sides}." in said
    assert not [sentence for sentence in said if "additive is" in sentence]
    one = {**found, "methods": ["FaceSwap"], "trainings": {"FaceSwap": found["trainings"]["FaceSwap"]}}
    assert not [sentence for sentence in sentences(one) if "ver all trainings" in sentence]
    behind = found["pooled"]["unseen at c23"]["gradient"]
    behind |= {"ahead_of_none": -0.1, "ahead_interval": [-0.2, -0.05], "ahead_seed_interval": [-0.15, -0.05]}
    assert "gradient is behind plain training by 0.100 AUC (over people -0.200 to -0.050" in " ".join(sentences(found))


def test_what_is_lost_on_other_forgeries_is_said(found):
    gaps = found["gaps"]["none"]
    path = "from the forgery trained on to the others, at c23"
    assert gaps[path]["lost"] == pytest.approx((0.1 + (0 - 0.1 / 3)) / 2, abs=1e-9)
    assert f"Plain training loses 0.033 AUC {path} (loss over people " in " ".join(sentences(found))
    gaps[path]["supported"] = False
    assert path not in " ".join(sentences(found))


def test_clocks():
    assert [clock(seconds) for seconds in (40, 61, 3599, 3600 * 4 + 1260)] == [
        "40 s",
        "1 min",
        "1 h 0 min",
        "4 h 21 min",
    ]


def test_every_player_can_be_trained_and_differs_from_plain():
    configs = {player: config_of(PLAIN, player, "FaceSwap", 40, 1) for player in PLAYERS}
    assert all(config.rounds == 40 and config.methods == ("FaceSwap",) for config in configs.values())
    assert len({repr(replace(config, seed=0)) for config in configs.values()}) == len(PLAYERS)


@pytest.mark.parametrize(
    "words",
    [
        ["out", "--seeds", "0"],
        ["out", "--search", "gradient", "--search-seeds", "9"],
        ["out", "--faces", "a", "--crops", "b"],
        ["out", "--crops", "b", "--data", "nowhere"],
        ["out", "--data", "."],
        ["out", "--elsewhere", "nowhere.parquet"],
        [],
    ],
)
def test_wrong_use_ends_before_any_work(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        study.main(words)
    assert ended.value.code == 2 and not list(tmp_path.iterdir())


TINY = replace(
    PLAIN,
    detector=DetectorConfig(backbone="test_efficientnet", pretrained=False),
    image_size=32,
    batch_size=4,
    val_images=4,
)
SHORT = ["--robust-people", "0", "--seconds", "0.001"]
WORDS = [*SHORT, "--seeds", "2", "--methods", "FaceSwap", "Deepfakes", "--players", "random-blur"]


def test_robustness_is_measured_of_the_first_seed_of_each_player(tmp_path, monkeypatch):
    called = []

    def run(words, check):
        called.append(words)
        out = Path(words[words.index("--out") + 1])
        points = [("none", None, 0.9), ("crf", 43, 0.6)]
        rows = [
            {"subject": f"FaceSwap-{player}-0", "transformation": what, "strength": strength, "auc": auc}
            | {"low": None if player == "none" else 0.5, "high": 0.95, "n_real": 30, "n_fake": 120}
            for player in ("none", "gradient")
            for what, strength, auc in points
        ]
        origin = {"asked": {"origin": {"done_to": "crops"}}}
        lost = [{"path": "a.mp4", "reason": "no such file"}]
        if len(called) < 3:
            told = {"rows": rows, "settings": origin, "failures": lost, "not_done": ["crf: not done"]}
            write_json(out / "robustness.json", told)
        return subprocess.CompletedProcess(words, (0, 1, 1, 2)[len(called) - 1])

    monkeypatch.setattr("subprocess.run", run)
    (tmp_path / "tree").mkdir()
    monkeypatch.chdir(tmp_path)
    asked = study._parsed([str(tmp_path), "--crops", "m.parquet", "--data", "tree", "--methods", "FaceSwap"])
    runs = Runs(tmp_path, Path("m.parquet"), PLAIN, {})
    curves = study._robustness(asked, runs, ["none", "gradient"])
    words = called[0]
    named = [str(tmp_path / "runs" / f"FaceSwap-{player}-0") for player in ("none", "gradient")]
    assert words[1:7] == ["-m", "dfgame", "robustness", "m.parquet", *named]
    assert words[words.index("--data") + 1] == "tree" and words[words.index("--people") + 1] == "30"
    assert [row["player"] for row in curves["rows"]] == ["none", "none", "gradient", "gradient"]
    assert study._robustness(asked, runs, ["none", "gradient"]) == curves, "1: something could not be used"
    for code in (1, 2):  # a crash, and wrong use: the curves of an earlier call are not taken for new ones
        with pytest.raises(UserError, match=f"exit code {code}"):
            study._robustness(asked, runs, ["none", "gradient"])
    table = _robustness({"robustness": curves, "methods": ["FaceSwap"]})
    assert "made worse were the stored crops" in table and "1 video could not be used. Crf: not done." in table
    assert "| crf | 43 | 0.600 | 0.600 0.500–0.950 |" in table and "| nothing | – | 0.900 |" in table


def test_a_timing_that_was_interrupted_begins_anew(tmp_path, monkeypatch):
    for name, record in (("none", {"images_per_second": 5.0}), ("gradient", {"history": []})):
        (tmp_path / "timed" / name).mkdir(parents=True)
        write_json(tmp_path / "timed" / name / "run.json", record)
    resumed = []

    def train_run(manifest, run, config):
        resumed.append((run.name, config.resume))
        return {"images_per_second": 8.0} if run.name == "gradient" else {"images_per_second": 5.0}

    monkeypatch.setattr("study_runs.train_run", train_run)
    monkeypatch.setattr("study_runs.run_jobs", lambda work, jobs, workers, name: ((job, work(job)) for job in jobs))
    players = ["none", "gradient"]
    rounds = timed_rounds(tmp_path / "m.parquet", tmp_path, players, 1000.0, PLAIN)
    assert resumed == [("warm-up", False), ("none", True), ("gradient", False)]
    assert rounds["gradient"] > rounds["none"]
    monkeypatch.setattr("study_runs.train_run", lambda *job: {"history": []})
    job = RunJob(tmp_path / "m.parquet", tmp_path / "run", PLAIN)
    assert train_all([job], workers=1) == [0.0], "killed between its last round and its last word"


def test_people_to_test_on_and_players_of_whom_nothing_is_known(crops):
    assert study._test_people(crops) == 3
    entry = {"ahead_supported": False, "ahead_of_none": 0.01}
    assert _sides({"none": {}, "gradient": entry}) == "gradient not to be told from plain training"


def weights(out: Path) -> dict[str, float]:
    return {path.parent.name: path.stat().st_mtime for path in (out / "runs").glob("*/last.safetensors")}


@pytest.mark.slow
def test_the_whole_study(crops, tmp_path, capsys):
    out = tmp_path / "study"
    words = [str(out), "--crops", str(crops), *WORDS]
    assert study.main(words, TINY) == 0
    told = capsys.readouterr().err
    assert "8 runs x 15 s of training" in told and "testing them on 60 crops" in told
    names = {f"{m}-{p}-{s}" for m in ("FaceSwap", "Deepfakes") for p in ("none", "random-blur") for s in (0, 1)}
    assert set(weights(out)) == names
    found = json.loads((out / "study.json").read_text())
    results = json.loads((out / "evaluation" / "results.json").read_text())["results"]
    entry = found["trainings"]["Deepfakes"]["unseen at c40"]["random-blur"]
    for seed in (0, 1):
        aucs = [
            row["auc"]
            for row in results
            if row["train_method"] == "Deepfakes" and row["game"].startswith("random-blur") and row["seed"] == seed
            if row["test_method"] != "Deepfakes" and row["test_compression"] == "c40" and row["level"] == "video"
        ]
        assert entry["by_seed"][seed] == pytest.approx(np.mean(aucs)) and len(aucs) == 3
    page = (out / "study.md").read_text()
    assert "## Over all trainings: on FaceSwap and Deepfakes" in page and "Ahead of plain training:" in page
    assert "AUC of the player random-blur" in page
    assert not [line for line in page.splitlines() if line.startswith("- ") and "plain training by" in line]
    assert len(list((out / "evaluation" / "matrices").glob("*.tex"))) == 3

    before = weights(out)
    others = tmp_path / "others"
    shutil.copytree(crops.parent, others)
    options = [
        "--elsewhere",
        str(others / crops.name),
        "--search",
        "clamped-late",
        "gradient-fake",
        "--search-seeds",
        "1",
    ]
    assert study.main([*words, *options], TINY) == 0
    told = capsys.readouterr().err
    after = weights(out)
    assert {name: after[name] for name in before} == before
    chosen = json.loads((out / "study.json").read_text())["search"]["chosen"]
    assert set(after) - set(before) == {"FaceSwap-clamped-late-0", "FaceSwap-gradient-fake-0", f"FaceSwap-{chosen}-1"}
    again = json.loads((out / "study.json").read_text())
    assert chosen in again["trainings"]["FaceSwap"]["unseen at c23"]
    assert chosen not in again["trainings"]["Deepfakes"]["unseen at c23"]
    assert again["trainings"]["Deepfakes"] == found["trainings"]["Deepfakes"]
    elsewhere = json.loads((out / "elsewhere" / "study.json").read_text())
    assert elsewhere["trainings"] == again["trainings"] and (out / "elsewhere" / "study.md").is_file()


@pytest.mark.slow
def test_runs_that_were_trained_elsewhere_are_taken_over(crops, tmp_path):
    """A run's record has no name: its folder's is its own."""
    here, there = tmp_path / "here", tmp_path / "there"
    words = ["--crops", str(crops), *SHORT, "--seeds", "1", "--methods", "FaceSwap", "--players", "none"]
    study.main([str(here), *words], TINY)
    shutil.copytree(here / "timed", there / "timed")
    shutil.copytree(here / "runs" / "FaceSwap-none-0", there / "runs" / "FaceSwap-none-0")
    before = weights(there)
    study.main([str(there), *words], TINY)
    assert weights(there) == before
    assert Runs(there, crops, TINY, {}).missing([Named("FaceSwap", "none", 0)]) == []
    found = [json.loads((out / "study.json").read_text()) for out in (here, there)]
    assert found[0]["trainings"] == found[1]["trainings"]
    assert study_page(found[0], []).count("## Over all trainings") == 0
