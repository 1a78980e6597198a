"""The whole command on real clips: what it writes, what it uses again, what fails, and how a killed call goes on."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pyarrow as pa
import pytest
import torch
from onnx import TensorProto, helper
from sklearn.metrics import roc_auc_score

import dfgame.robustness.videos
from boxes import FACTS, trained_a_little
from dfgame.boxed import load_detector, save_box
from dfgame.checkpoint import load_detector as load_run
from dfgame.cli import main
from dfgame.config import DetectorConfig, ExportConfig, OnnxConfig, RobustnessConfig, TrainConfig
from dfgame.export import export_box
from dfgame.files import held_folder
from dfgame.manifest import SCHEMA, read_manifest, write_manifest
from dfgame.media import read_image
from dfgame.models import probabilities
from dfgame.records import UserError
from dfgame.report.robustness import robustness_table, write_robustness
from dfgame.robustness.measure import measure_robustness
from dfgame.train import train_run
from pages import Page

SETTINGS = RobustnessConfig(
    only=("crf", "jpeg", "brightness", "shift", "additive"),
    crf=(23, 45),
    jpeg=(30,),
    brightness=(-40.0, 40.0),
    shift=(0.2,),
    additive=(4,),
    adversary_steps=2,
    compressions=("c23",),
    frames=2,
    replicates=100,
    workers=1,
    device="cpu",
)
FLAGS = [
    *("--only", "crf", "jpeg", "brightness", "shift", "additive", "--crf", "23", "45", "--jpeg", "30"),
    *("--brightness", "-40", "40", "--shift", "0.2", "--additive", "4", "--adversary-steps", "2"),
    *("--compressions", "c23", "--frames", "2", "--replicates", "100", "--workers", "1", "--device", "cpu"),
]
POINTS = ["none", "crf=23", "crf=45", "jpeg=30", "brightness=-40", "brightness=40", "shift=0.2", "additive=4"]
BOX = "tiny"


@pytest.fixture(scope="module")
def box(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("box") / "tiny.safetensors"
    save_box(path, FACTS, [trained_a_little(0), trained_a_little(1)])
    return path


@pytest.fixture(scope="module")
def run(manifest, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "plain"
    settings = TrainConfig(
        game="none",
        epochs=1,
        epoch_pairs=4,
        batch_size=8,
        image_size=48,
        workers=0,
        device="cpu",
        detector=DetectorConfig(backbone="test_efficientnet", pretrained=False),
    )
    train_run(manifest, path, settings)
    return path


@pytest.fixture(scope="module")
def measured(manifest, mini_ff, run, box, tmp_path_factory):
    """The results of one whole measurement; tests must not change them."""
    out = tmp_path_factory.mktemp("robustness")
    found = measure_robustness([run, box], manifest, [mini_ff], out, SETTINGS)
    write_robustness(out, found)
    return out, found


@pytest.fixture
def jobs(monkeypatch) -> list[Any]:
    """The videos that are made worse from here on."""
    done: list[Any] = []
    original = dfgame.robustness.videos.run_jobs

    def seen(function, some, *rest):
        done.extend(some)
        return original(function, some, *rest)

    monkeypatch.setattr(dfgame.robustness.videos, "run_jobs", seen)
    return done


def files_of(out: Path) -> dict[str, bytes]:
    """Every file, OUT's name in it replaced; not what a killed writer may leave of a file."""
    paths = (path for path in out.rglob("*") if path.is_file() and ".tmp" not in path.name)
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}
    return {name: content.replace(str(out).encode(), b"OUT") for name, content in found.items()}


def said(call) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in call])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def test_untouched_videos_get_the_scores_of_the_manifests_crops(measured, manifest, run, box):
    """By scikit-learn, from the stored crops, scored one by one."""
    rows = [
        row for row in read_manifest(manifest).to_pylist() if (row["split"], row["compression"]) == ("test", "c23")
    ]
    videos = sorted({row["video"] for row in rows})
    boxed, (detector, _) = load_detector(box, "cpu"), load_run(run, "best", torch.device("cpu"))
    for name, side, score in (
        (BOX, 64, boxed.probabilities),
        ("plain", 48, lambda images: 1 - probabilities(detector(images))[:, 0]),
    ):
        means, labels = [], []
        for video in videos:
            own = sorted((row for row in rows if row["video"] == video), key=lambda row: row["frame"])
            crops = [read_image(manifest.parent / row["path"]) for row in (own[0], own[-1])]
            small = [cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in crops]
            with torch.inference_mode():
                means.append(float(score(torch.tensor(np.stack(small)).permute(0, 3, 1, 2).float() / 255).mean()))
            labels.append(own[0]["label"] == "fake")
        row = next(row for row in measured[1].rows if (row.subject, row.strength) == (name, None))
        assert row.auc == pytest.approx(roc_auc_score(labels, means))
        kept = [json.loads(path.read_text()) for path in (measured[0] / ".robustness/videos").glob("*.json")]
        weights = measured[1].settings["weights_sha256"][name]
        of_video = {record["video"]: record["scores"][weights]["none"] for record in kept}
        assert [of_video[video] for video in videos] == pytest.approx(means, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("theirs.onnx", "not an ONNX file, or damaged"),
        ("theirs.csv", "robustness is measured of detectors that can score faces"),
    ],
)
def test_what_cannot_score_faces_is_refused_in_a_line(manifest, tmp_path, name, problem):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=problem):
        measure_robustness([tmp_path / name], manifest, [], tmp_path / "out", RobustnessConfig(only=("jpeg",)))


