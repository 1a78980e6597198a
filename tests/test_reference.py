"""The published commands: every option by what it changes, the list files, the links, the words of the messages."""

import copy
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import dfgame.train
from dfgame.cli.reference import evaluation, training
from dfgame.cli.reference.evaluation import evaluate
from dfgame.cli.reference.options import EVALUATION, OURS, SHARED, TRAINING, own_words, tables
from dfgame.cli.reference.training import train
from dfgame.config import AugmentConfig, SettingError
from dfgame.manifest import SCHEMA, read_manifest, write_manifest
from dfgame.records import METHODS, UserError

BASE = {
    "model_type": "test_efficientnet",
    "image_size": "32",
    "batch_size": "4",
    "max_epoch": "1",
    "epoch_pairs": "8",
    "workers": "0",
    "hist_interval": "1000",
}
SMALL_GENERATORS = {"gen_filters": "4", "gen_blocks": "1"}


@dataclass
class Outcome:
    """What a run did: its batches, the adversary's answers, what the detector learned from, what it left."""

    clean: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    adversarial: list[Tensor] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)
    seen: list[Tensor] = field(default_factory=list)
    scalars: list[dict[str, float]] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)
    initial: dict[str, Tensor] = field(default_factory=dict)
    initial_adversary: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    adversary: dict[str, Tensor] = field(default_factory=dict)
    validated: list[str] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    logged: dict[str, Any] = field(default_factory=dict)
    run: str = ""


@pytest.fixture
def played(monkeypatch, tmp_path):
    """Run a training command in a folder of its own, and watch it."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, options: dict[str, str | None]) -> Outcome:
        outcome = Outcome()
        play_round, score_crops, round_loader = (
            getattr(dfgame.train, name) for name in ("play_round", "score_crops", "round_loader")
        )
        pick_device = dfgame.train.pick_device

        def watched_round(detector, optimizer, adversary, images, labels, **settings):
            if not outcome.initial:
                outcome.initial = copy.deepcopy(detector.state_dict())
                outcome.initial_adversary = copy.deepcopy(adversary.state_dict()) if adversary else {}
            optimizers = [optimizer, *(adversary.optimizers().values() if adversary else ())]
            outcome.rates.append([o.param_groups[0]["lr"] for o in optimizers])
            hook = detector.backbone.register_forward_pre_hook(
                lambda module, inputs: outcome.seen.append(inputs[0].detach().clone()) if module.training else None
            )
            result = play_round(detector, optimizer, adversary, images, labels, **settings)
            hook.remove()
            outcome.clean.append(images)
            outcome.labels.append(labels)
            outcome.scalars.append(result.scalars)
            if result.perturbed is not None:
                outcome.adversarial.append(result.perturbed.images)
                outcome.maps.append(result.perturbed.maps)
            return result

        def watched_scores(detector, paths, *others):
            outcome.validated += [path.name for path in paths]
            return score_crops(detector, paths, *others)

        def watched_loader(batches, rounds, workers):
            outcome.workers.append(workers)
            return round_loader(batches, rounds, 0)

        def watched_device(name):
            outcome.devices.append(name)
            return pick_device(name)

        with monkeypatch.context() as patched:
            for name, function in (
                ("play_round", watched_round),
                ("score_crops", watched_scores),
                ("round_loader", watched_loader),
                ("pick_device", watched_device),
            ):
                patched.setattr(dfgame.train, name, function)
            words = [word for name, value in options.items() for word in (f"--{name}", value) if word is not None]
            assert train(script, words) == 0  # type: ignore[arg-type]
        folder = training.run_folder(options.get("exp_name") or "debug", script)  # type: ignore[arg-type]
        outcome.run = str(folder)
        outcome.weights = load_file(folder / "last.safetensors")
        generators = folder / "adversary.safetensors"
        outcome.adversary = load_file(generators) if generators.is_file() else {}
        outcome.history = json.loads((folder / "run.json").read_text())["history"]
        outcome.files = sorted(path.name for path in folder.iterdir())
        outcome.logged = _logged(folder)
        return outcome

    return run


def _logged(run: Path) -> dict[str, Any]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"histograms": 0}).Reload()
    return {
        "scalars": [event.step for event in events.Scalars("detector/loss")],
        "histograms": {tag: len(events.Histograms(tag)) for tag in events.Tags()["histograms"]},
    }


def same(a: Any, b: Any) -> bool:
    """Whether two things that were observed are equal."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@dataclass(frozen=True)
class Case:
    """An option, what it must change and what not; in the first round where it is a matter of rounds."""

    option: str
    value: str | None = None
    differs: str = ""
    equal: tuple[str, ...] = ()
    given: dict[str, str | None] = field(default_factory=dict)
    """What is given with and without the option."""
    script: str = "gen"
    check: Callable[[Outcome, Outcome], Any] = lambda before, after: True
    """Further: the outcome without, and with the option."""


