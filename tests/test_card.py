"""The protocol card, the negatives of a data set, and the traps on the way to a number, by hand-worked cases."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from dfgame.config import EvaluateConfig
from dfgame.evaluate import evaluate_runs
from dfgame.evaluate.measure import Measured, measure_run
from dfgame.evaluate.scored import Scores
from dfgame.manifest import read_manifest, write_manifest
from dfgame.players import Entry, Training, identify
from dfgame.records import METHODS, UserError
from dfgame.report.card import card_facts
from dfgame.report.files import write_report
from dfgame.report.terminal import card_table
from dfgame.score import score_run
from dfgame.train import train_run
from synthetic_runs import SMALL, made_up_scorer, manifest_rows, read_run, video_rows, write_rows, write_run

CONFIG = EvaluateConfig(replicates=100)
MADE_BY = {
    "version": "0.1.0",
    "settings": {"frames": 3, "sampling": "first", "size": 256, "margin": 1.3, "alignment": "none"},
    "detector": {"name": "yuface", "version": "2023.5"},
    "sources": [],
    "failures": [
        {"dataset": "Made-up Faces", "label": "fake", "method": "FaceSwap", "compression": "c40", "split": "test"},
        {"dataset": "Made-up Faces", "label": "real", "method": "original", "compression": "c23", "split": "test"},
        {"dataset": "Made-up Faces", "label": "real", "method": "original", "compression": "c23", "split": "train"},
        {"dataset": "another", "label": "real", "method": "original", "compression": "c23", "split": "test"},
    ],
}
for _number, _failure in enumerate(MADE_BY["failures"], 1):
    _failure["videos"] = _number


def trained_on(**data):
    """A reader of runs whose data are these."""
    return lambda run: read_run(run) | {"data": data}


def test_the_negatives_are_of_the_data_set_of_the_fakes():
    """A's real scores lie below all its fakes; B's lie among its own fakes, and above A's fakes."""
    frames = [
        *(("A", "real", "original", score) for score in (0.1, 0.2)),
        *(("A", "fake", "Deepfakes", score) for score in (0.3, 0.4)),
        *(("B", "real", "original", score) for score in (0.5, 0.6)),
        *(("B", "fake", "Celeb-synthesis", score) for score in (0.55, 0.7)),
    ]
    found = measured(frames)
    assert found == {("Deepfakes", 1.0, 2, 2), ("Celeb-synthesis", 0.75, 2, 2)}


def test_a_method_of_two_data_sets_is_two_cells():
    frames = [
        *(("A", "real", "original", score) for score in (0.1, 0.2)),
        *(("A", "fake", "Deepfakes", score) for score in (0.15, 0.4)),
        *(("B", "real", "original", score) for score in (0.5, 0.6, 0.7)),
        *(("B", "fake", "Deepfakes", score) for score in (0.1, 0.9)),
        *(("B", "fake", "FaceSwap", score) for score in (0.8, 0.9)),
    ]
    found = measured(frames)
    assert found == {("Deepfakes of A", 0.75, 2, 2), ("Deepfakes of B", 0.5, 3, 2), ("FaceSwap", 1.0, 3, 2)}
    training = Training(("Deepfakes",), ())
    assert training.saw("Deepfakes of A") and not training.saw("FaceSwap of A")


def test_qualities_are_those_of_the_data_set():
    """No cell, and no complaint, for a quality that only another data set has."""
    frames = [("A", label, method, 0.5) for label, method in (("real", "original"), ("fake", "FaceSwap")) * 2]
    frames += [("B", label, method, 0.5) for label, method in (("real", "original"), ("fake", "DFDC")) * 2]
    qualities = ["c40"] * 4 + ["unknown"] * 4
    found = run_measured(scores_of(frames, qualities))
    assert set(found.cells) == {("FaceSwap", "c40"), ("DFDC", "unknown")} and not found.undefined


ENTRY = Entry(Path("run"), "run", "none", Training((), ()), 0, {})


def scores_of(frames, qualities=None) -> Scores:
    datasets, labels, methods, scores = (np.array(column) for column in zip(*frames, strict=True))
    qualities = np.array(qualities or ["c23"] * len(frames))
    videos = np.array([f"{number}.mp4" for number in range(len(frames))])
    tests = np.array([""] * len(frames))
    return Scores((labels == "fake").astype(int), scores, methods, qualities, videos, datasets, tests, videos, videos)


