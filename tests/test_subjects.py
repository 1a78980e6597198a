"""Detectors of other makers: tables of scores worked by hand, ONNX files and boxes against the run they come from."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from boxes import FACTS
from dfgame.boxed import Calibration, boxed_weights, save_box, unboxed
from dfgame.checkpoint import load_detector
from dfgame.cli import main
from dfgame.config import EvaluateConfig, ExportConfig, OnnxConfig, SettingError
from dfgame.evaluate import evaluate_runs
from dfgame.evaluate.accounting import accounts_of
from dfgame.export import export_box
from dfgame.files import sha256
from dfgame.jobs import stdout
from dfgame.manifest import read_manifest, write_manifest
from dfgame.records import CropRule, UserError
from dfgame.report.card import card_facts
from dfgame.report.files import write_report
from dfgame.report.page import render_page
from dfgame.report.terminal import terminal_tables
from dfgame.report.words import findings, span
from dfgame.rows import asked_rows
from dfgame.score import pick_device
from dfgame.subjects import OF_CROPS, Predicted, ScoredElsewhere, ScoredHere, refuse_unused
from dfgame.subjects.onnx import load_onnx, onnx_sha256
from dfgame.subjects.table import _Endings
from dfgame.train import train_run
from synthetic_runs import SMALL, made_up_scorer, manifest_rows, read_run, video_rows, write_rows, write_run

CONFIG = EvaluateConfig(replicates=100)
REAL, FAKE = (0.1, 0.4, 0.2, 0.7), (0.9, 0.5, 0.3, 0.6)
"""Of the 16 pairs the fake is ahead in 4 + 3 + 2 + 3 = 12: the AUC is 0.75."""


def small_rows(frames=2, dataset="Made-up Faces", split="test"):
    """Four real videos and four fakes of other people."""
    rows = []
    for number in range(4):
        for label, method, person in (("real", "original", number), ("fake", "FaceSwap", number + 4)):
            video = f"{dataset}/{method}/c23/videos/{person:03d}.mp4"
            rows += video_rows(
                video, frames, label, method, "c23", f"{split}{person:03d}", None, split=split, dataset=dataset
            )
    return rows


def written(path: Path, scores: Mapping[str, float | str]) -> Path:
    path.write_text("path,score\n" + "".join(f"{name},{score}\n" for name, score in scores.items()))
    return path


def video_scores(rows, real=REAL, fake=FAKE):
    """A score for each video, in the order of the rows."""
    left = {"real": list(real), "fake": list(fake)}
    videos = {row["video"]: row["label"] for row in rows}
    return {video: left[label].pop(0) for video, label in videos.items()}


def evaluated(tmp_path, rows, *files, config=CONFIG):
    path = write_rows(tmp_path / "manifest.parquet", rows)
    return evaluate_runs(list(files), path, tmp_path / "out", config)


def by_video(evaluation, run=""):
    (result,) = [r for r in evaluation.results if r.level == "video" and r.run == (run or r.run)]
    return result


def test_scores_of_videos_worked_by_hand(tmp_path):
    rows = small_rows()
    found = evaluated(tmp_path, rows, written(tmp_path / "theirs.csv", video_scores(rows)))
    (result,) = found.results
    assert (result.level, result.auc, result.n_real, result.n_fake) == ("video", 0.75, 4, 4)
    assert (result.run, result.kind, result.game) == ("theirs", "scores", "theirs")
    assert (result.train_method, result.train_compression) == ("unknown", "unknown")
    assert result.threshold is None and result.accuracy is None and "--threshold" in result.undefined
    assert found.runs[0].training.saw("FaceSwap") is None
    assert found.players[0].unseen is None and {line.seen for line in found.lines} == {None}
    assert (result.pooling, result.frames, result.seed, found.players[0].seeds) == ("none", "", None, ())
    assert dict(card_facts(found.card))["level"] == "videos: the one given for it"
    page = write_report(tmp_path / "out", found).read_text()
    assert "A video's score is the one given for it." in page and "(theirs)</summary>" in page
    assert not re.search("1 seed|different seeds|seed 0|no. 0|None", page)
    assert "unseen</b>" not in page and ">unseen<" not in page and "What theirs learned from is not known" in page


def test_what_is_no_run_has_no_seed_in_the_findings_either(tmp_path, capsys):
    rows = manifest_rows(people=24, frames=1, compressions=("c40",))
    test = [row for row in rows if row["split"] == "test"]
    good = {row["video"]: (row["label"] == "fake") + 0.001 * n for n, row in enumerate(test)}
    poor = {row["video"]: float(n % 3) for n, row in enumerate(test)}
    crops = {row["path"]: float(n % 3) for n, row in enumerate(test)}
    files = [written(tmp_path / f"{name}.csv", said) for name, said in (("good", good), ("poor", poor), ("c", crops))]
    found = evaluated(tmp_path, rows, *files)
    (finding,) = findings(found)
    assert "good did best" in finding and finding.endswith("ahead of every other player by more than the videos vary.")
    level = "frames, and videos: the mean probability of fake over its frames; of good, poor, the one given for it"
    assert dict(card_facts(found.card))["level"] == level
    for table in terminal_tables(found):
        stdout.print(table)
    assert "good" in (shown := capsys.readouterr().out) and "seed" not in shown
    write_report(tmp_path / "out", found)
    for name in ("results.csv", "curves.csv"):
        with (tmp_path / "out" / name).open(newline="") as file:
            assert {line["seed"] for line in csv.DictReader(file)} == {""}


def test_a_threshold_given_by_hand(tmp_path):
    """At 0.45 one real of four is called fake, and one fake of four real: 6 of 8 are right."""
    rows = small_rows()
    file = written(tmp_path / "theirs.csv", video_scores(rows))
    result = by_video(evaluated(tmp_path, rows, file, config=replace(CONFIG, threshold=0.45)))
    assert (result.accuracy, result.balanced_accuracy) == (0.75, 0.75)
    assert (result.threshold, result.threshold_from) == (0.45, "given")


def test_the_threshold_is_fixed_on_the_validation_split(tmp_path):
    """On validation everything above 0.6 is fake; halfway to the next score is 0.65. In test, 0.7, 0.9 reach that."""
    rows, val = small_rows(), small_rows(split="val")
    for row in val:
        row["video"] = f"val/{row['video']}"
        row["path"] = f"val/{row['path']}"
    scores = video_scores(rows) | video_scores(val, (0.1, 0.2, 0.3, 0.6), (0.7, 0.8, 0.9, 0.95))
    found = evaluated(tmp_path, [*rows, *val], written(tmp_path / "theirs.csv", scores))
    result = by_video(found)
    assert result.threshold == pytest.approx(0.65) and result.threshold_from == "validation"
    assert result.accuracy == (3 + 1) / 8
    assert result.auc == 0.75
    lines = (tmp_path / "out/scores/theirs.videos.csv").read_text().splitlines()[1:]
    llrs = {line.split(",")[0]: float(line.rpartition(",")[2]) for line in lines}
    assert result.llr_low is not None and result.llr_high is not None
    assert all(result.llr_low <= llr <= result.llr_high for llr in llrs.values())
    ordered = [llrs[name] for name in sorted(llrs, key=lambda name: scores[name])]
    assert ordered == sorted(ordered) and len(set(ordered)) > 1
    page = render_page(found)
    assert f"<td>{span(result.llr_low, result.llr_high)}</td>" in page
    of_fakes = [number for name, number in llrs.items() if "original" not in name]
    of_real = [number for name, number in llrs.items() if "original" in name]
    costs = [np.log2(1 + np.exp(-np.array(of_fakes))).mean(), np.log2(1 + np.exp(np.array(of_real))).mean()]
    assert result.cllr == pytest.approx(sum(costs) / 2), "of the ratios that are told, between their bounds"
    assert result.cllr is not None and result.min_cllr is not None and result.min_cllr <= result.cllr


@pytest.mark.parametrize(
    ("pooling", "auc"),
    [
        ("mean", 12 / 16),  # the frames' means are REAL and FAKE
        ("median", 12 / 16),  # of two frames it is their mean
        ("top-1", 7 / 16),
    ],
)
def test_scores_of_crops_are_pooled_as_named(tmp_path, pooling, auc):
    """The two frames of a real video are 0.25 above and below its score, those of a fake alike.

    Highest of the real ones: 0.35, 0.65, 0.45, 0.95; of the fakes 0.9, 0.5, 0.3, 0.6: 3 + 2 + 0 + 2 of 16 pairs.
    """
    rows = small_rows()
    means = video_scores(rows)
    scores = {}
    for row in rows:
        apart = 0.25 if row["label"] == "real" else 0.0
        scores[row["path"]] = means[row["video"]] + (apart if row["frame"] else -apart)
    result = by_video(
        evaluated(tmp_path, rows, written(tmp_path / "crops.csv", scores), config=replace(CONFIG, pooling=pooling))
    )
    assert result.auc == pytest.approx(auc)
    assert (result.pooling, result.frames) == (pooling, "2")


def test_paths_are_names_or_their_endings(tmp_path):
    rows = small_rows(frames=1)
    names = list(video_scores(rows))
    given = [
        names[0],
        names[1].split("/", 1)[1],
        "./" + names[2],
        names[3].replace("/", "\\"),
        f"/data/{names[4]}",
        *names[5:],
    ]
    scores = dict(zip(given, video_scores(rows).values(), strict=True)) | {"nowhere/else.mp4": 0.5}
    found = evaluated(tmp_path, rows, written(tmp_path / "theirs.csv", scores))
    assert by_video(found).auc == 0.75
    (account,) = found.accounting
    assert (account.inputs, account.scored, account.unknown_paths) == (8, 8, 1)


PATHS = st.lists(st.sampled_from(["a", "b", "ab", ""]), min_size=1, max_size=4).map("/".join)


@given(st.sets(PATHS, min_size=1, max_size=8), PATHS)
def test_paths_are_found_by_their_endings_from_a_folders_boundary_on(names, name):
    """By the definition, name by name."""
    expected = [full for full in names if full.endswith(f"/{name}") or name.endswith(f"/{full}")]
    assert sorted(_Endings(names).alike(name)) == sorted(expected)


def test_unknown_paths_are_named(tmp_path, capsys):
    rows = small_rows()
    evaluated(tmp_path, rows, written(tmp_path / "theirs.csv", video_scores(rows) | {"nowhere.mp4": 0.5}))
    assert "theirs.csv: 1 paths are in no manifest: nowhere.mp4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path,p\na.mp4,0.5\n", "has no column score"),
        ("path,score\n{first},high\n", "line 2: high is not a number"),
        ("path,score\n{first},inf\n", "line 2: inf is not a finite number"),
        ("path,score\n{first},0.1\n{first},0.1\n", "line 3: {first} is there twice"),
        ("path,score\n{first},0.1\n/far/{first},0.2\n", "{first} and /far/{first} are the same video"),
        ("path,score\n{first},0.1\n{crop},0.1\n", "{crop} is a crop and {first} a video"),
        ("path,score\nvideos/000.mp4,0.5\n", "videos/000.mp4 may be each of 2"),
        ("path,score\nelsewhere.mp4,0.5\n", "none of its 1 paths is in a manifest (elsewhere.mp4)"),
        ("path,score\n", "no scores in it"),
        ("", "has no column path"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, text, problem):
    rows = small_rows()
    rows += [row | {"video": row["video"].replace("c23", "c24"), "path": "x" + row["path"]} for row in rows[:2]]
    names = {"first": rows[2]["video"], "crop": rows[4]["path"]}
    file = tmp_path / "theirs.csv"
    file.write_text(text.format(**names))
    with pytest.raises(UserError) as error:
        evaluated(tmp_path, rows, file)
    assert error.value.problem.startswith(f"{file}: ")
    assert problem.format(**names) in error.value.problem
    assert error.value.remedy


def test_every_input_is_accounted_for(tmp_path):
    """Of 8 videos with 2 crops: one crop and one video have no score; 3 more have no face, 2 cannot be read."""
    rows = small_rows()
    scores: dict[str, float | str] = {row["path"]: 0.1 + 0.05 * number for number, row in enumerate(rows)}
    scores[rows[0]["path"]] = ""
    scores[rows[2]["path"]] = "nan"
    del scores[rows[3]["path"]]
    reasons = [("no face", 3), ("unreadable", 2), (None, 1)]
    failure = {"dataset": "Made-up Faces", "label": "real", "method": "original", "compression": "c23"}
    failures = [failure | {"split": "test", "videos": n} | ({"reason": r} if r else {}) for r, n in reasons]
    failures.append(failure | {"split": "train", "videos": 7, "reason": "no face"})
    path = write_rows(tmp_path / "manifest.parquet", rows, {"failures": failures})
    found = evaluate_runs([written(tmp_path / "theirs.csv", scores)], path, tmp_path / "out", CONFIG)
    crops, videos = found.accounting
    assert (crops.unit, crops.inputs, crops.scored, crops.not_scored) == ("crop", 16, 13, 3)
    assert (videos.unit, videos.inputs, videos.scored, videos.not_scored) == ("video", 14, 7, 1)
    assert (videos.no_face, videos.unreadable, videos.failed, videos.failures_known) == (3, 2, 1, True)
    assert by_video(found).n_fake == 3


def test_a_detector_that_leaves_out_the_hard_videos_is_seen_to(tmp_path, capsys):
    """Of four fakes it scores the two that every real one lies below: the AUC is 1, of 6 of 8 videos."""
    rows = small_rows()
    scores = video_scores(rows, REAL, (0.9, 0.8, 0.3, 0.6))
    easy = {video: score for video, score in scores.items() if "original" in video or score > 0.7}
    files = [written(tmp_path / "easy.csv", easy), written(tmp_path / "all.csv", scores)]
    found = evaluated(tmp_path, rows, *files)
    assert by_video(found, "easy").auc == 1.0
    assert dict(card_facts(found.card))["scored"] == "easy: 6 of 8 videos (2 no score); all: 8 of 8 videos"
    sentence = "easy gave 2 of 8 videos no score. Its numbers are of the others alone"
    assert sentence in write_report(tmp_path / "out", found).read_text()
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(tmp_path / "manifest.parquet"), *map(str, files), "--out", str(tmp_path / "again")])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert sentence in " ".join(shown.split())
    lines = [line.split() for line in shown.splitlines()]
    assert ["│", "easy", "│", "videos", "│", "8", "│", "6", "│", "2", "│"] in lines
    assert ["│", "all", "│", "videos", "│", "8", "│", "8", "│", "0", "│"] in lines


def test_the_card_counts_videos_whose_faces_are_all_too_small(tmp_path):
    """Of four fakes one has narrow faces alone, another one narrow face of two; one more had no face."""
    rows = small_rows()
    fakes = [row for row in rows if row["label"] == "fake"]
    for row in rows:
        row["right"] = row["left"] + (20.0 if row in fakes[:3] else 90.0)
    failure = {"dataset": "Made-up Faces", "label": "fake", "method": "FaceSwap", "compression": "c23"}
    failures = [failure | {"split": "test", "videos": 1, "reason": "no face"}]
    path = write_rows(tmp_path / "manifest.parquet", rows, {"failures": failures})
    scores = written(tmp_path / "theirs.csv", {row["path"]: 0.5 for row in rows})
    config = replace(CONFIG, min_face=80.0)
    found = evaluate_runs([scores], path, tmp_path / "out", config)
    counts = {group["method"]: [group[k] for k in KINDS_OF_VIDEOS] for group in found.card["videos"]}
    assert counts == {"original": [4, 4, 0, 0], "FaceSwap": [5, 3, 1, 1]}
    said = "9 found, 7 with crops, 1 with too small faces alone, 1 failed (Made-up Faces FaceSwap 1)"
    assert dict(card_facts(found.card))["videos"] == f"{said}, which have no score"
    page = write_report(tmp_path / "out", found).read_text()
    assert '<td class="n">5</td><td class="n">3</td><td class="n">1</td><td class="n">1</td></tr>' in page
    (videos,) = [account for account in found.accounting if account.unit == "video"]
    assert (videos.inputs, videos.scored, videos.too_small, videos.no_face) == (9, 7, 1, 1)
    with pytest.raises(UserError, match=r"--min-face 200: no face of the split test of .* is as wide"):
        evaluate_runs([scores], path, tmp_path / "none", replace(CONFIG, min_face=200.0))


KINDS_OF_VIDEOS = ("found", "with_crops", "too_small", "failed")


def test_how_faces_were_cut_out_stands_beside_the_numbers_of_their_data_set(tmp_path):
    """Two manifests with the same frames a video, and other margins and sizes."""
    paths, scores = [], {}
    for number, (name, margin, size) in enumerate((("One", 1.3, 256), ("Other", 2.0, 160))):
        rows = small_rows(dataset=name, split=f"test{number}")
        for row in rows:
            row["split"] = "test"
        scores |= {row["path"]: 0.5 for row in rows}
        settings = {"margin": margin, "alignment": "none", "size": size, "frames": 2, "sampling": "uniform"}
        folder = tmp_path / name
        folder.mkdir()
        paths.append(write_rows(folder / "manifest.parquet", rows, {"settings": settings}))
    weights = other_onnx(tmp_path / "theirs.onnx")
    for path in paths:
        for row in read_manifest(path).to_pylist():
            crop = path.parent / row["path"]
            crop.parent.mkdir(parents=True, exist_ok=True)
            cv2.imencode(".png", np.full((8, 8, 3), 100, np.uint8))[1].tofile(crop)
    config = replace(CONFIG, onnx=OnnxConfig("logit"), workers=0)
    found = evaluate_runs([weights], paths, tmp_path / "out", config)
    assert {(result.dataset, result.crop) for result in found.results} == {
        ("One", "margin 1.3, alignment none, size 256"),
        ("Other", "margin 2.0, alignment none, size 160"),
    }
    facts = dict(card_facts(found.card))
    unlike = "not the same in all manifests"
    assert facts["faces"] == f"detector not known; margin {unlike}; alignment none; pixels {unlike}"
    assert facts["frames"].endswith("extracted: 2 of a video, spread over it")


@settings(max_examples=40)
@given(
    widths=st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=6), min_size=2, max_size=8),
    frames=st.integers(0, 5),
    least=st.sampled_from([0, 20, 40]),
    heard=st.sets(st.integers(0, 47)),
    protocol=st.booleans(),
)
def test_what_became_of_crops_adds_up_to_the_manifest(tmp_path_factory, widths, frames, least, heard, protocol):
    """The crops of the test split in c23, whatever is sampled, too small, or has no score."""
    folder = tmp_path_factory.mktemp("accounts")
    rows = []
    for number, of_video in enumerate(widths):
        label, method = (("real", "original"), ("fake", "FaceSwap"))[number % 2]
        for quality, split in (("c23", "test"), ("c40", "test"), ("c23", "val")):
            name = f"{split}/{quality}/{number}.mp4"
            video = video_rows(name, len(of_video), label, method, quality, f"{split}{number}", None, split)
            rows += [
                row | {"path": f"{name}/{row['path']}", "right": float(width)}
                for row, width in zip(video, of_video, strict=True)
            ]
    asks = {"frames": frames, "min_face": float(least), "compressions": ("c23",)}
    if protocol:
        (folder / "p.toml").write_text(PROTOCOL.format(frames=max(frames, 1)))
        asks = {"min_face": float(least), "protocol": str(folder / "p.toml")}
    try:
        asked = asked_rows(write_rows(folder / "manifest.parquet", rows), EvaluateConfig(**asks))
    except UserError:
        return  # all faces are too small
    scored = np.array([place in heard for place in range(asked.table.num_rows)], bool)
    said = Predicted(np.zeros(asked.table.num_rows), scored)
    crops, _ = accounts_of("x", ScoredElsewhere(folder / "x.csv", {}, "crop", {}, 0), asked, said)
    of_test = [row for row in rows if (row["split"], row["compression"]) == ("test", "c23")]
    assert crops.inputs == len(of_test)
    assert crops.too_small == sum(row["right"] < least for row in of_test)
    assert crops.scored + crops.not_scored == asked.table.num_rows and crops.scored == scored.sum()


PROTOCOL = """
title = "Two tests of different frames"
source = "made up"
[train]
[val]
[[test]]
name = "few"
compressions = ["c23"]
frames = {frames}
[[test]]
name = "two"
compressions = ["c23"]
frames = 2
"""


def test_faces_that_are_too_small_are_left_out_and_counted(tmp_path):
    rows = [row | ({"right": 50.0} if number % 2 else {}) for number, row in enumerate(small_rows())]
    for row in rows[:2]:
        row["right"] = 9.0
    file = written(tmp_path / "theirs.csv", {row["path"]: 0.01 * number for number, row in enumerate(rows)})
    found = evaluated(tmp_path, rows, file, config=replace(CONFIG, min_face=40))
    crops, videos = found.accounting
    assert (crops.inputs, crops.scored, crops.too_small) == (16, 7, 9)
    assert (videos.inputs, videos.scored, videos.too_small) == (8, 7, 1)


def test_two_manifests(tmp_path):
    """Crops of the same paths in two folders: each data set has its own scores."""
    paths, scores = [], {}
    for name, fake in (("One", FAKE), ("Two", (0.9, 0.9, 0.9, 0.9))):
        rows = small_rows(dataset=name)
        paths.append(write_rows(tmp_path / name / "manifest.parquet", rows))
        scores |= video_scores(rows, fake=fake)
    found = evaluate_runs([written(tmp_path / "theirs.csv", scores)], paths, tmp_path / "out", CONFIG)
    aucs = {result.dataset: result.auc for result in found.results}
    assert aucs == {"One": 0.75, "Two": 1.0}
    assert {result.test_method for result in found.results} == {"FaceSwap of One", "FaceSwap of Two"}
    assert found.settings["command"].split()[2:4] == [str(path) for path in paths]
    seen = []

    def scorer(run, table, folder, config):
        seen.append((folder.name, set(table["dataset"].to_pylist())))
        return made_up_scorer()(run, table, folder, config)

    run = write_run(tmp_path / "run", "none")
    evaluate_runs([run], paths, tmp_path / "runs-out", CONFIG, scorer, read_run)
    assert seen == [("One", {"One"}), ("Two", {"Two"})]


def test_one_data_set_in_two_manifests_is_refused(tmp_path):
    paths = [write_rows(tmp_path / name / "manifest.parquet", small_rows()) for name in ("a", "b")]
    with pytest.raises(UserError, match="both hold a data set named Made-up Faces"):
        evaluate_runs([tmp_path / "x.csv"], paths, tmp_path / "out", CONFIG)


def test_neither_tables_nor_onnx_files_need_torch(crops, tmp_path):
    rows = [row for row in read_manifest(crops).to_pylist() if row["split"] == "test"]
    file = written(tmp_path / "theirs.csv", {row["path"]: number for number, row in enumerate(rows)})
    other = other_onnx(tmp_path / "other.onnx")
    words = ["evaluate", crops, file, other, "--onnx.output", "logit", "--out", tmp_path / "o", "--replicates", 100]
    script = (
        "import sys\n"
        "from dfgame.cli import main\n"
        f"try: main({list(map(str, words))!r})\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "theirs: a table of scores from elsewhere" in " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def trained(crops, tmp_path_factory):
    """A manifest whose crops are known to be cut out as a box's are, a run, its box, and this as an ONNX file."""
    folder = tmp_path_factory.mktemp("trained")
    manifest = crops.parent / "cut_out.parquet"
    rule = CropRule(margin=1.3, alignment="none", size=64, min_score=0.6)
    settings = {"margin": rule.margin, "alignment": rule.alignment, "size": rule.size, "min_score": rule.min_score}
    write_manifest(manifest, read_manifest(crops).replace_schema_metadata(None), {"settings": settings})
    train_run(manifest, folder / "run", SMALL)
    detector, _ = load_detector(folder / "run", "best", pick_device("cpu"))
    member = unboxed(SMALL.detector, boxed_weights(detector))
    facts = replace(FACTS, detector=SMALL.detector, image_size=32, crop=rule, calibration=Calibration(1.7, -0.4))
    save_box(folder / "box.safetensors", facts, [member])
    export_box(folder / "box.safetensors", folder / "file.onnx", ExportConfig())
    return manifest, folder


