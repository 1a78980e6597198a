"""Training runs: what they leave behind, what they refuse, and that a killed one is the one that was not killed."""

import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

import dfgame.train
from dfgame.augment import Augmentation
from dfgame.batches import RoundBatches
from dfgame.checkpoint import load_detector, new_detector
from dfgame.config import (
    AdversaryConfig,
    AugmentConfig,
    DetectorConfig,
    EvaluateConfig,
    OptimizerConfig,
    SettingError,
    TrainConfig,
    to_dict,
    train_config_from_dict,
)
from dfgame.files import held_folder
from dfgame.manifest import SCHEMA, read_manifest, select, write_manifest
from dfgame.models import class_names, follow
from dfgame.models.detector import SplitNorm
from dfgame.records import UserError
from dfgame.rows import _val_rows
from dfgame.score import run_info, score_run
from dfgame.train import rate_factor, train_run

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
        "32",
        "--augment.after",
        "--permute",
        "--log-interval",
        "1",
        "--batch-size",
        "4",
        "--image-size",
        "64",
        "--workers",
        "0",
    ]
    schedule = [
        "--average",
        "0.9",
        "--optimizer.schedule",
        "cosine",
        "--optimizer.warmup",
        "5",
        "--adversary.start",
        "1",
        "--adversary.share",
        "0.5",
        "--detector.bn2",
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
    return [sys.executable, "-m", "dfgame", "train", str(manifest), str(run), *flags, *schedule, *small, *more]


@pytest.fixture(scope="module")
def whole(manifest, tmp_path_factory):
    """A run that nobody killed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(manifest, run), check=True, capture_output=True)
    return run


@pytest.mark.parametrize(
    "saves",
    [
        pytest.param(0, id="before any state", marks=pytest.mark.slow),
        pytest.param(1, id="within an epoch", marks=pytest.mark.slow),
        pytest.param(7, id="in a later epoch"),
    ],
)
def test_a_run_that_is_killed_and_resumed_is_the_run_that_was_not_killed(saves, whole, manifest, tmp_path):
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(manifest, killed), stderr=subprocess.DEVNULL)
    seen, deadline = set(), time.monotonic() + 120
    sign = killed / ("state.pt" if saves else "run.json")
    while len(seen) < max(saves, 1) and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            seen.add(sign.stat().st_mtime_ns)
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "epoch_004.safetensors").exists()
    subprocess.run(command(manifest, killed, "--resume"), check=True, capture_output=True)
    for name in ("last", "best", "adversary"):
        expected, resumed = (load_file(run / f"{name}.safetensors") for run in (whole, killed))
        assert expected.keys() == resumed.keys()
        assert all(torch.equal(expected[key], resumed[key]) for key in expected)
    states = [torch.load(run / "state.pt", weights_only=True) for run in (whole, killed)]
    for player in ("detector", "average"):
        expected, resumed = (state[player] for state in states)
        assert all(torch.equal(expected[key], resumed[key]) for key in expected)
    assert not all(torch.equal(states[0]["average"][key], value) for key, value in states[0]["detector"].items())
    histories = [json.loads((run / "run.json").read_text())["history"] for run in (whole, killed)]
    assert histories[0] == histories[1]
    assert scalars(whole) == scalars(killed)


def scalars(run):
    """All that TensorBoard would show: steps and values by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_complete_run_is_not_trained_again(manifest, tmp_path):
    config = TrainConfig(game="none", **SMALL, resume=True)
    first = train_run(manifest, tmp_path / "run", config)
    weights = (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns
    assert train_run(manifest, tmp_path / "run", config)["history"] == first["history"]
    assert (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns == weights
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(record | {"history": []}))  # killed before it was written
    train_run(manifest, tmp_path / "run", config)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["history"] == first["history"]


def test_refusals(manifest, tmp_path):
    run = tmp_path / "run"
    train_run(manifest, run, TrainConfig(game="none", **SMALL))
    with pytest.raises(UserError, match="holds a run already"):
        train_run(manifest, run, TrainConfig(game="none", **SMALL))
    with pytest.raises(UserError, match=r"other settings \(--seed: 1, was 0\)"):
        train_run(manifest, run, TrainConfig(game="none", **SMALL, seed=1, resume=True))
    with pytest.raises(UserError, match="no such file"):
        train_run(tmp_path / "none.parquet", tmp_path / "other", settings("generator"))
    with pytest.raises(UserError, match="--methods Face2Face: not in"):
        train_run(manifest, tmp_path / "third", settings("none", methods=("Face2Face",)))
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    with held_folder(run), pytest.raises(UserError, match="run: another process is writing there"):
        train_run(manifest, run, TrainConfig(game="none", **SMALL, resume=True))
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


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


def test_more_epochs_may_be_asked_for_and_housekeeping_may_change(manifest, tmp_path):
    train_run(manifest, tmp_path / "run", settings("gradient"))
    longer = settings("gradient", epochs=4, resume=True, state_interval=3, snapshot_interval=1)
    record = train_run(manifest, tmp_path / "run", longer)
    assert [entry["epoch"] for entry in record["history"]] == [1, 2, 3, 4]
    assert record["settings"]["epochs"] == 4
    straight = train_run(manifest, tmp_path / "straight", settings("gradient", epochs=4))
    assert straight["history"] == record["history"]


def test_a_run_whose_state_is_gone_begins_anew(manifest, tmp_path):
    config = settings("none")
    first = train_run(manifest, tmp_path / "run", config)
    (tmp_path / "run" / "state.pt").unlink()
    again = train_run(manifest, tmp_path / "run", settings("none", resume=True))
    assert again["history"] == first["history"]


@pytest.mark.parametrize("content", [b"", b"not a state", b"PK\x03\x04 cut off"])
def test_a_damaged_state_is_one_line(content, manifest, tmp_path):
    train_run(manifest, tmp_path / "run", settings("none"))
    (tmp_path / "run" / "state.pt").write_bytes(content)
    with pytest.raises(UserError, match="not a training state"):
        train_run(manifest, tmp_path / "run", settings("none", resume=True))


def test_settings_of_another_version_and_damaged_weights_are_one_line(manifest, tmp_path):
    run = tmp_path / "run"
    train_run(manifest, run, settings("none"))
    (run / "last.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="not the weights of this detector"):
        load_detector(run, "last", torch.device("cpu"))
    record = json.loads((run / "run.json").read_text())
    del record["settings"]["detector"]["multi"]
    (run / "run.json").write_text(json.dumps(record))
    assert not load_detector(run, "best", torch.device("cpu"))[1].detector.multi
    record["settings"]["telepathy"] = True
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="not a run of this version"):
        load_detector(run, "best", torch.device("cpu"))


def test_a_detector_that_diverges_in_an_epochs_last_step_ends_the_run_and_leaves_what_was_saved(
    manifest, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    train_run(manifest, run, settings("none", epochs=1))
    kept = {path.name: path.read_bytes() for path in run.iterdir() if path.suffix in (".pt", ".safetensors")}
    monkeypatch.setattr(dfgame.train, "score_crops", lambda _detector, paths, *_: np.full(len(paths), np.nan))
    with pytest.raises(UserError, match="scores of the val split are no longer numbers"):
        train_run(manifest, run, settings("none", epochs=2, resume=True))
    assert {name: (run / name).read_bytes() for name in kept} == kept


def test_a_batch_of_which_one_image_is_attacked_has_its_picture(manifest, tmp_path):
    adversary = AdversaryConfig(share=0.1, attacks="fake")
    train_run(manifest, tmp_path, settings("gradient", epochs=1, adversary=adversary))
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_what_was_saved(manifest, tmp_path, monkeypatch):
    run = tmp_path / "run"
    train_run(manifest, run, settings("none", epochs=1))
    state = (run / "state.pt").read_bytes()
    play = dfgame.train.play_round

    def broken(detector, *others, **more):
        played = play(detector, *others, **more)
        return played._replace(scalars={"detector/loss": float("nan")})

    monkeypatch.setattr(dfgame.train, "play_round", broken)
    with pytest.raises(UserError, match="no longer a number in round 4"):
        train_run(manifest, run, settings("none", epochs=2, resume=True))
    assert (run / "state.pt").read_bytes() == state


def test_bf16_rounds_do_not_see_the_weights_of_the_moment_before(manifest, tmp_path, monkeypatch):
    """Autocast may keep weights that it cast; within a round they change, so it must not."""
    seen = []
    play = dfgame.train.play_round

    def watched(*others, **more):
        seen.append((torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()))
        return play(*others, **more)

    monkeypatch.setattr(dfgame.train, "play_round", watched)
    train_run(manifest, tmp_path / "run", settings("generator", epochs=1, precision="bf16"))
    assert set(seen) == {(True, False)}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"channels_last": False}, 1e-3),
        ({"precision": "bf16"}, 0.1),
        pytest.param({"compile": True}, 1e-3, marks=pytest.mark.slow),
    ],
)
def test_how_it_is_computed_changes_little(changed, expected, manifest, tmp_path):
    plain = train_run(manifest, tmp_path / "plain", settings("gradient", epochs=1))
    other = train_run(manifest, tmp_path / "other", settings("gradient", epochs=1, **changed))
    losses = [record["history"][0]["detector/loss"] for record in (plain, other)]
    assert losses[0] == pytest.approx(losses[1], rel=expected)