def run_measured(scores: Scores) -> Measured:
    return measure_run(ENTRY, scores, scores.where(scores.labels < 0), CONFIG)


def measured(frames) -> set:
    found = run_measured(scores_of(frames))
    assert not found.undefined
    return {(r.test_method, round(r.auc, 9), r.n_real, r.n_fake) for r in found.results if r.level == "video"}


def test_videos_of_one_stem_stay_apart(tmp_path):
    """140 test pairs of FaceForensics++ are 560 fakes, as file names 140; frames of one are never another's."""
    rows = []
    for number in range(140):
        target, source = f"{number:03d}", f"{number ^ 1:03d}"
        real = f"FaceForensics++/original_sequences/youtube/c23/videos/{target}.mp4"
        rows += video_rows(real, 2, "real", "original", "c23", target, None)
        for method in METHODS:
            fake = f"FaceForensics++/manipulated_sequences/{method}/c23/videos/{target}_{source}.mp4"
            rows += video_rows(fake, 2, "fake", method, "c23", target, source)
    path, run = write_rows(tmp_path / "manifest.parquet", rows), write_run(tmp_path / "run", "none")

    def by_method(run, table, folder, config):
        """Each video's frames are a method's number and that number plus a half: the mean is the number plus 0.25."""
        kinds = ("original", *METHODS)
        methods, frames = table["method"].to_pylist(), table["frame"].to_pylist()
        values = [(kinds.index(method) + frame / 2) / 8 for method, frame in zip(methods, frames, strict=True)]
        return table.append_column("p_fake", pa.array(values))

    found = evaluate_runs([run], path, tmp_path / "out", CONFIG, by_method, read_run)
    assert (found.settings["counts"]["fake_videos"], found.settings["counts"]["real_videos"]) == (560, 140)
    assert {(r.n_real, r.n_fake, r.auc) for r in found.results if r.level == "video"} == {(140, 140, 1.0)}
    lines = (tmp_path / "out/scores/run.videos.csv").read_text().splitlines()[1:]
    assert len(lines) == 700
    for number, method in enumerate(("original", *METHODS)):
        means = {float(line.split(",")[4]) for line in lines if f",{method}," in line}
        assert means == {(number + 0.25) / 8}


def test_frames_are_spread_over_the_video_and_not_its_first(tmp_path):
    path = write_rows(tmp_path / "manifest.parquet", manifest_rows(people=2, frames=270, compressions=("c23",)))
    run, out = write_run(tmp_path / "run", "none"), tmp_path / "out"
    found = evaluate_runs([run], path, out, replace(CONFIG, frames=32), made_up_scorer(), read_run)
    kept: dict[str, list[int]] = {}
    for row in pq.read_table(out / "scores/run.frames.parquet").to_pylist():
        kept.setdefault(row["video"], []).append(row["frame"])
    for frames in kept.values():
        assert (len(frames), min(frames), max(frames)) == (32, 0, 269)
        assert set(np.diff(sorted(frames)).tolist()) <= {8, 9}
    (test,) = found.card["tests"]
    assert (test["frames"], test["fewest"], test["most"], test["videos_with_fewer"]) == (32, 32, 32, 0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": {"margin": 1.6}}, "run: trained on crops of margin 1.3, those to test on have 1.6"),
        (
            {"settings": {"alignment": "similarity"}},
            "run: trained on crops of alignment none, those to test on have similarity",
        ),
        (
            {"detector": {"name": "retina"}},
            "run: trained on crops of face detector yuface, those to test on have retina",
        ),
    ],
)
def test_faces_cut_out_in_another_way_are_refused_or_marked(changed, said, tmp_path):
    here = MADE_BY | {part: MADE_BY[part] | values for part, values in changed.items()}
    path = write_rows(tmp_path / "manifest.parquet", manifest_rows(people=4), here)
    run, out = write_run(tmp_path / "run", "none"), tmp_path / "out"
    reader = trained_on(manifest_sha256="0" * 64, made_by=MADE_BY)
    with pytest.raises(UserError) as error:
        evaluate_runs([run], path, out, CONFIG, made_up_scorer(), reader)
    assert error.value.problem == said and "--allow-mismatch" in error.value.remedy
    assert not out.exists()
    config = replace(CONFIG, allow_mismatch=True)
    found = evaluate_runs([run], path, out, config, made_up_scorer(), reader)
    page = write_report(out, found).read_text()
    card = json.loads((out / "card.json").read_text())
    assert card["warnings"] == [said] and card["training_crops"] == [{"run": "run", "same": False}]
    assert f"Warning: {said}." in page
    assert "--allow-mismatch" in found.settings["command"]