def test_box_and_onnx_score_as_the_run_that_they_come_from(trained, tmp_path):
    """Raw scores alike up to float16; those of videos are their means, calibrated, as `dfgame inspect` has them."""
    manifest, folder = trained
    subjects = [folder / "run", folder / "box.safetensors", folder / "file.onnx"]
    for options in ({"checkpoint": "last"}, {"onnx": OnnxConfig(size=64)}):
        with pytest.raises(UserError, match="changes nothing here"):
            evaluate_runs(subjects[1:], manifest, tmp_path, replace(CONFIG, allow_mismatch=True, **options))
    config = replace(CONFIG, workers=0, allow_mismatch=True)
    found = evaluate_runs(subjects, manifest, tmp_path, config)
    frames = [pa_scores(tmp_path / f"scores/{name}.frames.parquet") for name in ("run", "box", "file")]
    np.testing.assert_allclose(frames[1], frames[0], atol=5e-3)
    np.testing.assert_allclose(frames[2], frames[1], atol=1e-4)
    box, other = ([r for r in found.results if r.run == name] for name in ("box", "file"))
    assert [r.auc for r in box] == pytest.approx([r.auc for r in other], abs=0.02)
    assert {r.kind for r in found.results} == {"run", "box", "onnx"}
    (cell, *_) = found.runs[1].cells
    raw = dict(zip(found.runs[0].cells[cell].names, found.runs[0].cells[cell].scores, strict=True))
    for name, score in zip(found.runs[1].cells[cell].names, found.runs[1].cells[cell].scores, strict=True):
        odds = (raw[name] / (1 - raw[name])) ** 1.7 * np.exp(-0.4)
        assert score == pytest.approx(odds / (1 + odds), abs=0.02)