def test_the_memory_layout_is_the_one_asked_for(manifest, tmp_path, monkeypatch):
    seen = []
    play = dfgame.train.play_round

    def watched(detector, optimizer, adversary, images, *others, **more):
        seen.append(images.is_contiguous(memory_format=torch.channels_last))
        return play(detector, optimizer, adversary, images, *others, **more)

    monkeypatch.setattr(dfgame.train, "play_round", watched)
    for wanted in (True, False):
        train_run(manifest, tmp_path / str(wanted), settings("none", epochs=1, channels_last=wanted))
        assert set(seen) == {wanted}
        seen.clear()


def test_a_run_says_how_long_it_waited_for_data(manifest, tmp_path):
    record = train_run(manifest, tmp_path / "run", settings("none", epochs=1))
    assert 0 <= record["waited_for_data"] <= 1 and record["images_per_second"] > 0


@pytest.mark.parametrize("backbone", ["test_resnet", "mobilenetv3_small_050", "test_byobnet"])
def test_other_convolutional_backbones_train(backbone, manifest, tmp_path):
    detector = DetectorConfig(backbone=backbone, pretrained=False)
    record = train_run(manifest, tmp_path / "run", settings("gradient", epochs=1, detector=detector))
    assert record["history"][0]["detector/loss"] > 0