@pytest.mark.parametrize(
    ("data", "same", "warned"),
    [
        ({"manifest_sha256": "0" * 64, "made_by": MADE_BY}, True, ""),
        (
            {"manifest_sha256": "0" * 64, "made_by": {"settings": {"margin": 1.3}}},
            None,
            "training and test: run: alignment, run: face detector",
        ),
        ({}, None, "training and test: run: margin, run: alignment, run: face detector"),
    ],
)
def test_what_is_not_known_of_the_crops_is_a_warning(data, same, warned, tmp_path, capsys):
    path = write_rows(tmp_path / "manifest.parquet", manifest_rows(people=4), MADE_BY)
    run, out = write_run(tmp_path / "run", "none"), tmp_path / "out"
    found = evaluate_runs([run], path, out, CONFIG, made_up_scorer(), trained_on(**data))
    assert found.card["training_crops"] == [{"run": "run", "same": same}]
    assert bool(found.card["warnings"]) == bool(warned)
    assert f"warning: not known whether these are the same in {warned}" in capsys.readouterr().err or not warned


def test_real_videos_alone_are_one_line(tmp_path):
    rows = [row for row in manifest_rows(people=4) if row["label"] == "real"]
    path, run = write_rows(tmp_path / "manifest.parquet", rows), write_run(tmp_path / "run", "none")
    with pytest.raises(UserError, match="nothing could be measured") as error:
        evaluate_runs([run], path, tmp_path / "out", CONFIG, made_up_scorer(), read_run)
    assert error.value.remedy == "the first reason: no fake ones to measure on"


def test_a_run_keeps_how_its_crops_were_made(crops, tmp_path):
    made = read_manifest(crops)
    path = crops.parent / "made_by.parquet"
    write_manifest(path, made, MADE_BY)
    data = train_run(path, tmp_path / "run", SMALL)["data"]
    assert data["made_by"] == {name: MADE_BY[name] for name in ("version", "settings", "detector")}
    assert train_run(crops, tmp_path / "silent", SMALL)["data"]["made_by"] == {}


def test_the_card_says_how_the_numbers_came_about(tmp_path):
    """24 people, 192 videos of 3 frames, one of 2; failed are 1 and 2, and all 4 of another data set."""
    rows = manifest_rows()[1:]
    path = write_rows(tmp_path / "manifest.parquet", rows, MADE_BY)
    runs = [write_run(tmp_path / f"run-{seed}", "none", seed, val_level="video") for seed in (0, 3)]

    def read(run):
        info = trained_on(manifest_sha256="0" * 64, made_by=MADE_BY)(run)
        return info | {"best_epoch": 4, "epochs_done": 120, "validated": True}

    found = evaluate_runs(runs, path, tmp_path / "out", CONFIG, made_up_scorer(), read)
    page = write_report(tmp_path / "out", found).read_text()
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert card == found.card
    groups = {
        (g["dataset"], g["method"], g["compression"]): (g["found"], g["with_crops"], g["failed"])
        for g in card["videos"]
    }
    name = "Made-up Faces"
    kinds = ("original", "Deepfakes", "NeuralTextures", "FaceSwap")
    expected = {(name, method, quality): (24, 24, 0) for method in kinds for quality in ("c23", "c40")}
    expected |= {(name, "FaceSwap", "c40"): (25, 24, 1), (name, "original", "c23"): (26, 24, 2)}
    assert groups == expected | {("another", "original", "c23"): (4, 0, 4)}
    facts = dict(card_facts(card))
    assert facts == {
        "tested on": "the test split, without a protocol",
        "level": "frames, and videos: the mean probability of fake over its frames",
        "quality": "c23 and c40",
        "frames": "all crops of a video, 2 to 3; 1 of 192 videos had fewer than 3; "
        "extracted: 3 of a video, its first ones",
        "faces": "detector yuface 2023.5; margin 1.3; alignment none; pixels 256",
        "videos": "199 found, 192 with crops, 7 failed (Made-up Faces FaceSwap 1; Made-up Faces original 2; "
        "another original 4), which have no score",
        "scored": "run-0, run-3: 192 of 199 videos (7 failed, why not known)",
        "people": "24 identities",
        "checkpoint": "best (highest validation AUC of videos): run-0 epoch 4, run-3 epoch 4; "
        "never chosen on a test set",
        "training": "crops made as in training: 2 runs",
        "seeds": "0, 3",
    }
    out = StringIO()
    Console(file=out, width=80).print(card_table(card))
    shown = " ".join(out.getvalue().split())
    for words in facts.values():
        assert f"<dd>{words}</dd>" in page
        assert words in shown