def per_image(maps: Tensor) -> Tensor:
    return torch.linalg.vector_norm(maps, dim=(1, 2, 3))


def spares(outcome: Outcome, side: slice) -> bool:
    """Whether the first round's clean images of this side come twice, and only the others were attacked."""
    return torch.equal(outcome.seen[0][4:6], outcome.seen[0][side]) and len(outcome.adversarial[0]) == 2


def sums(images: Tensor) -> list[float]:
    return sorted(round(float(image.sum()), 2) for image in images)


BATCHES = ("clean", "labels")
CASES = [
    Case("mean", None, "history", ("weights", "validated")),
    Case("segment_length", "1", "validated", ("weights",), {"mean": None}, check=lambda a, b: len(b.validated) == 15),
    Case("weight", None, "scalars", BATCHES, {"multi": None}),
    Case("exp_name", "other", "run", ("weights",), check=lambda a, b: b.run == "ckts_exp_gen_other"),
    Case("model_type", "test_resnet", "weights", BATCHES, check=lambda a, b: a.weights.keys() != b.weights.keys()),
    Case("pretrain", None, "initial", BATCHES, {"model_type": "tf_efficientnet_lite0"}),
    Case("pretrain_name", "FILE", "initial", BATCHES, {"pretrain": None, "pretrain_name": "OTHER FILE"}),
    Case("dataset", "OTHER", "clean"),
    Case("dropout_rate", "0.9", "scalars", (*BATCHES, "initial"), {"fc_model": None}),
    Case("dataset_type", "frame", "clean"),
    Case(
        "val_dataset_type", "full", "validated", ("weights",), check=lambda a, b: len(b.validated) > len(a.validated)
    ),
    Case("stride", "1", "scalars", ("clean", "initial"), {"image_size": "64"}),
    Case("fc_model", None, "weights", BATCHES, check=lambda a, b: "head.linear.weight" in b.weights),
    Case(
        "multi",
        None,
        "labels",
        check=lambda a, b: set(torch.cat(b.labels).tolist()) > {0, 1} and b.weights["head.conv.weight"].shape[0] == 5,
    ),
    Case("fake_type", "Deepfakes", "clean", check=lambda a, b: all("Deepf" in n or "orig" in n for n in b.validated)),
    Case("cmp_level", "c40", "clean", check=lambda a, b: all("_c40_" in name for name in b.validated)),
    Case("all", None, "adversarial", BATCHES, check=lambda a, b: b.maps[0].shape[1] == 9),
    Case("no_clamp", None, "maps", BATCHES, check=lambda a, b: a.maps[0].min() >= 1 > b.maps[0].min()),
    Case(
        "norm",
        None,
        "maps",
        BATCHES,
        check=lambda a, b: torch.allclose(per_image(b.maps[0]), torch.tensor(100 * 32 / 256)),
    ),
    Case(
        "norm_value",
        "50",
        "maps",
        BATCHES,
        {"norm": None, "g_per_d": "1"},
        check=lambda a, b: torch.allclose(per_image(b.maps[0]), torch.tensor(50 * 32 / 256)),
    ),
    Case("learn_norm", None, "adversary", BATCHES, check=lambda a, b: b.adversary["log_scales.real"] != 0),
    Case("sigmoid", None, "maps", BATCHES, {"no_clamp": None}, check=lambda a, b: b.maps[0].max() <= 1),
    Case("tanh", None, "maps", BATCHES, {"gen_train_type": "flow"}, check=lambda a, b: b.maps[0].abs().max() <= 2),
    Case(
        "clamp_res",
        None,
        "adversarial",
        BATCHES,
        {"gen_train_type": "res"},
        check=lambda a, b: (
            (b.adversarial[0] - b.clean[0]).abs().max() <= 0.0301 < (a.adversarial[0] - a.clean[0]).abs().max()
        ),
    ),
    Case("fake_set", None, "adversarial", BATCHES, check=lambda a, b: spares(b, slice(0, 2))),
    Case("real_set", None, "adversarial", BATCHES, check=lambda a, b: spares(b, slice(2, 4))),
    Case("no_res", None, "adversarial", BATCHES, {"gen_train_type": "res"}),
    Case("aug_before", None, "clean"),
    Case("aug_before_full", None, "clean"),
    Case("aug_after", None, "seen", (*BATCHES, "adversarial")),
    Case("perm", None, "seen", (*BATCHES, "adversarial"), check=lambda a, b: sums(a.seen[0]) == sums(b.seen[0])),
    Case(
        "aug_blur",
        None,
        "adversarial",
        BATCHES,
        script="grad",
        check=lambda a, b: (b.maps[0] == b.maps[0][:, :, :1, :1]).all() and "adversary/loss" not in b.scalars[0],
    ),
    Case(
        "check_blur",
        None,
        "maps",
        BATCHES,
        check=lambda a, b: torch.equal(*(outcome.maps[0].flatten(1).sort()[0] for outcome in (a, b))),
    ),
    Case("bn2", None, "weights", BATCHES, check=lambda a, b: any(".auxiliary." in name for name in b.weights)),
    Case("kernel_channels", "3", "maps", BATCHES, check=lambda a, b: b.maps[0].shape[1] == 3),
    Case("radius", "5", "adversarial", BATCHES),
    Case("pretrain_g", "EARLIER", "initial_adversary", (*BATCHES, "initial")),
    Case("gen_norm_type", "in", "maps", (*BATCHES, "initial")),
    Case("gen_train_type", "lsgan", "scalars", (*BATCHES, "initial", "initial_adversary")),
    Case("g_per_d", "2", "maps", (*BATCHES, "initial_adversary")),
    Case("gen_blocks", "2", "adversary", BATCHES, check=lambda a, b: len(b.adversary) > len(a.adversary)),
    Case("gen_lr", "0.1", "adversary", (*BATCHES, "initial_adversary")),
    Case("max_epoch", "2", "history", check=lambda a, b: len(b.history) == 2),
    Case("batch_size", "8", "clean", check=lambda a, b: b.clean[0].shape[0] == 8),
    Case("image_size", "64", "clean", check=lambda a, b: b.clean[0].shape[2:] == (64, 64)),
    Case("lr", "0.1", "weights", (*BATCHES, "initial")),
    Case(
        "lr_decay_factor",
        "0.5",
        "rates",
        given={"max_epoch": "2", "lr_decay_epochs": "1"},
        check=lambda a, b: b.rates[-1] == pytest.approx([rate / 2 for rate in b.rates[0]]),
    ),
    Case(
        "lr_decay_epochs",
        "1",
        "rates",
        given={"max_epoch": "2"},
        check=lambda a, b: a.rates[-1] == a.rates[0] and b.rates[-1] == pytest.approx([r / 10 for r in b.rates[0]]),
    ),
    Case("weight_decay", "0.9", "weights", (*BATCHES, "initial")),
    Case("momentum", "0.1", "weights", (*BATCHES, "initial")),
    Case("snapshot_interval", "1", "files", ("weights",), check=lambda a, b: "dfdc_1.pt" in b.files),
    Case("log_interval", "1", "logged", ("weights",), check=lambda a, b: b.logged["scalars"] == [0, 1, 2, 3]),
    Case(
        "hist_interval",
        "1",
        "logged",
        ("weights",),
        check=lambda a, b: (
            b.logged["histograms"]["adversary/maps"] == 4 and b.logged["histograms"]["detector/head"] == 4
        ),
    ),
    Case("workers", "2", "workers", ("weights",), check=lambda a, b: b.workers == [2]),
    Case("data_root", "OTHER", "clean"),
    Case("device", "cpu", "devices", ("weights",), check=lambda a, b: b.devices == ["cpu"]),
    Case("accumulate", "2", "seen", BATCHES, check=lambda a, b: [len(b.seen[0]), len(a.seen[0])] == [4, 8]),
    Case("optimizer", "sgd", "weights", (*BATCHES, "initial")),
    Case("epoch_pairs", "16", "labels", check=lambda a, b: len(b.clean) == 2 * len(a.clean)),
    Case("gen_filters", "2", "adversary", BATCHES),
    Case("seed", "1", "clean"),
]
ELSEWHERE = {"resume": "test_resume_goes_on_with_an_interrupted_run"}
"""Options whose effect needs a test of its own."""


