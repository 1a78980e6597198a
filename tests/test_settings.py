"""Every setting of a training changes something: those that no published option reaches, here."""

from dataclasses import replace
from typing import Any

import pytest
from torch import nn

import dfgame.train
from dfgame.cli.reference.options import OURS, SHARED, TRAINING
from dfgame.config import TrainConfig, flat, train_config_from_dict
from dfgame.train import train_run

SMALL = {
    "game": "gradient",
    "detector.backbone": "test_efficientnet",
    "detector.pretrained": False,
    "epochs": 1,
    "epoch_pairs": 8,
    "batch_size": 4,
    "image_size": 32,
    "workers": 0,
    "log_interval": 1000,
    "hist_interval": 1000,
}
GENERATOR = {"game": "generator", "adversary.filters": 2, "adversary.blocks": 1}
NOISE = {"adversary.perturbation": "additive", "adversary.moves": 2}
RESULTS: list[tuple[str, Any, dict[str, Any]]] = [
    ("game", "none", {}),
    ("adversary.perturbation", "flow", {}),
    ("adversary.step", 1000.0, {"blur.constraint": "free"}),
    ("adversary.start", 1, {"epochs": 2}),
    ("adversary.share", 0.5, {}),
    ("average", 0.9, {}),
    ("optimizer.schedule", "cosine", {}),
    ("optimizer.warmup", 3, {}),
    ("kernel.window", 5, {"adversary.perturbation": "kernel"}),
    ("kernel.channels", 3, {"adversary.perturbation": "kernel"}),
    ("flow.budget", 0.5, {**GENERATOR, "adversary.perturbation": "flow"}),
    ("additive.budget", 0.1, NOISE | {"additive.step": 0.05}),
    ("additive.step", 0.001, NOISE),
    ("augment.before", "none", {}),
    ("augment.jpeg", 0.0, {}),
    ("augment.noise", 1.0, {}),
    ("augment.flip", 0.0, {}),
    ("augment.colour", 0.0, {}),
    ("augment.grey", 1.0, {}),
    ("augment.geometry", 0.0, {}),
    ("footage.chance", 1.0, {}),
    ("footage.crf", (45, 51), {"footage.chance": 1.0}),
    ("footage.scale", (0.2, 0.3), {"footage.chance": 1.0}),
    ("footage.twice", 1.0, {"footage.chance": 1.0}),
    ("footage.light", 1.0, {"footage.chance": 1.0}),
    ("footage.focus", 1.0, {"footage.chance": 1.0}),
    ("footage.sharpened", 1.0, {"footage.chance": 1.0}),
    ("val_images", 5, {}),
    ("precision", "bf16", {}),
    ("accumulate", 2, {}),
]
"""(setting, value, what else is set): the losses or the validation differ."""
ELSEWHERE = {
    "datasets": "test_protocol.test_a_choice_of_data_sets_is_trained_on",
    "live.families": "test_live.test_a_detector_trains_on_real_crops_alone",
    "live.turned": "test_live.test_heads_are_turned_in_both_crops_of_a_pair_and_as_often_as_asked",
    "live.yaw": "test_live.test_heads_are_turned_to_all_sides_and_no_further_than_asked",
    "live.pitch": "test_live.test_heads_are_turned_to_all_sides_and_no_further_than_asked",
    "protocol": "test_protocol.test_a_protocol_is_trained_and_validated_on",
    "channels_last": "test_train.test_the_memory_layout_is_the_one_asked_for",
    "state_interval": "test_train.test_a_run_that_is_killed_and_resumed_is_the_run_that_was_not_killed",
    "sync_bn": "test_processes.test_two_processes_are_one",
    "compile": "test_compile_compiles_the_players",
}


def made(values: dict[str, Any]) -> TrainConfig:
    """The settings with these dotted names."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        group, _, key = name.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[key] = value
    return train_config_from_dict(nested)


def test_every_setting_is_walked():
    published = {option.place for option in (*TRAINING, *OURS, *SHARED)}
    walked = published | {setting for setting, *_ in RESULTS} | ELSEWHERE.keys()
    assert flat(TrainConfig()).keys() <= walked


@pytest.mark.parametrize(("setting", "value", "base"), RESULTS, ids=[setting for setting, *_ in RESULTS])
def test_what_a_setting_changes(setting, value, base, crops, tmp_path):
    base = SMALL | base
    before = train_run(crops, tmp_path / "before", made(base))["history"]
    after = train_run(crops, tmp_path / "after", made(base | {setting: value}))["history"]
    assert before != after


def test_compile_compiles_the_players(crops, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    train_run(crops, tmp_path / "run", replace(made(SMALL | GENERATOR), compile=True, average=0.9))
    assert compiled == ["EfficientNet", "Generator", "Generator"]
    assert dfgame.train.torch._dynamo.config.suppress_errors