@pytest.mark.parametrize(
    ("detector", "says"),
    [
        (DetectorConfig(backbone="test_vit", pretrained=False), "test_vit: cannot be used as a detector"),
        (DetectorConfig(backbone="test_convnext", pretrained=False, bn2=True), "has no BatchNorm to split"),
        (DetectorConfig(backbone="tf_efficientnet_b5.nonsense"), "tf_efficientnet_b5.nonsense: "),
        (DetectorConfig(weights="none.safetensors"), "none.safetensors: cannot be read"),
    ],
)
def test_backbones_that_cannot_serve_are_named(detector, says, manifest, tmp_path):
    with pytest.raises(UserError, match=says):
        train_run(manifest, tmp_path / "run", settings("gradient", epochs=1, detector=detector))


def test_ctrl_c_is_one_line_even_while_others_load(manifest, tmp_path):
    """The terminal's Ctrl-C reaches the loading processes, too."""
    words = command(manifest, tmp_path / "run")
    words[words.index("--workers") + 1] = "2"
    words[words.index("--epochs") + 1] = "500"
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "state.pt").is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "dfgame: interrupted" in said and "Traceback" not in said


def test_the_rate_follows_the_closed_formula_of_its_schedule():
    cosine = TrainConfig(
        epochs=4, epoch_pairs=100, batch_size=20, optimizer=OptimizerConfig(schedule="cosine", warmup=8)
    )
    assert cosine.rounds == 40
    for number in (0, 3, 7, 8, 20, 39):
        expected = min((number + 1) / 8, 1) * 0.5 * (1 + np.cos(np.pi * number / 40))
        assert rate_factor(cosine, number) == pytest.approx(expected)
    steps = TrainConfig(
        epochs=4, epoch_pairs=100, batch_size=20, optimizer=OptimizerConfig(decay_epochs=2, decay_factor=0.1)
    )
    assert [rate_factor(steps, number) for number in (0, 19, 20, 39)] == pytest.approx([1, 1, 0.1, 0.1])