@pytest.mark.parametrize("name", ["run", "box.safetensors", "file.onnx"])
def test_crops_that_cannot_be_read_are_counted_and_the_rest_is_scored(trained, tmp_path, capsys, name):
    """Damaged are one crop of a real video and all three of a fake one; the others' scores are as they were."""
    manifest, folder = trained
    copy = tmp_path / "crops"
    copy.mkdir()
    for path in manifest.parent.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    config = replace(CONFIG, workers=0, allow_mismatch=True)
    before = evaluate_runs([folder / name], copy / manifest.name, tmp_path / "before", config)
    broken = ["original_c23_8_1.png", *(f"FaceSwap_c40_9_{frame}.png" for frame in range(3))]
    (copy / broken[0]).unlink()
    for crop in broken[1:]:
        (copy / crop).write_bytes(b"cut off")
    capsys.readouterr()
    found = evaluate_runs([folder / name], copy / manifest.name, tmp_path / "out", config)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{copy}: 4 crops cannot be read, and are left out: " in said and all(crop in said for crop in broken)
    again = evaluate_runs([folder / name], copy / manifest.name, tmp_path / "out", config)
    for evaluation in (found, again):
        crops, videos = evaluation.accounting
        assert (crops.inputs, crops.scored, crops.unreadable, crops.not_scored) == (90, 86, 4, 0)
        assert (videos.inputs, videos.scored, videos.unreadable, videos.not_scored) == (30, 29, 1, 0)
    assert before.accounting[0].scored == 90
    file = f"scores/{Path(name).stem}.frames.parquet"
    old, new = (pq.read_table(tmp_path / out / file).to_pylist() for out in ("before", "out"))
    assert {row["path"]: row["p_fake"] for row in new} == {
        row["path"]: None if row["path"] in broken else pytest.approx(row["p_fake"], abs=1e-6) for row in old
    }
    for crop in copy.glob("*.png"):
        crop.write_bytes(b"cut off")
    with pytest.raises(UserError, match="not a picture"):
        evaluate_runs([folder / name], copy / manifest.name, tmp_path / "none", config)


