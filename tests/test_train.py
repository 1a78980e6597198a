"""Training runs: what they leave behind, what they refuse, and that a killed one is the one that was not killed."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

from dfgame.checkpoint import load_detector
from dfgame.config import (
    AdversaryConfig,
    DetectorConfig,
    EvaluateConfig,
    SettingError,
    TrainConfig,
    to_dict,
    train_config_from_dict,
)
from dfgame.manifest import SCHEMA, read_manifest, select, write_manifest
from dfgame.records import UserError
from dfgame.score import run_info, score_run
from dfgame.train import train_run

SMALL = {
    "epochs": 3,
    "epoch_pairs": 8,
    "batch_size": 4,
    "image_size": 64,
    "snapshot_interval": 2,
    "workers": 0,
    "detector": DetectorConfig(backbone="test_efficientnet", pretrained=False),
    "methods": ("FaceSwap",),
}
GENERATOR = AdversaryConfig(filters=2, blocks=1)


def settings(game, **others):
    return TrainConfig(game=game, **({"adversary": GENERATOR} if game == "generator" else {}), **{**SMALL, **others})


def row(path, split, label, method, identity):
    return {
        "path": path,
        "video": f"{method}/{identity}.mp4",
        "dataset": "test",
        "frame": 0,
        "time": 0.0,
        "label": label,
        "method": method,
        "compression": "c23",
        "identity": identity,
        "source": None,
        "split": split,
        **dict.fromkeys(("left", "top", "right", "bottom"), 1.0),
        "landmarks": [0.0] * 10,
        "score": 1.0,
        "track": 0,
    }


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Smooth pictures are real, pictures with a fine grid are fake; two people a split."""
    folder = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    rows = []
    for number, split in enumerate(["train", "train", "val", "val", "test", "test"]):
        for label, method in (("real", "original"), ("fake", "FaceSwap"), ("fake", "Deepfakes")):
            image = cv2.resize(rng.integers(60, 200, (5, 5, 3), dtype=np.uint8), (64, 64))
            if label == "fake":
                image = image.copy()
                image[::2, ::2] += 40
            path = f"{method}_{number}.png"
            cv2.imwrite(str(folder / path), image)
            rows.append(row(path, split, label, method, f"{number:03d}"))
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_manifest(folder / "manifest.parquet", table, {"made": "by a test"})
    return folder / "manifest.parquet"


@pytest.mark.parametrize("game", ["none", "generator"])
def test_a_run_leaves_checkpoints_curves_pictures_and_its_settings(game, manifest, tmp_path):
    record = train_run(manifest, tmp_path / "run", settings(game))
    run = tmp_path / "run"
    weights = {"best.safetensors", "last.safetensors", "epoch_002.safetensors"}
    weights |= {"adversary.safetensors"} if game == "generator" else set()
    assert {p.name for p in run.glob("*.safetensors")} == weights
    assert record == json.loads((run / "run.json").read_text())
    assert [entry["epoch"] for entry in record["history"]] == [1, 2, 3]
    assert 0 <= record["history"][0]["val_auc"] <= 1
    assert record["data"]["train"] == {"crops": 4, "videos": 4, "identities": 2}
    assert list((run / "tensorboard").glob("events*"))
    assert len(list((run / "pictures").glob("*.png"))) == (3 if game == "generator" else 0)
    assert train_config_from_dict(record["settings"]) == settings(game)


def test_tensorboard_holds_scalars_and_pictures(manifest, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_run(manifest, tmp_path / "run", TrainConfig(game="gradient", **SMALL, log_interval=1))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"detector/loss", "detector/loss_adversarial", "lr/detector", "val_auc"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("detector/loss")] == list(range(12))
    assert events.Tags()["images"] == ["clean, adversarial, difference, strength"]


def test_the_test_split_is_never_read(manifest, tmp_path):
    copy = tmp_path / "crops"
    copy.mkdir()
    table = read_manifest(manifest)
    for path in select(table, "train")["path"].to_pylist() + select(table, "val")["path"].to_pylist():
        (copy / path).write_bytes((manifest.parent / path).read_bytes())
    (copy / "manifest.parquet").write_bytes(manifest.read_bytes())
    train_run(copy / "manifest.parquet", tmp_path / "run", TrainConfig(game="none", **SMALL))


def command(manifest, run, *more):
    flags = [
        "--game",
        "generator",
        "--epochs",
        "4",
        "--epoch-pairs",
        "16",
        "--batch-size",
        "4",
        "--image-size",
        "64",
        "--workers",
        "0",
    ]
    small = [
        "--adversary.filters",
        "2",
        "--adversary.blocks",
        "1",
        "--detector.backbone",
        "test_efficientnet",
        "--detector.no-pretrained",
        "--state-interval",
        "3",
    ]
    return [sys.executable, "-m", "dfgame", "train", str(manifest), str(run), *flags, *small, *more]