@pytest.mark.parametrize(
    "config",
    [
        DetectorConfig(backbone="test_efficientnet", pretrained=False),
        DetectorConfig(backbone="tf_efficientnet_lite0", pretrained=False, bn2=True),
    ],
    ids=["plain", "auxiliary norms and same padding"],
)
def test_a_running_average_is_the_plain_recurrence_and_shares_nothing_with_its_network(config):
    torch.manual_seed(0)
    network = new_detector(config)
    average = copy.deepcopy(network)
    plain = {name: value.clone().double() for name, value in network.state_dict().items()}
    images = torch.rand(4, 3, 64, 64)
    for step in range(3):
        network.train()(images)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
        decay = min(0.9, (1 + step) / (10 + step))
        follow(average, network, decay)
        follow_plainly(plain, network.state_dict(), decay)
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value.double(), plain[name].double(), rtol=1e-5, atol=1e-6)
    other = new_detector(config)
    other.load_state_dict(average.state_dict())
    with torch.no_grad():
        assert not torch.allclose(average.eval()(images), network.eval()(images))
        torch.testing.assert_close(average(images), other.eval()(images))


def follow_plainly(mean, values, decay):
    """A step of the average, number by number; what is counted is taken over."""
    for name, value in values.items():
        exact = value.is_floating_point()
        mean[name] = decay * mean[name] + (1 - decay) * value.double() if exact else value.clone()


def test_what_is_validated_and_kept_is_the_average(manifest, tmp_path, monkeypatch):
    train_run(manifest, tmp_path / "plain", settings("none", epochs=2))
    states, scored = [], []
    play, score = dfgame.train.play_round, dfgame.train.score_crops

    def watched(detector, *others, **more):
        states.append(copy.deepcopy(detector.state_dict()))
        return play(detector, *others, **more)

    def watched_scores(detector, *others):
        scored.append(copy.deepcopy(detector.state_dict()))
        return score(detector, *others)

    monkeypatch.setattr(dfgame.train, "play_round", watched)
    monkeypatch.setattr(dfgame.train, "score_crops", watched_scores)
    train_run(manifest, tmp_path / "average", settings("none", epochs=2, average=0.3))
    plain, last = (load_file(tmp_path / name / "last.safetensors") for name in ("plain", "average"))
    mean = {name: value.double() for name, value in states[0].items()}
    for number, state in enumerate([*states[1:], plain]):
        follow_plainly(mean, state, min(0.3, (1 + number) / (10 + number)))
    for name, value in last.items():
        torch.testing.assert_close(value.double(), mean[name].double(), rtol=1e-5, atol=1e-6)
        assert torch.equal(value, scored[-1][name])
    state = torch.load(tmp_path / "average" / "state.pt", weights_only=True)
    assert all(torch.equal(plain[name], state["detector"][name]) for name in plain)