@pytest.mark.parametrize(
    ("checkpoint", "info", "epoch", "chosen"),
    [
        ("best", {"best_epoch": 4, "validated": False}, 4, "last, without validation"),
        ("best", {"best_epoch": 4, "validated": True}, 4, "highest validation AUC of frames"),
        ("last", {"epochs_done": 7}, 7, "named by the user"),
        ("epoch_005", {}, 5, "named by the user"),
    ],
)
def test_how_a_checkpoint_was_chosen(checkpoint, info, epoch, chosen, tmp_path):
    path, run = write_rows(tmp_path / "m.parquet", manifest_rows(people=2)), write_run(tmp_path / "run", "none")
    (run / f"{checkpoint}.safetensors").touch()
    config = replace(CONFIG, checkpoint=checkpoint)
    found = evaluate_runs([run], path, tmp_path / "out", config, made_up_scorer(), lambda r: read_run(r) | info)
    said = {"run": "run", "checkpoint": checkpoint, "epoch": epoch, "chosen": chosen}
    assert found.card["checkpoints"] == [said | {"on_tested": False if checkpoint == "last" else None}]
    facts = dict(card_facts(found.card))
    claim = "never chosen on a test set"
    assert (claim in facts["checkpoint"]) == (checkpoint in ("best", "last"))
    of_val = found.card | {"tests": [test | {"split": "val"} for test in found.card["tests"]]}
    assert claim not in dict(card_facts(of_val))["checkpoint"]
    assert facts["videos"] == "16 with crops; how many were found, and how many failed, is not known"
    assert "not known" in facts["faces"] and "not known" in facts["frames"] and facts["training"] == "not known: 1 run"


def test_all_methods_are_those_that_the_manifest_had(tmp_path):
    """A run trained on all methods of its manifest has not seen those of another."""
    info = read_run(write_run(tmp_path / "run", "none", methods=()))
    data = {"trained_on": {"methods": ["Deepfakes", "original"]}}
    (entry,) = identify([tmp_path / "run"], [info | {"data": data}])
    assert entry.training.method_words == "all"
    assert entry.training.saw("Deepfakes") and not entry.training.saw("Celeb-synthesis")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("content", "problem"), [(None, "no such file"), (b"cut off", "not a picture")])
def test_a_crop_that_cannot_be_read_is_one_line(workers, content, problem, crops, tmp_path):
    folder = tmp_path / "crops"
    folder.mkdir()
    for path in crops.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    manifest = folder / "manifest.parquet"
    train_run(manifest, tmp_path / "run", SMALL)
    rows = read_manifest(manifest).slice(0, 4)
    broken = folder / rows["path"].to_pylist()[2]
    broken.unlink()
    if content is not None:
        broken.write_bytes(content)
    with pytest.raises(UserError) as error:
        score_run(tmp_path / "run", rows, folder, replace(CONFIG, workers=workers))
    assert error.value.problem == f"{broken}: {problem}"
    for path in folder.glob("*.png"):
        path.write_bytes(b"cut off")
    with pytest.raises(UserError) as error:
        train_run(manifest, tmp_path / "again", replace(SMALL, workers=workers))
    assert error.value.problem.endswith(": not a picture") and "\n" not in error.value.problem
