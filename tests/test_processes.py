"""Two processes on the processor are one: the same global batch gives the same losses and the same weights."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dfgame.config import AdversaryConfig, SettingError, TrainConfig
from dfgame.processes import Processes
from dfgame.records import UserError
from dfgame.train import train_run

FLAGS = {
    "--epoch-pairs": "12",
    "--batch-size": "8",
    "--image-size": "32",
    "--workers": "0",
    "--detector.backbone": "test_efficientnet",
    "--snapshot-interval": "1",
    "--log-interval": "1",
    "--device": "cpu",
}
GENERATORS = ["--game", "generator", "--adversary.filters", "4", "--adversary.blocks", "1", "--adversary.moves", "2"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def train(manifest: Path, run: Path, processes: int, *more: str, epochs: int = 2) -> subprocess.CompletedProcess[str]:
    flags = [word for pair in FLAGS.items() for word in pair]
    flags += ["--detector.no-pretrained", "--epochs", str(epochs), *more]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
    launch += ["--master-port", str(free_port())]
    command = [sys.executable, *(launch if processes > 1 else []), "-m", "dfgame", "train", str(manifest), str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run([*command, *flags], env=environment, capture_output=True, text=True, timeout=280)


def close(run: Path, other: Path, name: str) -> None:
    ours, theirs = (load_file(folder / f"{name}.safetensors") for folder in (run, other))
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        torch.testing.assert_close(
            value, theirs[key], rtol=1e-4, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            [*GENERATORS, "--detector.bn2", "--average", "0.5", "--adversary.share", "0.5"],
            id="generators with auxiliary BatchNorm on a share, averaged",
        ),
        pytest.param(
            ["--game", "gradient", "--accumulate", "2", "--optimizer.kind", "sgd"],
            id="gradient in parts",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_two_processes_are_one(more, crops, tmp_path):
    one = train(crops, tmp_path / "one", 1, *more, "--sync-bn")
    assert one.returncode == 0, one.stderr
    assert "changes nothing: there is one process" in one.stderr
    two = train(crops, tmp_path / "two", 2, *more, "--sync-bn")
    assert two.returncode == 0, two.stderr

    records = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two")]
    assert [record["data"]["processes"] for record in records] == [1, 2]
    for ours, theirs in zip(records[0]["history"], records[1]["history"], strict=True):
        ranks = [entry.pop("val_auc") for entry in (ours, theirs)]  # a rank turns where two scores are nearly equal
        assert ranks[0] == pytest.approx(ranks[1], abs=0.01)
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    close(tmp_path / "one", tmp_path / "two", "last")
    if "generator" in more:
        close(tmp_path / "one", tmp_path / "two", "adversary")

    names = [
        sorted(path.name for path in (tmp_path / name).rglob("*") if "events" not in path.name)
        for name in ("one", "two")
    ]
    assert names[0] == names[1]
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1
    assert two.stdout.count("rounds, best epoch") == 1


def test_a_run_of_two_processes_goes_on_with_one_and_refuses_in_one_line(crops, tmp_path):
    more = ["--game", "none"]
    assert train(crops, tmp_path / "run", 2, *more).returncode == 0
    again = train(crops, tmp_path / "run", 2, *more)
    assert again.returncode != 0
    assert "holds a run already" in again.stderr and "Traceback" not in again.stderr.split("torch")[0]
    longer = train(crops, tmp_path / "run", 1, *more, "--resume", epochs=3)
    assert longer.returncode == 0, longer.stderr
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["history"]) == 3


def test_a_batch_that_cannot_be_shared_out_is_refused(crops, tmp_path, monkeypatch):
    monkeypatch.setattr(Processes, "count", property(lambda self: 3, lambda self, value: None), raising=False)
    with pytest.raises(UserError, match="--batch-size 8: its halves cannot be shared out evenly to 3 processes"):
        train_run(crops, tmp_path / "run", TrainConfig(game="none", batch_size=8, image_size=32, workers=0))


def test_a_share_that_leaves_out_nothing_in_any_process_is_refused(crops, tmp_path, monkeypatch):
    monkeypatch.setattr(Processes, "count", property(lambda self: 2, lambda self, value: None), raising=False)
    config = TrainConfig(batch_size=4, image_size=32, workers=0, adversary=AdversaryConfig(share=0.5))
    with pytest.raises(UserError, match=r"--adversary\.share 0\.5: changes nothing where each of 2 processes"):
        train_run(crops, tmp_path / "run", config)


def test_one_process_sends_nothing():
    alone = Processes(torch.device("cpu"))
    assert alone.is_main and alone.shares([1, 2, 3]) == [1, 2, 3] and alone.gather([3, 1]) == [3, 1]
    assert alone.mean({"loss": 0.5}) == {"loss": 0.5}
    assert alone.first(lambda: 7) == 7


def test_shares_are_those_of_the_settings():
    with pytest.raises(SettingError, match="--accumulate"):
        TrainConfig(batch_size=8, accumulate=3)