def test_a_run_that_is_killed_and_resumed_is_the_run_that_was_not_killed(manifest, tmp_path):
    subprocess.run(command(manifest, tmp_path / "whole"), check=True, capture_output=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(manifest, killed), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / "state.pt").is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "epoch_004.safetensors").exists()
    subprocess.run(command(manifest, killed, "--resume"), check=True, capture_output=True)
    whole, resumed = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    histories = [json.loads((tmp_path / n / "run.json").read_text())["history"] for n in ("whole", "killed")]
    assert histories[0] == histories[1]


def test_a_complete_run_is_not_trained_again(manifest, tmp_path):
    config = TrainConfig(game="none", **SMALL, resume=True)
    first = train_run(manifest, tmp_path / "run", config)
    weights = (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns
    assert train_run(manifest, tmp_path / "run", config)["history"] == first["history"]
    assert (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns == weights


def test_refusals(manifest, tmp_path):
    run = tmp_path / "run"
    train_run(manifest, run, TrainConfig(game="none", **SMALL))
    with pytest.raises(UserError, match="holds a run already"):
        train_run(manifest, run, TrainConfig(game="none", **SMALL))
    with pytest.raises(UserError, match=r"other settings \(--seed"):
        train_run(manifest, run, TrainConfig(game="none", **SMALL, seed=1, resume=True))
    with pytest.raises(UserError, match="no such file"):
        train_run(tmp_path / "none.parquet", tmp_path / "other", settings("generator"))
    with pytest.raises(UserError, match="--methods Face2Face: not in"):
        train_run(manifest, tmp_path / "third", settings("none", methods=("Face2Face",)))


def test_people_in_two_splits_are_refused(manifest, tmp_path):
    table = read_manifest(manifest)
    rows = table.to_pylist()
    rows[-1]["source"] = "000"
    leaky = tmp_path / "manifest.parquet"
    write_manifest(leaky, pa.Table.from_pylist(rows, schema=SCHEMA), {})
    with pytest.raises(UserError, match="in two splits: 000"):
        train_run(leaky, tmp_path / "run", settings("generator"))


def test_scores_are_those_of_the_validation(manifest, tmp_path):
    """An evaluation of the val split gives the AUC that training recorded for the same checkpoint."""
    from sklearn.metrics import roc_auc_score

    record = train_run(manifest, tmp_path / "run", TrainConfig(game="none", **SMALL))
    rows = select(read_manifest(manifest), "val", ("FaceSwap",), ("c23",))
    config = EvaluateConfig(checkpoint="last", workers=0)
    scored = score_run(tmp_path / "run", rows, manifest.parent, config)
    labels = [label == "fake" for label in scored["label"].to_pylist()]
    assert record["history"][-1]["val_auc"] == pytest.approx(roc_auc_score(labels, scored["p_fake"].to_pylist()))
    assert run_info(tmp_path / "run")["methods"] == ["FaceSwap"]


def test_a_checkpoint_that_is_missing_says_which_there_are(manifest, tmp_path):
    train_run(manifest, tmp_path / "run", TrainConfig(game="none", **SMALL))
    with pytest.raises(UserError, match="no such checkpoint") as caught:
        load_detector(tmp_path / "run", "epoch_009", torch.device("cpu"))
    assert caught.value.remedy == "this run has: best, epoch_002, last"


def test_auxiliary_norms_survive_the_checkpoint(manifest, tmp_path):
    small = {**SMALL, "detector": DetectorConfig(backbone="test_efficientnet", pretrained=False, bn2=True)}
    train_run(manifest, tmp_path / "run", TrainConfig(game="gradient", **small))
    detector, _ = load_detector(tmp_path / "run", "last", torch.device("cpu"))
    assert detector.has_auxiliary_norms


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"batch_size": 3}, "--batch-size"),
        ({"epochs": 0}, "--epochs"),
        ({"image_size": 8}, "--image-size"),
    ],
)
def test_settings_that_cannot_be_used_name_their_flag(settings, flag):
    with pytest.raises(SettingError, match=flag):
        TrainConfig(**settings)


def test_settings_survive_json():
    config = TrainConfig(game="gradient", methods=("Deepfakes",), detector=DetectorConfig(head="fc"))
    assert train_config_from_dict(json.loads(json.dumps(to_dict(config)))) == config