@pytest.mark.parametrize("sampling", ["video", "frame"])
def test_class_weights_undo_how_often_each_class_is_drawn(sampling, tmp_path):
    """Weighted by them, every class counts alike in what the batches really hold."""
    videos = {"original": [3] * 4, "Deepfakes": [9], "FaceSwap": [1, 1, 2, 2], "NeuralTextures": [2]}
    rows = [
        row(f"{method}{video}{frame}.png", "train", "real" if method == "original" else "fake", method, str(video))
        for method, frames in videos.items()
        for video, count in enumerate(frames)
        for frame in range(count)
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    batches = RoundBatches(
        table,
        tmp_path,
        batch_size=8,
        image_size=32,
        augmentation=Augmentation(AugmentConfig()),
        seed=0,
        classes=class_names(True),
        sampling=sampling,
    )
    labels = [label for number in range(1500) for _, label, _ in batches.draw(number)]
    share = np.bincount(labels, minlength=5) / len(labels)
    weights = dfgame.train._class_weights(table, sampling).numpy()
    assert weights[share > 0].mean() == pytest.approx(1) and not weights[share == 0].any()
    counted = (weights * share)[share > 0]
    assert counted == pytest.approx(counted.mean(), rel=0.1)


@pytest.mark.parametrize(("most", "videos"), [(0, 4), (1, 1), (2, 1), (7, 2), (9, 3), (100, 4)])
def test_a_limit_of_the_validation_below_one_video_is_one_video(most, videos):
    rows = [row(f"{k}{n}.png", "val", "real", "original", str(k)) | {"frame": n} for k in range(4) for n in range(5)]
    config = TrainConfig(val_level="video", segment_length=3, val_images=most)
    found = _val_rows(pa.Table.from_pylist(rows, schema=SCHEMA), config)
    assert len(found["video"].unique()) == videos and found.num_rows == 3 * videos


def test_a_run_goes_on_without_the_weights_it_began_with_and_says_what_else_changed(manifest, tmp_path, capsys):
    train_run(manifest, tmp_path / "earlier", settings("generator", epochs=1))
    files = [tmp_path / "earlier" / f"{name}.safetensors" for name in ("best", "adversary")]
    detector = DetectorConfig(backbone="test_efficientnet", weights=str(files[0]))
    adversary = AdversaryConfig(filters=2, blocks=1, weights=str(files[1]))
    begun = replace(settings("generator", epochs=1), detector=detector, adversary=adversary)
    whole = train_run(manifest, tmp_path / "whole", replace(begun, epochs=2))
    run = tmp_path / "run"
    train_run(manifest, run, begun)
    for file in files:
        file.unlink()
    record = json.loads((run / "run.json").read_text())
    assert record["data"]["processes"] == 1
    record["versions"]["torch"] = "0.0"
    record["data"] |= {"processes": 2, "device": "cuda"}
    (run / "run.json").write_text(json.dumps(record))
    resumed = train_run(manifest, run, replace(begun, epochs=2, resume=True))
    assert resumed["history"] == whole["history"]
    changed = {"epochs_done": 1, "torch": whole["versions"]["torch"], "processes": 1, "device": "cpu"}
    assert resumed["went_on_with"] == [changed] and "went_on_with" not in whole
    assert "(was 0.0), processes 1 (was 2), device cpu (was cuda)" in capsys.readouterr().err
    again = train_run(manifest, run, replace(begun, epochs=3, resume=True))
    assert again["went_on_with"] == [changed]


def test_a_cosine_over_more_epochs_is_another_run(manifest, tmp_path):
    cosine = OptimizerConfig(schedule="cosine")
    train_run(manifest, tmp_path / "run", settings("none", epochs=1, optimizer=cosine))
    with pytest.raises(UserError, match=r"other settings \(--epochs: 2, was 1\)"):
        train_run(manifest, tmp_path / "run", settings("none", epochs=2, optimizer=cosine, resume=True))


def test_auxiliary_norms_are_their_twins_when_the_adversary_enters(manifest, tmp_path, monkeypatch):
    apart = []
    play = dfgame.train.play_round

    def watched(detector, optimizer, adversary, *others, **more):
        norms = [module for module in detector.modules() if isinstance(module, SplitNorm)]
        same = [
            torch.equal(*(of.state_dict()["running_mean"] for of in (norm.main, norm.auxiliary))) for norm in norms
        ]
        apart.append((adversary is not None, not all(same)))
        return play(detector, optimizer, adversary, *others, **more)

    monkeypatch.setattr(dfgame.train, "play_round", watched)
    detector = DetectorConfig(backbone="test_efficientnet", pretrained=False, bn2=True)
    late = AdversaryConfig(start=1)
    train_run(manifest, tmp_path / "run", settings("gradient", epochs=2, detector=detector, adversary=late))
    assert apart[3:6] == [(False, True), (True, False), (True, True)]


def test_an_adversary_that_starts_late_changes_nothing_before(manifest, tmp_path):
    train_run(manifest, tmp_path / "none", settings("none", epochs=2, snapshot_interval=1))
    late = settings("gradient", epochs=2, snapshot_interval=1, adversary=AdversaryConfig(start=1))
    record = train_run(manifest, tmp_path / "late", late)
    first, second = (
        [load_file(tmp_path / name / f"epoch_00{epoch}.safetensors") for name in ("none", "late")] for epoch in (1, 2)
    )
    assert all(torch.equal(value, first[1][name]) for name, value in first[0].items())
    assert not all(torch.equal(value, second[1][name]) for name, value in second[0].items())
    assert ["detector/loss_adversarial" in entry for entry in record["history"]] == [False, True]