def pa_scores(path):
    return np.asarray(pq.read_table(path)["p_fake"])


def other_onnx(path, side=8, outputs=1, output="logit", kind=TensorProto.FLOAT):
    """A file that takes images and says, in each of its outputs, how bright they are: the mean of red in logits."""
    image = helper.make_tensor_value_info("x", kind, ["N", 3, side, side])
    said = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", outputs])
    weights = np.zeros((3 * 8 * 8, outputs), np.float32)
    weights[:64, -1] = 1 / 64
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    tensor = helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())
    graph = helper.make_graph(nodes, "g", [image], [said], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))
    return path


def reds(manifest):
    """The mean of red of each crop, shrunk to 8 x 8 by areas, in [0, 1]: by the definition, without a library."""
    paths = [manifest.parent / row["path"] for row in read_manifest(manifest).to_pylist() if row["split"] == "test"]
    return np.array([np.asarray(cv2.imread(str(path)))[:, :, 2].mean() / 255 for path in paths])


@pytest.mark.parametrize(
    ("options", "outputs", "expected"),
    [
        (OnnxConfig("probability", mean=(0, 0, 0), std=(1, 1, 1)), 1, lambda red: red),
        (OnnxConfig("logit", mean=(0.5, 0, 0), std=(0.1, 1, 1)), 1, lambda red: 1 / (1 + np.exp((0.5 - red) / 0.1))),
        (OnnxConfig("logits", mean=(0, 0, 0), std=(1, 1, 1)), 2, lambda red: np.exp(red) / (1 + np.exp(red))),
        (OnnxConfig("logits", 0, mean=(0, 0, 0), std=(1, 1, 1)), 2, lambda red: 1 / (1 + np.exp(red))),
    ],
)
def test_an_onnx_file_of_another_maker_is_fed_as_told(crops, tmp_path, options, outputs, expected):
    file = other_onnx(tmp_path / "theirs.onnx", outputs=outputs)
    rows = [row for row in read_manifest(crops).to_pylist() if row["split"] == "test"]
    paths = [crops.parent / row["path"] for row in rows]
    found = load_onnx(file, options).score(paths, options, 7, 2)
    np.testing.assert_allclose(found, expected(reds(crops)), atol=2e-3)


