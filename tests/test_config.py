"""Settings: every field is documented, flags and TOML give them back, what makes no sense is refused by name."""

import ast
import dataclasses
import inspect
import math
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfgame import config as dfgame_config
from dfgame.cli import app
from dfgame.config import (
    AdditiveConfig,
    AdversaryConfig,
    AugmentConfig,
    BlurConfig,
    DemoConfig,
    DetectorConfig,
    EvaluateConfig,
    ExtractConfig,
    FlowConfig,
    ForgeConfig,
    KernelConfig,
    OptimizerConfig,
    ResidualConfig,
    RobustnessConfig,
    SettingError,
    TrainConfig,
    idle_settings,
    to_flags,
)

CONFIGS = [
    value for value in vars(dfgame_config).values() if isinstance(value, type) and dataclasses.is_dataclass(value)
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_setting_has_its_help_below_it(config):
    body = ast.parse(inspect.getsource(config)).body[0]
    assert isinstance(body, ast.ClassDef)
    nested = {item.name for item in dataclasses.fields(config) if callable(item.default_factory)}
    for node, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id not in nested:
            documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert documented, f"{config.__name__}.{node.target.id} has no docstring"


def parsed(verb, config, places):
    """What the command line makes of a configuration's own flags."""
    _, bound, _ = app.parse_args([verb, *places, *to_flags(config)], exit_on_error=False, print_error=False)
    return bound.arguments.get("settings", type(config)())


@settings(deadline=None, max_examples=25)
@given(
    st.builds(
        TrainConfig,
        methods=st.lists(st.sampled_from(["Deepfakes", "FaceSwap"]), unique=True).map(tuple),
        epochs=st.integers(1, 999),
        detector=st.builds(DetectorConfig, head=st.sampled_from(["patch", "fc"]), bn2=st.booleans()),
        blur=st.builds(BlurConfig, window=st.sampled_from([3, 5, 7]), constraint=st.sampled_from(["free", "norm"])),
        adversary=st.builds(AdversaryConfig, moves=st.integers(1, 9), lr=st.floats(1e-6, 1.0)),
        seed=st.integers(0, 2**31),
        resume=st.booleans(),
    )
)
def test_a_training_configuration_survives_the_command_line(config):
    assert parsed("train", config, ["manifest", "run"]) == config


IDLE = [
    ("detector.weights", {"detector": DetectorConfig(pretrained=False, weights="a.safetensors")}),
    ("detector.stride", {"detector": DetectorConfig(head="fc", stride=1)}),
    ("detector.dropout", {"detector": DetectorConfig(dropout=0.1)}),
    ("detector.bn2", {"game": "none", "detector": DetectorConfig(bn2=True)}),
    ("adversary.perturbation", {"game": "random-blur", "adversary": AdversaryConfig(perturbation="flow")}),
    ("adversary.start", {"game": "none", "adversary": AdversaryConfig(start=1)}),
    ("adversary.share", {"game": "none", "adversary": AdversaryConfig(share=0.5)}),
    ("adversary.share", {"batch_size": 4, "adversary": AdversaryConfig(share=0.8)}),
    ("adversary.share", {"accumulate": 16, "adversary": AdversaryConfig(share=0.1)}),
    ("optimizer.decay-epochs", {"optimizer": OptimizerConfig(schedule="cosine", decay_epochs=5)}),
    ("optimizer.decay-factor", {"optimizer": OptimizerConfig(schedule="cosine", decay_factor=0.5)}),
    ("adversary.attacks", {"game": "none", "adversary": AdversaryConfig(attacks="fake")}),
    ("adversary.shuffled", {"game": "random-blur", "adversary": AdversaryConfig(shuffled=True)}),
    ("adversary.moves", {"game": "random-blur", "adversary": AdversaryConfig(moves=3)}),
    ("adversary.step", {"game": "generator", "adversary": AdversaryConfig(step=1.0)}),
    ("adversary.step", {"game": "gradient", "adversary": AdversaryConfig(perturbation="additive", step=1.0)}),
    ("adversary.loss", {"game": "gradient", "adversary": AdversaryConfig(loss="wgan")}),
    ("adversary.filters", {"game": "gradient", "adversary": AdversaryConfig(filters=8)}),
    ("adversary.blocks", {"game": "gradient", "adversary": AdversaryConfig(blocks=1)}),
    ("adversary.norm", {"game": "gradient", "adversary": AdversaryConfig(norm="in")}),
    ("adversary.lr", {"game": "gradient", "adversary": AdversaryConfig(lr=1.0)}),
    ("adversary.weights", {"game": "gradient", "adversary": AdversaryConfig(weights="a")}),
    ("blur.window", {"game": "none", "blur": BlurConfig(window=5)}),
    ("blur.window", {"adversary": AdversaryConfig(perturbation="kernel"), "blur": BlurConfig(window=5)}),
    ("blur.budget", {"blur": BlurConfig(budget=50.0)}),
    ("blur.constraint", {"game": "random-blur", "blur": BlurConfig(constraint="free")}),
    ("blur.sigmoid", {"game": "gradient", "blur": BlurConfig(constraint="free", sigmoid=True)}),
    ("blur.channels", {"game": "random-blur", "blur": BlurConfig(channels=3)}),
    ("optimizer.weighted", {"optimizer": OptimizerConfig(weighted=True)}),
    ("kernel.window", {"kernel": KernelConfig(window=5)}),
    ("flow.tanh", {"flow": FlowConfig(tanh=True)}),
    ("residual.replace", {"residual": ResidualConfig(replace=True)}),
    ("additive.budget", {"additive": AdditiveConfig(budget=0.1)}),
    ("additive.step", {"adversary": AdversaryConfig(perturbation="additive"), "additive": AdditiveConfig(step=0.1)}),
    ("augment.flip", {"augment": AugmentConfig(before="none", flip=0.1)}),
    ("augment.jpeg", {"augment": AugmentConfig(before="light", jpeg=0.1)}),
    ("segment-length", {"segment_length": 3}),
]


@pytest.mark.parametrize(("flag", "changed"), IDLE)
def test_a_setting_that_changes_nothing_is_refused_by_name(flag, changed):
    with pytest.raises(SettingError, match=f"--{flag}: changes nothing here, it needs "):
        TrainConfig(**changed)


@pytest.mark.parametrize(
    ("flags", "constraint"),
    [
        (["--game", "gradient"], "norm"),
        (["--game", "gradient", "--blur.window", "5"], "norm"),
        (["--game", "gradient", "--blur.constraint", "clamp"], "clamp"),
        (["--game", "generator"], "clamp"),
        (["--game", "random-blur"], "clamp"),
        (["--game", "random-blur", "--blur.constraint", "norm"], "norm"),
        (["--game", "none"], "auto"),
        (["--game", "gradient", "--adversary.perturbation", "additive"], "auto"),
    ],
)
def test_each_game_has_its_published_constraint_unless_another_is_asked_for(flags, constraint):
    _, bound, _ = app.parse_args(["train", "manifest", "run", *flags], exit_on_error=False, print_error=False)
    assert bound.arguments["settings"].blur.constraint == constraint


def test_no_game_needs_more_than_its_name():
    for game in ("none", "random-blur", "gradient", "generator"):
        assert not idle_settings(TrainConfig(game=game))


@pytest.mark.parametrize(
    ("verb", "config", "places"),
    [
        ("forge", ForgeConfig(methods=("FaceSwap",), split=(0.5, 0.2, 0.3), overwrite=True), ["faces", "out"]),
        ("extract", ExtractConfig(frames=8, compressions=("c23", "c40"), margin=1.5), ["root", "out"]),
        ("evaluate", EvaluateConfig(split="val", replicates=200), ["manifest", "run"]),
        ("robustness", RobustnessConfig(only=("crf", "shift"), crf=(30, 40), people=9), ["manifest", "run"]),
        ("demo", DemoConfig(people=6, games=("none", "gradient")), []),
        ("train", TrainConfig(detector=DetectorConfig(pretrained=False)), ["manifest", "run"]),
    ],
)
def test_every_verbs_configuration_survives_the_command_line(verb, config, places):
    assert parsed(verb, config, places) == config


@pytest.mark.parametrize(
    ("make", "flag"),
    [
        (lambda: ForgeConfig(frames=1), "--frames"),
        (lambda: ForgeConfig(people=1), "--people"),
        (lambda: ForgeConfig(split=(0.5, 0.5, 0.5)), "--split"),
        (lambda: ExtractConfig(margin=0.5), "--margin"),
        (lambda: DetectorConfig(dropout=1.0), "--detector.dropout"),
        (lambda: BlurConfig(window=4), "--blur.window"),
        (lambda: BlurConfig(sigmoid=True), "--blur.sigmoid"),
        (lambda: BlurConfig(channels=cast(Any, 2)), "--blur.channels"),
        (lambda: BlurConfig(budget=math.inf), "--blur.budget"),
        (lambda: KernelConfig(channels=cast(Any, 2)), "--kernel.channels"),
        (lambda: OptimizerConfig(lr=math.inf), "--optimizer.lr"),
        (lambda: AdversaryConfig(step=math.inf), "--adversary.step"),
        (lambda: AdversaryConfig(lr=math.nan), "--adversary.lr"),
        (lambda: TrainConfig(game="gradient", blur=BlurConfig(constraint="learn-norm")), "--blur.constraint"),
        (lambda: TrainConfig(game="gradient", adversary=AdversaryConfig(perturbation="residual")), "--adversary.pert"),
        (lambda: TrainConfig(batch_size=8, accumulate=3), "--accumulate"),
        (lambda: TrainConfig(seed=-1), "--seed"),
        (lambda: TrainConfig(workers=-1), "--workers"),
        (lambda: OptimizerConfig(decay_factor=0.0), "--optimizer.decay-factor"),
        (lambda: OptimizerConfig(warmup=-1), "--optimizer.warmup"),
        (lambda: AdversaryConfig(share=0.0), "--adversary.share"),
        (lambda: AdversaryConfig(start=-1), "--adversary.start"),
        (lambda: TrainConfig(epochs=2, adversary=AdversaryConfig(start=2)), "--adversary.start"),
        (lambda: TrainConfig(average=1.0), "--average"),
        (lambda: EvaluateConfig(replicates=1), "--replicates"),
        (lambda: DemoConfig(rounds=1), "--rounds"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_flags_name(make, flag):
    with pytest.raises(SettingError, match=flag):
        make()