def test_every_option_has_a_case():
    names = [option.name for option in (*TRAINING, *OURS, *SHARED)]
    assert len(names) == len(set(names))
    assert set(names) == {case.option for case in CASES} | ELSEWHERE.keys()
    assert all(test in globals() for test in ELSEWHERE.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_what_an_option_changes(case, played, crops, other_crops, monkeypatch):
    monkeypatch.setattr(training, "SMALL_VALIDATION", 6)
    places = {
        "OTHER": str(other_crops.parent),
        "FILE": "ckts_exp_gen_earlier/last.safetensors",
        "OTHER FILE": "ckts_exp_gen_later/last.safetensors",
        "EARLIER": "ckts_exp_gen_earlier",
    }
    whole = {"val_dataset_type": "full"} if case.option in ("segment_length", "mean") else {}
    small = SMALL_GENERATORS if case.script == "gen" else {}
    base = {"data_root": str(crops.parent), **BASE, **small, **whole}
    used = {word for word in (case.value, *case.given.values()) if word in ("FILE", "OTHER FILE", "EARLIER")}
    if used:
        played("gen", base | {"exp_name": "earlier", "seed": "7"})
        played("gen", base | {"exp_name": "later", "seed": "8"})
    given = base | {name: places.get(value or "", value) for name, value in case.given.items()}
    before = played(case.script, {"exp_name": "before"} | given)
    after = played(
        case.script, {"exp_name": "after"} | given | {case.option: places.get(case.value or "", case.value)}
    )
    first = ("clean", "labels", "adversarial", "maps", "seen")
    for name in (case.differs, *case.equal):
        values = [getattr(outcome, name) for outcome in (before, after)]
        values = [value[:1] if name in first and name != "labels" else value for value in values]
        assert same(*values) == (name != case.differs), name
    assert case.check(before, after)


def test_resume_goes_on_with_an_interrupted_run(played, crops):
    base = {"data_root": str(crops.parent), **BASE, **SMALL_GENERATORS}
    whole = played("gen", base | {"exp_name": "whole", "max_epoch": "2"})
    played("gen", base | {"exp_name": "half"})
    with pytest.raises(UserError, match="holds a run already"):
        played("gen", base | {"exp_name": "half", "max_epoch": "2"})
    resumed = played("gen", base | {"exp_name": "half", "max_epoch": "2", "resume": None})
    assert same(resumed.weights, whole.weights) and same(resumed.adversary, whole.adversary)
    assert len(resumed.clean) == 4


def test_where_memory_is_short_a_round_is_played_in_parts_and_it_is_said(played, crops, monkeypatch, capsys):
    import dfgame.memory

    base = {"data_root": str(crops.parent), **BASE}
    config = training.translated(training.parse("x", (*TRAINING, *OURS, *SHARED), _words(base)), "grad")
    with monkeypatch.context() as patched:
        patched.setattr(dfgame.memory, "free_bytes", lambda device: dfgame.memory.round_bytes(config))
        short = played("grad", base)
    assert len(short.seen[0]) == 4 and "--accumulate 2: a whole round takes about" in capsys.readouterr().err
    resumed = played("grad", base | {"resume": None, "max_epoch": "2"})
    assert len(resumed.seen[0]) == 4


def _words(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", value)]


@pytest.mark.parametrize(
    ("script", "words", "says"),
    [
        ("grad", ["--gen_blocks", "2"], "--gen_blocks: changes nothing here, it needs detect_gen.py"),
        ("grad", ["--gen_lr", "1"], "--gen_lr: changes nothing here, it needs detect_gen.py"),
        ("grad", ["--learn_norm"], "--learn_norm"),
        (
            "grad",
            ["--aug_blur", "--kernel_channels", "3"],
            "--kernel_channels: changes nothing here, it needs no --aug_blur",
        ),
        ("gen", ["--tanh"], "--tanh: changes nothing here, it needs --gen_train_type flow"),
        ("gen", ["--norm_value", "3"], "--norm_value: changes nothing here, it needs --norm or --learn_norm"),
        ("gen", ["--clamp_res"], "--clamp_res: changes nothing here, it needs --gen_train_type res"),
        ("gen", ["--no_res"], "--no_res: changes nothing here"),
        ("gen", ["--sigmoid"], "--sigmoid: must be used with --no_clamp or --norm"),
        ("gen", ["--pretrain_name", "x"], "--pretrain_name: changes nothing here, it needs --pretrain"),
        ("gen", ["--segment_length", "3"], "--segment_length: changes nothing here, it needs --mean"),
        ("gen", ["--dropout_rate", "0.3"], "--dropout_rate: changes nothing here, it needs --fc_model"),
        ("gen", ["--fc_model", "--stride", "1"], "--stride: changes nothing here, it needs no --fc_model"),
        ("gen", ["--no_clamp", "--norm"], "--norm: must be used without --no_clamp"),
        ("gen", ["--fake_set", "--real_set"], "--real_set: must be used without --fake_set"),
        ("gen", ["--all", "--radius", "4"], "--radius: must be odd"),
        ("gen", ["--all", "--no_clamp"], "--no_clamp: changes nothing here"),
        ("gen", ["--aug_blur", "--check_blur"], "--check_blur: changes nothing here, it needs no --aug_blur"),
        ("gen", ["--all", "--gen_train_type", "flow"], "--all: changes nothing here"),
        ("gen", ["--aug_blur", "--gen_train_type", "flow"], "--gen_train_type: changes nothing here"),
        ("gen", ["--aug_blur", "--no_clamp"], "--no_clamp: changes nothing here"),
        ("gen", ["--kernel_channels", "2"], "--kernel_channels: must be 1 or 3"),
        ("gen", ["--gen_train_type", "pert", "--radius", "5"], "--radius: changes nothing here"),
    ],
)
def test_what_cannot_work_is_refused_in_the_commands_own_words(script, words, says):
    with pytest.raises((SettingError, UserError), match=re.escape(says)):
        train(script, words)


def test_several_processes_are_refused(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"plays in one process") as error:
        train("gen", [])
    assert "-m dfgame train" in error.value.remedy and not any(tmp_path.iterdir())


def test_flags_of_settings_are_the_commands_own_in_a_remedy_too():
    with pytest.raises(UserError) as error, own_words((*TRAINING, *OURS, *SHARED)):
        raise UserError("no weights", "use --detector.no-pretrained, or another --optimizer.lr; see --help")
    assert error.value.remedy == "use no --pretrain, or another --lr; see --help"


def test_what_is_so_anyway_is_told_to_change_nothing(played, crops, capsys):
    played("grad", {"data_root": str(crops.parent), **BASE, "norm": None, "weight": None})
    said = capsys.readouterr().err
    assert "--norm: changes nothing here" in said and "--weight: changes nothing here" in said


GEN = (
    "--exp_name gen_exp --max_epoch 120 --batch_size 32 --snapshot_interval 5 --lr 5e-4 --lr_decay_epochs 15 "
    "--gen_train_type default --g_per_d 3"
)


@pytest.mark.parametrize(("script", "moves"), [("gen", 3), ("grad", 1)])
def test_the_papers_commands_word_for_word(script, moves):
    given = training.parse("x", (*TRAINING, *OURS, *SHARED), GEN.replace("g_per_d 3", f"g_per_d {moves}").split())
    config = training.translated(given, script)
    assert (config.game, config.adversary.moves) == ({"gen": "generator", "grad": "gradient"}[script], moves)
    assert (config.epochs, config.batch_size, config.image_size, config.rounds_per_epoch) == (120, 32, 256, 2000)
    assert config.detector.backbone == "tf_efficientnet_b5" and config.optimizer.lr == 5e-4
    assert (config.blur.constraint, config.blur.channels) == {"gen": ("clamp", 1), "grad": ("norm", 3)}[script]
    assert config.compressions == ("c23",) and config.methods == ()
    assert config.augment == AugmentConfig() and config.augment.before == "full"


@pytest.mark.parametrize(("option", "again"), [("aug_before", "light"), ("aug_before_full", "full")])
def test_augmentation_before_the_adversary_comes_on_top_of_that_of_the_data(option, again):
    given = training.parse("x", (*TRAINING, *OURS, *SHARED), [f"--{option}"])
    assert training.translated(given, "gen").augment == AugmentConfig(again=again)


@pytest.fixture(scope="module")
def experiments(crops, tmp_path_factory):
    """A folder with a run of two classes, one of five, and one with an fc head."""
    folder = tmp_path_factory.mktemp("experiments")
    before = Path.cwd()
    os.chdir(folder)
    try:
        words = ["--data_root", str(crops.parent), "--snapshot_interval", "1"]
        words += [word for name, value in BASE.items() for word in (f"--{name}", value)]
        train("grad", [*words, "--exp_name", "two", "--image_size", "64", "--max_epoch", "2", "--lr", "0.01"])
        train("grad", [*words, "--exp_name", "five", "--multi"])
        train("grad", [*words, "--exp_name", "fc", "--fc_model"])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def tested(experiments, crops, monkeypatch, capsys):
    """Run eval.py's options; returns (what is in the JSON, what was said on stderr)."""
    monkeypatch.chdir(experiments)

    def run(**options: str | None) -> tuple[dict[str, Any], str]:
        given = {"exp_name": "two", "workers": "0", "data_root": str(crops.parent)} | options
        words = [word for name, value in given.items() for word in (f"--{name}", value) if word is not None]
        for old in experiments.glob("*/eval_*"):
            old.unlink()
        assert evaluate(words) == 0
        (found,) = experiments.glob("*/eval_*.json")
        return json.loads(found.read_text()), capsys.readouterr().err

    return run


EVAL_FIGURES = [
    ("image_size", "32", {}),
    ("mean", None, {}),
    ("stride", "1", {}),
    ("segment_length", "1", {"mean": None}),
    ("aug_before", None, {}),
    ("exp_name", "five", {}),
    ("epoch", "1", {}),
    ("cmp_level", "c40", {}),
    ("multi", None, {}),
    ("fake_type", "Deepfakes", {}),
    ("dataset", "OTHER", {}),
    ("multi2two", None, {"exp_name": "five", "multi": None}),
    ("data_root", "OTHER", {}),
]
EVAL_TOLD = [
    ("model_type", "b7", "--model_type: ckts_exp_grad_two trained with test_efficientnet"),
    ("bn2", None, "--bn2: ckts_exp_grad_two has no auxiliary BatchNorm"),
    ("fc_model", None, "--fc_model: ckts_exp_grad_two has a patch head"),
    ("multi", None, "--multi: ckts_exp_grad_two has two classes"),
]
EVAL_ELSEWHERE = {"batch_size", "workers", "device"}


def test_every_option_of_eval_has_a_case():
    walked = {name for name, *_ in (*EVAL_FIGURES, *EVAL_TOLD)} | EVAL_ELSEWHERE
    assert walked == {option.name for option in (*EVALUATION, *SHARED)}


@pytest.mark.parametrize(("option", "value", "given"), EVAL_FIGURES)
def test_what_an_option_of_eval_changes(option, value, given, tested, other_crops):
    place = str(other_crops.parent) if value == "OTHER" else value
    before, after = (tested(**more)[0] for more in (given, given | {option: place}))
    assert before.pop("asked") != after.pop("asked") or option in ("exp_name", "epoch", "dataset", "data_root")
    assert before != after


@pytest.mark.parametrize(("option", "value", "says"), EVAL_TOLD)
def test_what_eval_says_of_an_option_that_contradicts_the_run(option, value, says, tested):
    assert says in tested(**{option: value})[1]


def test_how_eval_is_computed_does_not_change_what_it_finds(tested, monkeypatch):
    import dfgame.score

    calls = []
    loader: Any = dfgame.score.crop_loader
    monkeypatch.setattr(
        dfgame.score, "crop_loader", lambda *args: calls.append(args[2:4]) or loader(*args[:3], 0, *args[4:])
    )
    expected = tested()[0]
    found = tested(batch_size="3", workers="2", device="cpu")[0]
    assert calls == [(32, 0), (3, 2)]
    assert found["auc"] == pytest.approx(expected["auc"])
    with pytest.raises(UserError, match="--device cuda"):
        tested(device="cuda")


def test_eval_finds_the_checkpoint_by_its_epoch_and_its_figures_are_scikit_learns(tested, experiments, crops):
    from sklearn.metrics import average_precision_score, roc_auc_score

    from dfgame.checkpoint import load_detector
    from dfgame.score import score_crops

    found, _ = tested(epoch="1", fake_type="Face2Face")
    rows = [
        row
        for row in read_manifest(crops).to_pylist()
        if row["split"] == "test" and row["compression"] == "c23" and row["method"] in ("original", "Face2Face")
    ]
    detector, _ = load_detector(experiments / "ckts_exp_grad_two", "epoch_001", torch.device("cpu"))
    scores = score_crops(detector, [crops.parent / row["path"] for row in rows], 64, 32, 0)
    labels = [row["label"] == "fake" for row in rows]
    assert found["count"] == len(rows)
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert found["average precision"] == pytest.approx(average_precision_score(labels, scores))
    right = np.array([(score >= 0.5) == label for score, label in zip(scores, labels, strict=True)])
    assert found["real accuracy"] == pytest.approx(right[~np.array(labels)].mean())
    roc = experiments / "ckts_exp_grad_two" / "eval_1_ff_Face2Face_roc.csv"
    assert roc.is_file() and roc.with_suffix(".svg").read_text().startswith("<?xml")


def test_five_classes_and_their_collapse_into_two(tested):
    five, _ = tested(exp_name="five", multi=None)
    assert len(five["confusion (rows: truth)"]) == 5
    assert sum(map(sum, five["confusion (rows: truth)"])) == five["count"]
    assert {f"{method} accuracy" for method in METHODS} < five.keys()
    two, _ = tested(exp_name="five", multi=None, multi2two=None)
    assert {"auc", "eer", "fake accuracy"} < two.keys() and two["count"] == five["count"]
    figures = ("accuracy", "real accuracy", "fake accuracy", "auc", "average precision", "eer")
    assert {name: five[f"two-class {name}"] for name in figures} == {name: two[name] for name in figures}


def test_checkpoints_keep_their_published_names(experiments):
    run = experiments / "ckts_exp_grad_two"
    for name, ours in (("1", "epoch_001"), ("2", "epoch_002"), ("best", "best"), ("last", "last")):
        assert (run / f"dfdc_{name}.pt").resolve() == (run / f"{ours}.safetensors").resolve()


def listed(folder: Path) -> Path:
    """A tree of crops with list files, as the published code had them."""
    rng = np.random.default_rng(0)
    for split, people in (("train", ("000", "001")), ("val", ("002", "003")), ("test", ("004", "005"))):
        lines, videos = [], []
        for person, other in (people, people[::-1]):
            for name, label in ((f"original_c23/{person}", "REAL"), (f"FaceSwap_c23/{person}_{other}", "FAKE")):
                video = folder / name
                video.mkdir(parents=True)
                for frame in (0, 12):
                    crop = f"{video.name}_{frame:06d}_0.png"
                    cv2.imwrite(str(video / crop), rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
                    lines.append(f"{name}/{crop} {label}")
                videos.append(f"{name} {label}")
        (folder / "benchmark").mkdir(exist_ok=True)
        names = {"train": "ff_train_all.lst"}.get(split, f"ff_{split}_c23.lst")
        (folder / "benchmark" / names).write_text("\n".join(videos if split == "train" else lines))
    return folder


def test_list_files_are_read_where_there_are_any(tmp_path, played):
    root = listed(tmp_path / "data")
    outcome = played("grad", {"data_root": str(root), **BASE})
    table = read_manifest(Path(outcome.run) / "lists.parquet").to_pylist()
    assert len(table) == 16 and {row["split"] for row in table} == {"train", "val"}
    fake = next(row for row in table if row["method"] == "FaceSwap")
    assert (fake["identity"], fake["source"], fake["label"], fake["frame"]) == ("000", "001", "fake", 0)
    assert outcome.labels[0].tolist() == [0, 0, 1, 1]
    assert evaluate(["--exp_name", "debug", "--data_root", str(root), "--workers", "0", "--multi"]) == 0
    written = (Path(outcome.run) / "lists.parquet").stat().st_mtime_ns
    assert played("grad", {"data_root": str(root), **BASE, "resume": None}).history == outcome.history
    assert (Path(outcome.run) / "lists.parquet").stat().st_mtime_ns == written


def test_lists_beside_the_user_are_those_of_faceforensics_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(listed(tmp_path / "data"))
    (tmp_path / "celebdf").mkdir()
    with pytest.raises(UserError, match=r"celebdf: no manifest.parquet"):
        evaluation.find_data(tmp_path, "celebdf", {"val": "ff_val_c23.lst"}, False, tmp_path / "made.parquet")
    found = evaluation.find_data(Path.cwd(), "ff", {"val": "ff_val_c23.lst"}, False, tmp_path / "made.parquet")
    assert found == tmp_path / "made.parquet"


@pytest.mark.parametrize(
    ("line", "multi", "says"),
    [
        ("original_c23/000 FAKE", False, "line 1: the label FAKE is not that of original"),
        ("original_c23/000 0", False, "the label 0 is not that of original"),
        ("FaceSwap_c23/000_001 1", True, "the label 1 is not that of FaceSwap"),
        ("nonsense", False, "not a line of a list"),
        ("original_c23/999 REAL", False, "no pictures in"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, multi, says, tmp_path):
    from dfgame.datasets.lists import read_lists

    root = listed(tmp_path / "data")
    path = tmp_path / "bad.lst"
    path.write_text(line)
    with pytest.raises(UserError, match=re.escape(says)):
        read_lists({"train": path}, root, multi)


@pytest.mark.parametrize(
    ("line", "multi", "label"),
    [
        ("original_c23/000 1", False, "real"),
        ("original_c23/000 0", True, "real"),
        ("FaceSwap_c23/000_001 0", False, "fake"),
        ("FaceSwap_c23/000_001 3", True, "fake"),
    ],
)
def test_numbers_are_labels_too(line, multi, label, tmp_path):
    from dfgame.datasets.lists import read_lists

    path = tmp_path / "numbers.lst"
    path.write_text(line)
    table = read_lists({"test": path}, listed(tmp_path / "data"), multi)
    assert table["label"].to_pylist() == [label] * 2


def test_the_documents_table_is_the_commands_own():
    page = Path(__file__).parents[1] / "docs" / "reference.md"
    assert tables() in page.read_text(encoding="utf-8")


def test_a_backbone_that_is_not_there_is_one_line_in_the_words_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^--model_type efficientnet_b55: timm has no such model"):
        train("grad", ["--model_type", "efficientnet_b55"])


def test_without_data_it_says_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFGAME_DATA", raising=False)
    with pytest.raises(UserError, match=r"ff\+\+: no manifest.parquet") as caught:
        train("gen", [])
    assert "DFGAME_DATA" in caught.value.remedy and not list(tmp_path.iterdir())
    monkeypatch.setenv("DFGAME_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="elsewhere: no manifest"):
        evaluation.find_data(evaluation.data_root(None), "ff", {"test": "a.lst"}, False, tmp_path / "x")


def foreign(crops: Path, root: Path, **others: Any) -> int:
    """A data set ROOT/celebdf with a method and a quality of its own; returns how many rows it has."""
    rows = [
        row
        | {"compression": "unknown", "path": str(crops.parent / row["path"])}
        | ({"method": "Celeb-synthesis"} if row["label"] == "fake" else {})
        | others
        for row in read_manifest(crops).to_pylist()
    ]
    (root / "celebdf").mkdir()
    write_manifest(root / "celebdf" / "manifest.parquet", pa.Table.from_pylist(rows, schema=SCHEMA), {})
    return len(rows)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"exp_name": "five"},
        {"exp_name": "five", "multi2two": None},
        {"exp_name": "five", "multi": None, "multi2two": None},
    ],
)
def test_a_data_set_without_splits_and_with_methods_of_its_own_is_tested_whole(given, tested, crops, tmp_path):
    count = foreign(crops, tmp_path, split=None)
    found, said = tested(dataset="celebdf", data_root=str(tmp_path), **given)
    assert found["count"] == count and 0 <= found["auc"] <= 1 and "has no splits" in said


def test_a_data_set_with_methods_and_qualities_of_its_own_is_trained_on_whole(played, crops, tmp_path):
    foreign(crops, tmp_path)
    base = {"data_root": str(tmp_path), "dataset": "celebdf", **BASE}
    assert played("grad", base).history
    with pytest.raises(UserError, match=r"^--cmp_level c23: not in"):
        played("grad", base | {"exp_name": "other", "cmp_level": "c23"})


def beside_others(crops: Path, root: Path) -> int:
    """ROOT/manifest.parquet: the crops, FaceShifter of them, and another data set; returns how many are added."""
    rows = [row | {"path": str(crops.parent / row["path"])} for row in read_manifest(crops).to_pylist()]
    rows = [row | {"dataset": "FaceForensics++"} for row in rows]
    shifted = [row | {"method": "FaceShifter"} for row in rows if row["method"] == "FaceSwap"]
    actors = [row | {"dataset": "DeepFakeDetection"} for row in rows if row["label"] == "real"]
    table = pa.Table.from_pylist([*rows, *shifted, *actors], schema=SCHEMA)
    write_manifest(root / "manifest.parquet", table, {})
    return len(shifted) + len(actors)


@pytest.mark.parametrize("given", [{}, {"multi": None}, {"exp_name": "five", "multi": None}])
def test_faceforensics_is_tested_without_what_lies_beside_it(given, tested, crops, tmp_path):
    assert beside_others(crops, tmp_path)
    alone, beside = tested(**given)[0], tested(**given, data_root=str(tmp_path))[0]
    assert [alone[name] for name in ("count", "accuracy")] == [beside[name] for name in ("count", "accuracy")]


def test_faceforensics_is_trained_on_without_what_lies_beside_it(played, crops, tmp_path):
    beside_others(crops, tmp_path)
    base = {"data_root": str(tmp_path), **BASE}
    run = Path(played("grad", base).run)
    trained_on = json.loads((run / "run.json").read_text())["data"]["trained_on"]
    assert trained_on["datasets"] == ["FaceForensics++"]
    assert set(trained_on["methods"]) == {"original", *METHODS}
    assert played("grad", base | {"exp_name": "five", "multi": None}).history


def test_each_call_of_eval_keeps_its_results_and_says_what_they_are_of(tested, experiments, crops):
    tested()
    for words in (["--cmp_level", "c40"], ["--mean"], ["--mean", "--segment_length", "1"], ["--stride", "1"]):
        assert evaluate(["--exp_name", "two", "--workers", "0", "--data_root", str(crops.parent), *words]) == 0
    found = {path.stem: json.loads(path.read_text())["asked"] for path in experiments.glob("*/eval_*.json")}
    assert set(found) == {
        f"eval_best_ff_FaceSwap{rest}" for rest in ("", "_c40", "_mean", "_mean_segment_length-1", "_stride-1")
    }
    assert found["eval_best_ff_FaceSwap_c40"]["compressions"] == ["c40"]
    assert found["eval_best_ff_FaceSwap_mean_segment_length-1"]["segment_length"] == 1


def test_the_test_of_another_folder_does_not_take_the_results_place(tested, experiments, crops, tmp_path):
    tested()
    shutil.copytree(crops.parent, tmp_path / "other")
    for _ in range(2):
        for root in (crops.parent, tmp_path / "other"):
            assert evaluate(["--exp_name", "two", "--workers", "0", "--data_root", str(root)]) == 0
    found = [json.loads(path.read_text())["manifest"] for path in experiments.glob("*/eval_best_ff_FaceSwap*.json")]
    assert sorted(found) == sorted(map(str, (crops, tmp_path / "other" / crops.name)))


@pytest.mark.parametrize(
    ("option", "value"), [("batch_size", "0"), ("stride", "0"), ("workers", "-1"), ("image_size", "0")]
)
def test_numbers_of_eval_that_cannot_be_are_refused(option, value, tested):
    with pytest.raises(SettingError, match=f"^--{option}: must be at least"):
        tested(**{option: value})


def test_five_classes_have_none_for_another_method(tested, crops, tmp_path):
    foreign(crops, tmp_path, split=None)
    with pytest.raises(UserError, match="Celeb-synthesis has no class of its own") as caught:
        tested(dataset="celebdf", data_root=str(tmp_path), exp_name="five", multi=None)
    assert caught.value.remedy == "collapse them: --multi2two"


def test_a_test_set_of_one_side_is_one_line(tested, crops, tmp_path):
    foreign(crops, tmp_path, split=None, label="fake", method="Celeb-synthesis")
    with pytest.raises(UserError, match="all that is tested on is real, or all of it fake"):
        tested(dataset="celebdf", data_root=str(tmp_path))