def saying(path, numbers, shape):
    """A file that says the same numbers of every image, in this shape, -1 being the number of images."""
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])
    said = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    count = len(numbers)
    tensors = [
        helper.make_tensor("w", TensorProto.FLOAT, (192, count), np.zeros(192 * count)),
        helper.make_tensor("b", TensorProto.FLOAT, (count,), numbers),
        helper.make_tensor("s", TensorProto.INT64, (len(shape),), shape),
    ]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["nothing"]),
        helper.make_node("Add", ["nothing", "b"], ["all"]),
        helper.make_node("Reshape", ["all", "s"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [image], [said], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


FIVE = (0.0, 1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("numbers", "shape", "options", "expected"),
    [
        ((0.2,), [-1], OnnxConfig("probability"), 0.2),
        ((0.2,), [-1, 1, 1, 1], OnnxConfig("probability"), 0.2),
        ((0.2,), [-1, 1], OnnxConfig("probability", real=0), 0.8),
        ((0.3, 0.7), [-1, 2, 1, 1], OnnxConfig("probability"), 0.7),
        ((0.3, 0.7), [-1, 1, 2], OnnxConfig("probability", fake=0), 0.3),
        (FIVE, [-1, 5], OnnxConfig("logits", real=0), 1 - 1 / sum(np.exp(FIVE))),
        (FIVE, [-1, 5], OnnxConfig("logits", fake=3), np.exp(3) / sum(np.exp(FIVE))),
    ],
)
def test_the_probability_of_fake_is_read_from_outputs_of_known_shapes(
    crops, tmp_path, numbers, shape, options, expected
):
    paths = [crops.parent / row["path"] for row in read_manifest(crops).to_pylist()[:3]]
    found = load_onnx(saying(tmp_path / "theirs.onnx", numbers, shape), options).score(paths, options, 2, 1)
    np.testing.assert_allclose(found, [expected] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "shape", "options", "problem", "remedy"),
    [
        ((-2.5, 2.5) * 4, [-1, 4, 2], OnnxConfig("logits"), "of 1 images its output has the shape (1, 4, 2)", "pool"),
        ((0.5, 0.5), [-1], OnnxConfig("probability"), "of 1 images its output has the shape (2,)", "(N, classes)"),
        (FIVE, [-1, 5], OnnxConfig("logits"), "has 5 classes, and which of them are fake is not known", "--onnx.real"),
        (FIVE, [-1, 5], OnnxConfig("logits", real=5), "counted from 0, none is number 5", "--onnx.real"),
        ((0.5,), [-1, 1], OnnxConfig("probability", fake=1), "none is number 1", "--onnx.fake"),
        ((0.5,), [-1, 1], OnnxConfig("logits"), "one number an image", "--onnx.output logit"),
        ((0.5, 0.1), [-1, 2], OnnxConfig("logit"), "2 numbers an image", "--onnx.output logits"),
    ],
)
def test_an_output_that_may_be_misread_is_refused_before_anything_is_scored(
    tmp_path, numbers, shape, options, problem, remedy
):
    with pytest.raises(UserError) as error:
        load_onnx(saying(tmp_path / "theirs.onnx", numbers, shape), options)
    assert problem in error.value.problem and remedy in error.value.remedy


def test_the_class_of_fake_and_that_of_real_are_not_both_said():
    with pytest.raises(SettingError, match="must be left out where --onnx"):
        OnnxConfig("logits", fake=1, real=0)


@pytest.mark.parametrize(
    ("made", "options", "problem", "remedy"),
    [
        ({}, OnnxConfig(), "what its output means is not known", "--onnx.output"),
        ({"side": "S"}, OnnxConfig("logit"), "does not say the size", "--onnx.size"),
        ({}, OnnxConfig("logit", size=9), "takes images of 8 pixels", "leave it out"),
        ({"kind": TensorProto.DOUBLE}, OnnxConfig("logit"), "takes tensor(double)", "tensor(float)"),
    ],
)
def test_an_onnx_file_that_cannot_be_understood_is_refused(tmp_path, made, options, problem, remedy):
    if made.get("kind") == TensorProto.DOUBLE:
        file = double_onnx(tmp_path / "theirs.onnx")
    else:
        file = other_onnx(tmp_path / "theirs.onnx", **made)
    with pytest.raises(UserError) as error:
        load_onnx(file, options)
    assert problem in error.value.problem and remedy in error.value.remedy


def double_onnx(path):
    values = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["N", 3, 8, 8]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def test_the_hash_of_an_onnx_file_covers_weights_that_lie_beside_it(tmp_path):
    paths = [tmp_path / name / "model.onnx" for name in ("one", "other", "inside")]
    for path, value in zip(paths, (1.0, -1.0, 1.0), strict=True):
        path.parent.mkdir()
        other_onnx(path)
        model = onnx.load(str(path))
        model.graph.initializer[0].raw_data = np.full((192, 1), value, np.float32).tobytes()
        del model.graph.initializer[0].float_data[:]
        beside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
        onnx.save(model, str(path), **(beside if path.parent.name != "inside" else {}))
    one, other, inside = map(onnx_sha256, paths)
    assert paths[0].read_bytes() == paths[1].read_bytes() and one != other
    assert inside == sha256(paths[2])


def test_a_file_that_is_no_onnx(tmp_path):
    (tmp_path / "theirs.onnx").write_bytes(b"hello")
    with pytest.raises(UserError, match="not an ONNX file"):
        load_onnx(tmp_path / "theirs.onnx", OnnxConfig("logit"))


def test_a_subject_that_is_not_there(tmp_path):
    rows = small_rows()
    with pytest.raises(UserError, match="no such file"):
        evaluated(tmp_path, rows, tmp_path / "theirs.csv")


def test_a_table_named_twice_is_refused(tmp_path):
    rows = small_rows()
    file = written(tmp_path / "theirs.csv", video_scores(rows))
    with pytest.raises(UserError, match="named twice"):
        evaluated(tmp_path, rows, file, file)


@pytest.mark.parametrize(
    ("options", "flag", "needs"),
    [
        ({"checkpoint": "nonsense"}, "--checkpoint", "a run"),
        ({"onnx": OnnxConfig("logit", size=7)}, "--onnx.output", "an ONNX file of another maker"),
        ({"onnx": OnnxConfig(size=7)}, "--onnx.size", "an ONNX file of another maker"),
        ({"frames": 1}, "--frames", "scores of crops"),
        ({"pooling": "top-5"}, "--pooling", "scores of crops"),
    ],
)
def test_options_that_no_detector_uses_are_refused(tmp_path, options, flag, needs):
    rows = small_rows()
    file = written(tmp_path / "theirs.csv", video_scores(rows))
    with pytest.raises(UserError) as error:
        evaluated(tmp_path, rows, file, config=replace(CONFIG, **options))
    assert error.value.problem.startswith(f"{flag}: changes nothing here, it needs {needs}")
    assert not (tmp_path / "out").exists()
    config = replace(CONFIG, **options)
    run = ScoredHere(Path(), {}, Path(), (), config, made_up_scorer(), uses=("checkpoint", "onnx", *OF_CROPS))
    refuse_unused([run], config)


def test_results_keep_their_question(tmp_path):
    """Another table under the same name is another question."""
    rows = small_rows()
    file = written(tmp_path / "theirs.csv", video_scores(rows))
    write_report(tmp_path / "out", evaluated(tmp_path, rows, file))
    written(file, video_scores(rows, fake=REAL))
    with pytest.raises(UserError, match="another evaluation"):
        evaluated(tmp_path, rows, file)
    again = evaluated(tmp_path, rows, file, config=replace(CONFIG, overwrite=True))
    assert by_video(again).auc == 0.5
    assert json.loads((tmp_path / "out/settings.json").read_text())["unknown_training"] == ["theirs"]
