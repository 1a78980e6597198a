"""Detectors in boxes: they come back as they were, and what is damaged or foreign is one line."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import dfgame
from boxes import FACTS, TINY, trained_a_little
from dfgame.boxed import (
    Calibration,
    Condition,
    Thresholds,
    architecture,
    boxed_weights,
    load_detector,
    save_box,
    unboxed,
)
from dfgame.models import probabilities
from dfgame.records import ErrorRates, UserError

IMAGES = torch.rand((3, 3, 64, 64), generator=torch.Generator().manual_seed(0))
CONDITION = Condition(
    (40.0, 80.0),
    (-2.5, None),
    ErrorRates("40 to 80 pixels wide", 30, 0.1, 60, 0.2, 0.8),
    (0.7, 0.9),
    Thresholds(0.9, 0.1),
)


@pytest.fixture(scope="module")
def members():
    return [trained_a_little(seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def box(members, tmp_path_factory):
    path = tmp_path_factory.mktemp("box") / "tiny.safetensors"
    save_box(path, FACTS, members)
    return path


def test_a_box_comes_back_as_it_was(box, members):
    found = load_detector(box, "cpu")
    assert found.facts == FACTS
    assert (found.model.name, found.model.version, len(found.model.sha256)) == ("tiny", "3", 64)
    for back, member in zip(found.ensemble.members, members, strict=True):
        for (name, value), other in zip(back.state_dict().items(), member.state_dict().values(), strict=True):
            assert value.dtype == other.dtype, name
            assert torch.allclose(value, other, rtol=1e-3, atol=1e-6), name
    assert {value.dtype for value in load_file(box).values()} == {torch.float16, torch.int64}


def test_an_ensemble_is_the_mean_of_its_members(box):
    found = load_detector(str(box), "cpu")
    with torch.inference_mode():
        each = [probabilities(member(IMAGES))[:, 1] for member in found.ensemble.members]
    assert torch.allclose(found.probabilities(IMAGES), (each[0] + each[1]) / 2, atol=1e-6)
    assert not torch.allclose(each[0], each[1])


@pytest.mark.parametrize("side", [63, 65, 128])
def test_images_of_another_side_are_refused(box, side):
    """A detector scores them without complaint, and otherwise."""
    found = load_detector(box, "cpu")
    for images in (torch.rand(2, 3, side, side), torch.rand(2, 3, 64, side)):
        with pytest.raises(ValueError, match="takes 64 x 64"):
            found.probabilities(images)


def test_statistics_of_adversarial_images_stay_out_of_the_box(tmp_path):
    config = replace(TINY, bn2=True)
    detector = trained_a_little(0, config)
    save_box(tmp_path / "a.safetensors", replace(FACTS, detector=architecture(config)), [detector])
    found = load_detector(tmp_path / "a.safetensors", "cpu")
    with torch.inference_mode():
        expected = probabilities(detector(IMAGES))[:, 1]
    assert torch.allclose(found.probabilities(IMAGES), expected, atol=2e-3)


def test_what_float16_cannot_hold_stays_float32():
    detector = trained_a_little(0)
    with torch.no_grad():
        detector.head.get_parameter("conv.bias").fill_(1e6)
    kept = boxed_weights(detector)
    assert (kept["head.conv.bias"] == 1e6).all() and kept["head.conv.bias"].dtype == torch.float32
    assert kept["head.conv.weight"].dtype == torch.float16


def test_calibration_and_verdicts(box):
    found = load_detector(box, "cpu")
    assert found.calibrated(0.3) == pytest.approx(0.3)
    # logit(0.9) = ln 9; twice that and ln 3 less is ln 27: odds of 27 to 1.
    assert Calibration(2.0, -np.log(3))(0.9) == pytest.approx(27 / 28)
    assert np.isfinite(Calibration(1.0, 0.0)([0.0, 1.0])).all()
    verdicts = [found.verdict(p) for p in (0.0, 0.25, 0.26, 0.74, 0.75, 1.0)]
    assert verdicts == ["real", "real", "inconclusive", "inconclusive", "fake", "fake"]


def test_damaged_and_foreign_files_are_one_line(box, tmp_path):
    whole = box.read_bytes()
    weights = load_file(box)
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.safetensors").write_text("a detector")
    save_file(weights, tmp_path / "bare.safetensors")
    save_file(weights, tmp_path / "newer.safetensors", metadata={"dfgame": json.dumps({"format": 99})})
    save_file(weights, tmp_path / "empty.safetensors", metadata={"dfgame": "{}"})
    with safe_open(box, "pt") as file:
        facts = file.metadata()
    save_file(weights, tmp_path / "list.safetensors", metadata={"dfgame": "[]"})
    numberless = {name: value * torch.nan if "head" in name else value for name, value in weights.items()}
    save_file(numberless, tmp_path / "nan.safetensors", metadata=facts)
    some = {name: value for name, value in weights.items() if "head" not in name}
    save_file(some, tmp_path / "lacking.safetensors", metadata=facts)
    save_file({}, tmp_path / "without.safetensors", metadata=facts)
    other = {"dfgame": facts["dfgame"].replace("test_efficientnet", "tf_efficientnet_b0")}
    save_file(weights, tmp_path / "other.safetensors", metadata=other)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(UserError, match="not a detector's box, or damaged") as error:
            load_detector(path)
        assert str(path) in error.value.problem and len(error.value.problem.splitlines()) == 1


def test_the_hash_is_of_what_was_loaded_though_the_file_is_replaced(box, tmp_path, monkeypatch):
    path = tmp_path / "box.safetensors"
    path.write_bytes(box.read_bytes())
    monkeypatch.setattr("dfgame.boxed.unboxed", lambda *wanted: path.write_bytes(b"another") and unboxed(*wanted))
    assert load_detector(path, "cpu").sha256 == hashlib.sha256(box.read_bytes()).hexdigest()
    assert path.read_bytes() == b"another"


def test_a_box_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors: no such file"):
        dfgame.load_detector(tmp_path / "none.safetensors")


def test_the_packaged_detector_may_be_missing(monkeypatch):
    monkeypatch.setattr("dfgame.boxed.PACKAGED", "weights/none.safetensors")
    with pytest.raises(UserError, match="no trained detector is packaged"):
        dfgame.load_detector()


def test_importing_dfgame_imports_no_torch():
    script = "import sys, dfgame; dfgame.load_detector; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_conditions_come_back_and_boxes_without_them_are_read(members, tmp_path):
    facts = replace(FACTS, conditions=(CONDITION, replace(CONDITION, widths=(80.0, None))))
    save_box(tmp_path / "new.safetensors", facts, members)
    found = load_detector(tmp_path / "new.safetensors", "cpu")
    assert found.facts == facts
    assert found.condition(40.0, -2.5) == CONDITION and found.condition(900.0, 5.0) == facts.conditions[1]
    assert found.condition(39.9, 0.0) is None and found.condition(50.0, -2.6) is None
    values = {key: value for key, value in asdict(FACTS).items() if key != "conditions"} | {"format": 1}
    weights = load_file(tmp_path / "new.safetensors")
    save_file(weights, tmp_path / "old.safetensors", metadata={"dfgame": json.dumps(values)})
    assert load_detector(tmp_path / "old.safetensors", "cpu").facts == FACTS
    of_all = {key: value for key, value in asdict(CONDITION).items() if key != "limits"}
    texts = {"dfgame": json.dumps(values | {"format": 2, "conditions": [of_all]})}
    save_file(weights, tmp_path / "second.safetensors", metadata=texts)
    (second,) = load_detector(tmp_path / "second.safetensors", "cpu").facts.conditions
    assert second == replace(CONDITION, limits=None)