@pytest.fixture(scope="module")
def exported(box, tmp_path_factory) -> Path:
    """The box as an ONNX file."""
    path = tmp_path_factory.mktemp("onnx") / "exported.onnx"
    export_box(box, path, ExportConfig())
    return path


def test_an_onnx_file_fades_as_the_box_that_it_was_made_from_and_is_not_attacked(
    measured, manifest, mini_ff, box, exported, tmp_path
):
    found = measure_robustness([box, exported], manifest, [mini_ff], tmp_path / "out", SETTINGS)
    (name,) = set(found.subjects) - {BOX}
    own = {row.point.key: row for row in found.rows if row.subject == name}
    assert list(own) == [key for key in POINTS if key != "additive=4"]
    for path in (tmp_path / "out/.robustness/videos").glob("*.json"):
        scores = json.loads(path.read_text())["scores"]
        of_box, of_file = (scores[found.settings["weights_sha256"][one]] for one in (BOX, name))
        assert [of_file[key] for key in own] == pytest.approx([of_box[key] for key in own], abs=1e-4)
    assert found.notes[-1] == f"{name}: additive not done, an ONNX file gives no slope to follow"
    assert f"not known what people were learned from: {BOX}, {name}" in found.notes
    page = Page(write_robustness(tmp_path / "out", found).read_text())
    assert all(note in page.text for note in found.notes) and "not done" in page.text and len(page.all("svg")) == 5
    cells = [str(cell) for column in robustness_table(found).columns[2:] for cell in column.cells]
    assert cells.count("not done") == 2


