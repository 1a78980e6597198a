"""dfgame bench: every stage, beside its limit, as a table and as JSON."""

import json
import subprocess
import sys

import pytest

from dfgame.bench import least
from dfgame.config import BenchConfig, SettingError


def test_bench_measures_every_stage_and_writes_it_down(tmp_path):
    path = tmp_path / "speeds.json"
    flags = ["--backbone", "test_efficientnet", "--image-size", "64", "--batch-size", "4", "--filters", "2"]
    command = [sys.executable, "-m", "dfgame", "bench", "--turns", "1", *flags, "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    stages = [speed["stage"].split(",")[0] for speed in found["speeds"]]
    loading = ["crop", "load and augment", "forge"]
    assert stages == ["decode", "detect", *loading, "blur", *["round"] * 4, *["inference"] * 2]
    for speed in found["speeds"]:
        assert speed["per_second"] > 0 and speed["limit_per_second"] > 0
        assert speed["share"] == pytest.approx(speed["per_second"] / speed["limit_per_second"], rel=0.05)
        assert speed["limited_by"]
    assert "decode" in done.stdout and "random-blur" in done.stdout and "..." not in done.stdout
    assert found["settings"]["backbone"] == "test_efficientnet" and found["machine"]["cores"] >= 1


def test_turns_are_taken_one_after_the_other_and_the_first_does_not_count():
    order = []
    found = least({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3 and set(found) == {"a", "b"}


def test_settings_that_cannot_be_used_are_named():
    with pytest.raises(SettingError, match="--image-size"):
        BenchConfig(image_size=50)