def of_another_maker(path: Path, *more: str) -> Path:
    """A file that gives the mean of each of four images, after more operations on it."""
    value = helper.make_tensor_value_info
    names = ["mean", *more]
    nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0)]
    nodes += [helper.make_node(name, [before], [name]) for before, name in pairwise(names)]
    graph = helper.make_graph(
        nodes, "g", [value("image", TensorProto.FLOAT, [4, 3, 8, 8])], [value(names[-1], TensorProto.FLOAT, [4])]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def brightened(manifest: Path, detector: Path, out: Path, levels: int) -> list[object]:
    """The command on crops that are made brighter by so many grey levels."""
    words = ["robustness", manifest, detector, "--out", out, "--only", "brightness", "--brightness", levels]
    return [*words, "--frames", 2, "--compressions", "c23", "--workers", 1, "--replicates", 100]


def test_a_file_of_another_maker_joins_what_is_measured_already(measured, manifest, mini_ff, run, box, tmp_path, jobs):
    out = tmp_path / "out"
    shutil.copytree(measured[0], out)
    theirs = of_another_maker(tmp_path / "theirs.onnx")
    found = measure_robustness(
        [run, box, theirs], manifest, [mini_ff], out, replace(SETTINGS, onnx=OnnxConfig("logit"))
    )
    assert len(jobs) == 6 and set(found.subjects) == {"plain", BOX, "theirs"}
    assert [row for row in found.rows if row.subject != "theirs"] == list(measured[1].rows)
    assert measure_robustness([run, box], manifest, [mini_ff], out, SETTINGS).rows == measured[1].rows
    assert len(jobs) == 6, "nothing is done again without it"
    fed_otherwise = replace(SETTINGS, onnx=OnnxConfig("logit", scale=1.0))
    measure_robustness([box, theirs], manifest, [mini_ff], out, fed_otherwise)
    assert len(jobs) == 12, "fed otherwise, it is another detector"


def test_a_video_to_which_a_detector_gives_no_number_is_a_failure(manifest, tmp_path, capsys):
    """The logarithm of a negative mean is none: of the darker images there is no score."""
    theirs, out = of_another_maker(tmp_path / "theirs.onnx", "Log"), tmp_path / "out"
    words = brightened(manifest, theirs, out, -200)
    words += ["--onnx.output", "logit", "--onnx.mean", "0.1", "0.1", "0.1"]
    assert said(words) == 2
    assert "theirs gives it no number at brightness=-200" in capsys.readouterr().err


def test_an_onnx_file_of_another_maker_is_fed_and_read_as_told(manifest, tmp_path, capsys):
    """One that gives the mean of the image in [-1, 1], as a logit: brighter images look more like fakes."""
    theirs, out = of_another_maker(tmp_path / "theirs.onnx"), tmp_path / "out"
    words = brightened(manifest, theirs, out, 40)
    read = ["--onnx.output", "logit", "--onnx.mean", "0.5", "0.5", "0.5", "--onnx.std", "0.5", "0.5", "0.5"]
    assert said([*words, *read]) == 0
    rows = [
        row for row in read_manifest(manifest).to_pylist() if row["compression"] == "c23" and row["split"] == "test"
    ]
    for path in (out / ".robustness/videos").glob("*.json"):
        record = json.loads(path.read_text())
        own = sorted((row for row in rows if row["video"] == record["video"]), key=lambda row: row["frame"])
        crops = [read_image(manifest.parent / row["path"]) for row in (own[0], own[-1])]
        for added, key in ((0, "none"), (40, "brightness=40")):
            bright = [np.clip(crop.astype(int) + added, 0, 255).astype(np.uint8) for crop in crops]
            small = [cv2.resize(crop, (8, 8), interpolation=cv2.INTER_AREA).astype(float) for crop in bright]
            expected = np.mean([1 / (1 + np.exp(1 - 2 * one.mean() / 255)) for one in small])
            (scores,) = record["scores"].values()
            assert scores[key] == pytest.approx(expected, abs=1e-5)
    capsys.readouterr()
    assert said(words) == 2
    assert "what its output means is not known" in capsys.readouterr().err


def test_an_adversary_alone_needs_a_slope_and_options_of_onnx_need_an_onnx_file(manifest, box, exported, tmp_path):
    with pytest.raises(UserError, match="--only additive: needs the detector's slope"):
        measure_robustness([exported], manifest, [], tmp_path / "out", RobustnessConfig(only=("additive",)))
    settings = RobustnessConfig(only=("jpeg",), onnx=OnnxConfig("logit"))
    with pytest.raises(UserError, match=r"--onnx\.output: changes nothing here"):
        measure_robustness([box, exported], manifest, [], tmp_path / "out", settings)


def test_a_checkpoint_of_boxes_alone_is_refused(manifest, box, tmp_path):
    with pytest.raises(UserError, match="--checkpoint: changes nothing here"):
        measure_robustness([box], manifest, [], tmp_path / "out", RobustnessConfig(only=("jpeg",), checkpoint="last"))


def test_only_fakes_are_attacked_and_they_look_more_real(measured):
    for path in (measured[0] / ".robustness/videos").glob("*.json"):
        record = json.loads(path.read_text())
        for scores in record["scores"].values():
            assert sorted(scores) == sorted(POINTS)
            if "original_sequences" in record["video"]:
                assert scores["additive=4"] == scores["none"]
            else:
                assert scores["additive=4"] < scores["none"]


def test_what_is_written(measured):
    out, found = measured
    told = json.loads((out / "robustness.json").read_text())
    assert [(row["subject"], row["transformation"], row["strength"]) for row in told["rows"]] == [
        (name, *(key.split("=")[0], float(key.split("=")[1]) if "=" in key else None))
        for name in ("plain", BOX)
        for key in POINTS
    ]
    assert all((row["n_real"], row["n_fake"]) == (2, 4) for row in told["rows"])
    assert all(0 <= row["low"] <= row["auc"] <= row["high"] <= 1 for row in told["rows"])
    assert told["settings"]["people"] == 2 and told["settings"]["frames"] == 12 and not told["failures"]
    with (out / "robustness.csv").open() as file:
        lines = list(csv.DictReader(file))
    columns = ["subject", "transformation", "strength", "auc", "low", "high", "n_real", "n_fake"]
    assert list(lines[0]) == columns
    assert [float(line["auc"]) for line in lines] == [row["auc"] for row in told["rows"]]
    for name in ("crf", "jpeg", "brightness", "shift", "additive"):
        figure = (out / f"robustness-{name}.svg").read_text()
        assert figure.startswith("<?xml") and "<script" not in figure and "video-level AUC" in figure
    assert not (out / ".robustness/crops").exists()
    page = Page((out / "robustness.html").read_text())
    assert not page.all("script") and len(page.all("svg")) == 5
    assert not [tag for tag, values in page.tags if "src" in values or str(values.get("href", "#"))[0] != "#"]
    assert "whole frames transformed" in page.text and found.settings["command"] in page.text
    (out / "robustness-noise.svg").write_text("of an earlier call")
    assert write_robustness(out, found).read_text() == (out / "robustness.html").read_text()
    assert not (out / "robustness-noise.svg").exists() and (out / "robustness-crf.svg").exists()


def test_the_command_says_it_and_its_own_command_line_gives_the_same(
    measured, manifest, mini_ff, run, box, tmp_path, capsys
):
    out = tmp_path / "out"
    assert said(["robustness", manifest, run, box, "--data", mini_ff, "--out", out, *FLAGS]) == 0
    shown = capsys.readouterr().out
    assert "H.264" in shown and "plain: no" in shown, "it cannot be told from a coin, and loses half of nothing"
    assert files_of(out) == files_of(measured[0])


def test_what_is_there_is_used_again_and_only_what_is_missing_is_done(
    measured, manifest, mini_ff, run, box, tmp_path, jobs
):
    out = tmp_path / "out"
    shutil.copytree(measured[0], out)
    again = measure_robustness([run.parent, box], manifest, [mini_ff], out, SETTINGS)
    assert not jobs and again.rows == measured[1].rows
    more = replace(SETTINGS, jpeg=(30, 80))
    found = measure_robustness([box], manifest, [mini_ff], out, more)
    assert len(jobs) == 6 and {tuple(point.key for point in job.points) for job in jobs} == {("jpeg=80",)}
    assert [row for row in found.rows if row.strength != 80] == [row for row in again.rows if row.subject == BOX]


def test_another_measurement_is_not_overwritten_unasked(measured, manifest, mini_ff, box, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(measured[0], out)
    other = replace(SETTINGS, frames=1)
    with pytest.raises(UserError, match="comes from another measurement"):
        measure_robustness([box], manifest, [mini_ff], out, other)
    found = measure_robustness([box], manifest, [mini_ff], out, replace(other, overwrite=True))
    assert found.settings["frames"] == 6


def test_a_bad_video_is_recorded_and_the_rest_is_done(manifest, mini_ff, box, tmp_path, capsys):
    root, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(mini_ff, root)
    bad = "manipulated_sequences/FaceSwap/c23/videos/004_005.mp4"
    (root / bad).write_bytes(b"no video")
    flags = ["--only", "jpeg", "--jpeg", "50", "--compressions", "c23", "--frames", "1", "--workers", "1"]
    assert said(["robustness", manifest, box, "--data", root, "--out", out, *flags]) == 1
    assert f"failed: FaceForensics++/{bad}: is not the file" in capsys.readouterr().err
    (failure,) = json.loads((out / "failures.json").read_text())
    assert failure["path"].endswith(bad)
    told = json.loads((out / "robustness.json").read_text())
    assert all((row["n_real"], row["n_fake"]) == (2, 3) for row in told["rows"])
    assert bad in Page((out / "robustness.html").read_text()).text
    shutil.copyfile(mini_ff / bad, root / bad)
    assert said(["robustness", manifest, box, "--data", root, "--out", out, *flags]) == 0
    assert json.loads((out / "failures.json").read_text()) == []


def test_people_are_taken_with_all_their_videos(manifest, mini_ff, box, tmp_path):
    settings = RobustnessConfig(only=("jpeg",), jpeg=(50,), split="all", people=3, frames=1, workers=1)
    found = measure_robustness([box], manifest, [mini_ff], tmp_path / "out", settings)
    assert found.settings["people"] == 3
    assert (found.rows[0].n_real, found.rows[0].n_fake) == (6, 12)


def test_without_videos_crops_are_made_worse_and_it_says_so(manifest, box, tmp_path, capsys):
    flags = ["--compressions", "c23", "--frames", "1", "--workers", "1", "--adversary-steps", "1"]
    with pytest.raises(UserError, match="--only crf shift: needs the videos, and without --data there are none"):
        measure_robustness([box], manifest, [], tmp_path / "no", RobustnessConfig(only=("jpeg", "crf", "shift")))
    out = tmp_path / "out"
    assert said(["robustness", manifest, box, "--out", out, *flags]) == 0
    assert "crf: not done, it needs the videos" in capsys.readouterr().err
    told = json.loads((out / "robustness.json").read_text())
    done = {row["transformation"] for row in told["rows"]}
    assert done == {"none", "jpeg", "scale", "blur", "noise", "brightness", "gradient-blur", "additive"}
    page = Page((out / "robustness.html").read_text())
    assert "stored crops were\ntransformed" in page.text and "shift: not done" in page.text


def test_crops_that_do_not_say_how_they_were_cut_out_are_not_cut_out_again(manifest, mini_ff, box, tmp_path):
    table = read_manifest(manifest)
    (tmp_path / "crops").mkdir()
    shutil.copytree(manifest.parent, tmp_path / "crops", dirs_exist_ok=True)
    bare = tmp_path / "crops" / "bare.parquet"
    write_manifest(bare, pa.table(table.columns, schema=SCHEMA), {"made": "elsewhere"})
    settings = RobustnessConfig(only=("jpeg",), jpeg=(50,), frames=1, workers=1)
    found = measure_robustness([box], bare, [mini_ff], tmp_path / "out", settings)
    assert found.settings["asked"]["origin"]["done_to"] == "crops" and len(found.rows) == 2
    with pytest.raises(UserError, match="does not say how its crops were cut out"):
        measure_robustness([box], bare, [mini_ff], tmp_path / "out", RobustnessConfig(only=("crf",)))


def test_wrong_detectors_and_folders_are_one_line(manifest, mini_ff, box, tmp_path):
    with pytest.raises(UserError, match="no detector to measure"):
        measure_robustness([], manifest, [mini_ff], tmp_path / "out", SETTINGS)
    with pytest.raises(UserError, match="its weights are there twice"):
        measure_robustness([box, box], manifest, [mini_ff], tmp_path / "out", SETTINGS)
    with pytest.raises(UserError, match=r"--data .*nowhere: no such folder"):
        measure_robustness([box], manifest, [tmp_path / "nowhere"], tmp_path / "out", SETTINGS)


def test_a_folder_that_another_process_measures_into_is_refused(manifest, mini_ff, box, tmp_path):
    with held_folder(tmp_path / "out"), pytest.raises(UserError, match="another process is writing there"):
        measure_robustness([box], manifest, [mini_ff], tmp_path / "out", SETTINGS)


def test_what_flatters_the_level_is_said(manifest, mini_ff, run, tmp_path):
    """People of the training, another manifest, epochs that are missing."""
    settings = RobustnessConfig(only=("jpeg",), jpeg=(50,), frames=1, workers=1, replicates=100)
    assert measure_robustness([run], manifest, [mini_ff], tmp_path / "out", settings).notes == ()
    shutil.copytree(run, tmp_path / "other")
    record = json.loads((tmp_path / "other/run.json").read_text())
    record["settings"]["epochs"], record["data"]["manifest_sha256"] = 3, "f" * 64
    (tmp_path / "other/run.json").write_text(json.dumps(record))
    changed = replace(settings, split="train")
    notes = measure_robustness([tmp_path / "other"], manifest, [mini_ff], tmp_path / "train", changed).notes
    assert notes == (
        "--split train: people that training has used; what is measured on them is flattered",
        "trained on another manifest, whose people may be among these: other",
        "training has not finished: other (1 of 3 epochs)",
    )


def test_a_box_for_other_crops_is_refused(manifest, mini_ff, tmp_path):
    other = tmp_path / "other.safetensors"
    save_box(other, replace(FACTS, crop=replace(FACTS.crop, margin=2.0)), [trained_a_little(3)])
    with pytest.raises(UserError, match=r"trained on crops of margin 2.0, those to test on have 1.3"):
        measure_robustness([other], manifest, [mini_ff], tmp_path / "out", SETTINGS)
    allowed = RobustnessConfig(only=("jpeg",), jpeg=(50,), frames=1, workers=1, allow_mismatch=True)
    found = measure_robustness([other], manifest, [mini_ff], tmp_path / "out", allowed)
    assert any("margin 2.0" in note for note in found.notes)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a process group")
def test_a_killed_measurement_goes_on_to_the_same_bytes(measured, manifest, mini_ff, run, box, tmp_path):
    out = tmp_path / "out"
    words = ["robustness", manifest, run, box, "--data", mini_ff, "--out", out, *FLAGS]
    command = [sys.executable, "-m", "dfgame", *map(str, words)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    records, deadline = out / ".robustness/videos", time.monotonic() + 240
    while len(list(records.glob("[!.]*.json"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    done = len(list(records.glob("[!.]*.json")))
    assert process.returncode == -signal.SIGKILL and 2 <= done < 6
    assert not (out / "robustness.json").exists()
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    assert files_of(out) == files_of(measured[0])
