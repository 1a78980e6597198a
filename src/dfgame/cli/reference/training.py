"""detect_gen.py and detect_grad.py: the published options -> TrainConfig -> the package's own training."""

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from dfgame.checkpoint import ADVERSARY_FILE, weights_path
from dfgame.cli.reference.data import compressions_of, data_root, find_data, methods_of, of_ff, training_lists
from dfgame.cli.reference.options import OURS, SHARED, TRAINING, options_by_place, own_words, parse
from dfgame.config import (
    AdversaryConfig,
    AugmentConfig,
    BlurConfig,
    DetectorConfig,
    FlowConfig,
    Game,
    KernelConfig,
    OptimizerConfig,
    Perturbation,
    ResidualConfig,
    SettingError,
    TrainConfig,
)
from dfgame.jobs import available_cores, console
from dfgame.manifest import read_manifest
from dfgame.records import UserError
from dfgame.runs import RUN_FILE, read_record

Script = Literal["gen", "grad"]
GAMES: dict[Script, Game] = {"gen": "generator", "grad": "gradient"}
MOVES: dict[str, Perturbation] = {"pert": "additive", "flow": "flow", "res": "residual"}
"""--gen_train_type where it names a perturbation and not a loss."""
CLAMPED_RESIDUAL = 0.03
SMALL_VALIDATION = 2_000
IN_THEIR_WORDS = {
    "--game generator": "detect_gen.py",
    "--game gradient or generator": "no --aug_blur",
    "--game gradient": "detect_grad.py",
    "--blur.constraint norm or learn-norm": "--norm or --learn_norm",
    "--val-level video": "--mean",
    "--detector.multi": "--multi",
    "--detector.head patch": "no --fc_model",
    "--detector.head fc": "--fc_model",
    "--detector.pretrained": "--pretrain",
    "--adversary.perturbation flow": "--gen_train_type flow",
    "--adversary.perturbation residual": "--gen_train_type res",
    "--adversary.perturbation additive": "--gen_train_type pert",
    "--adversary.perturbation kernel": "--all",
    "--adversary.perturbation blur": "neither --all nor a --gen_train_type of another kind",
    "another --blur.constraint": "--no_clamp or --norm",
}
"""What the package's messages ask for, as these commands have it."""


def _parts(config: TrainConfig, run: Path) -> int:
    """In how many parts to play a round: as many as the run has so far, or as memory asks for, which is said."""
    from dfgame.checkpoint import untrained_detector
    from dfgame.memory import free_bytes, parts_that_fit, round_bytes
    from dfgame.score import pick_device

    if (run / RUN_FILE).is_file():
        return read_record(run)["settings"]["accumulate"]
    untrained_detector(config.detector)
    room = free_bytes(pick_device(config.device))
    parts = parts_that_fit(config, room)
    if parts > 1:
        needed, there = (f"{size / 2**30:.0f} GiB" for size in (round_bytes(config), room))
        console.print(
            f"--accumulate {parts}: a whole round takes about {needed} and {there} are free: it is played in parts, "
            "BatchNorm sees a part at a time",
            soft_wrap=True,
        )
    return parts


def run_folder(name: str, script: Script) -> Path:
    """Where the published commands keep an experiment."""
    return Path(f"ckts_exp_{script}_{name}")


def train(script: Script, words: Sequence[str]) -> int:
    """Train as detect_gen.py or detect_grad.py do; returns the exit code."""
    from dfgame.train import train_run

    given = parse(f"detect_{script}.py", (*TRAINING, *OURS, *SHARED), words)
    config = translated(given, script)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"detect_{script}.py: plays in one process, and was started in several",
            "for several use `torchrun ... -m dfgame train`",
        )
    run = run_folder(given.exp_name or "debug", script)
    options = (*TRAINING, *OURS, *SHARED)
    if given.accumulate is None:
        with own_words(options):
            config = replace(config, accumulate=_parts(config, run))
    if (run / RUN_FILE).is_file() and not config.resume:
        raise UserError(f"{run}: holds a run already", "go on with --resume, or choose another --exp_name")
    lists = training_lists(config.sampling, config.compressions)
    dataset = given.dataset or "default"
    manifest = find_data(data_root(given.data_root), dataset, lists, config.detector.multi, run / "lists.parquet")
    datasets, methods = of_ff(read_manifest(manifest), dataset, config.methods)
    config = replace(config, datasets=datasets, methods=methods)
    with own_words(options):
        record = train_run(manifest, run, config)
    links = link_checkpoints(run)
    print(f"{run}: best epoch {record.get('best_epoch')}; {', '.join(links)}")
    return 0


def translated(given: argparse.Namespace, script: Script) -> TrainConfig:
    """The settings that the given options stand for.

    Raises:
        SettingError: an option that cannot be used or changes nothing, by its published name.
    """
    options = options_by_place((*TRAINING, *OURS, *SHARED))
    try:
        return _translated(given, script)
    except SettingError as error:
        message = str(error)
        for ours, theirs in IN_THEIR_WORDS.items():
            message = message.replace(ours, theirs)
        flag = message.partition(":")[0].removeprefix("--").split()[0]
        name = _guilty(given, options.get(flag.replace("-", "_"), flag))
        raise SettingError(f"--{name}:{message.partition(':')[2]}") from None


def _guilty(given: argparse.Namespace, name: str) -> str:
    """Of several options that become one setting, the one that was given."""
    place = next((option.place for option in TRAINING if option.name == name), None)
    rivals = [option.name for option in TRAINING if option.place == place]
    aliases = {
        "kernel.window": "radius",
        "kernel.channels": "kernel_channels",
        "flow.budget": "norm_value",
        "adversary.loss": "gen_train_type",
        "all": "gen_train_type",
        "blur.constraint": "no_clamp",
    }
    return next((rival for rival in rivals if getattr(given, rival, None)), aliases.get(name, name))


def _translated(given: argparse.Namespace, script: Script) -> TrainConfig:
    game: Game = "random-blur" if given.aug_blur else GAMES[script]
    kind = given.gen_train_type or "default"
    if given.all and kind in MOVES:
        raise UserError(f"--all: changes nothing here, it needs another --gen_train_type than {kind}")
    move: Perturbation = "kernel" if given.all else MOVES.get(kind, "blur")
    return TrainConfig(
        game=game,
        methods=methods_of(given.fake_type),
        compressions=compressions_of(given.cmp_level, given.dataset or "default"),
        val_images=0 if given.val_dataset_type == "full" else SMALL_VALIDATION,
        val_level="video" if given.mean else "frame",
        detector=_detector(given),
        adversary=AdversaryConfig(
            perturbation=move,
            loss=kind if kind in ("lsgan", "wgan") else "default",
            attacks=_attacked(given),
            weights=_earlier_generators(given),
            **_named(given, shuffled="check_blur", moves="g_per_d", filters="gen_filters"),
            **_named(given, blocks="gen_blocks", norm="gen_norm_type", lr="gen_lr"),
        ),
        blur=_blur(given, script, move),
        kernel=KernelConfig(**_named(given, window="radius", channels="kernel_channels") if move == "kernel" else {}),
        flow=FlowConfig(**_named(given, tanh="tanh"), **_named(given, budget="norm_value") if move == "flow" else {}),
        residual=ResidualConfig(bound=CLAMPED_RESIDUAL if given.clamp_res else 0.0, **_named(given, replace="no_res")),
        augment=AugmentConfig(
            again="full" if given.aug_before_full else "light" if given.aug_before else "none",
            **_named(given, after="aug_after"),
        ),
        optimizer=OptimizerConfig(
            **_named(given, kind="optimizer", lr="lr", momentum="momentum", decay_factor="lr_decay_factor"),
            **_named(given, decay_epochs="lr_decay_epochs", weight_decay="weight_decay"),
            weighted=_weighted(given),
        ),
        **_named(given, sampling="dataset_type", permute="perm", epochs="max_epoch", epoch_pairs="epoch_pairs"),
        **_named(given, batch_size="batch_size", image_size="image_size", segment_length="segment_length"),
        **_named(given, snapshot_interval="snapshot_interval", log_interval="log_interval"),
        **_named(
            given,
            accumulate="accumulate",
            hist_interval="hist_interval",
            device="device",
            seed="seed",
            resume="resume",
        ),
        workers=usual_workers() if given.workers is None else given.workers,
    )


def _detector(given: argparse.Namespace) -> DetectorConfig:
    if given.dropout_rate is not None and not given.fc_model:
        raise SettingError("--dropout_rate: changes nothing here, it needs --fc_model")
    dropout = {"dropout": given.dropout_rate or 0.0} if given.fc_model else {}
    return DetectorConfig(
        backbone=backbone_of(given.model_type or "b5"),
        pretrained=bool(given.pretrain),
        head="fc" if given.fc_model else "patch",
        **dropout,
        **_named(given, weights="pretrain_name", stride="stride", bn2="bn2", multi="multi"),
    )


def _weighted(given: argparse.Namespace) -> bool:
    if given.weight and not given.multi:
        console.print("--weight: changes nothing here, of two classes each is half of a batch")
    return bool(given.weight and given.multi)


def _blur(given: argparse.Namespace, script: Script, move: Perturbation) -> BlurConfig:
    """The gradient game of the published code has the norm's budget and a sigma a colour; generators clamp s."""
    asked = [name for name in ("no_clamp", "norm", "learn_norm") if getattr(given, name)]
    if len(asked) > 1:
        raise UserError(f"--{asked[1]}: must be used without --{asked[0]}")
    if script == "grad" and asked == ["norm"]:
        console.print("--norm: changes nothing here, detect_grad.py always shares out a budget")
    settings: dict[str, Any] = _named(given, sigmoid="sigmoid")
    if asked:
        settings["constraint"] = {"no_clamp": "free", "norm": "norm", "learn_norm": "learn-norm"}[asked[0]]
    elif script == "grad" and move == "blur":
        settings["constraint"] = "norm"
    if script == "grad" and move == "blur" and not given.aug_blur:
        settings["channels"] = 3
    if move != "kernel":
        settings |= _named(given, window="radius", channels="kernel_channels")
    if move != "flow":
        settings |= _named(given, budget="norm_value")
    return BlurConfig(**settings)


def _attacked(given: argparse.Namespace) -> Literal["both", "real", "fake"]:
    if given.fake_set and given.real_set:
        raise UserError("--real_set: must be used without --fake_set; both sides are attacked by default")
    return "fake" if given.fake_set else "real" if given.real_set else "both"


def _earlier_generators(given: argparse.Namespace) -> str:
    """--pretrain_g with a run's folder, or alone: the newest run here that has generators."""
    if given.pretrain_g is None:
        return ""
    if given.pretrain_g:
        return str(Path(given.pretrain_g) / ADVERSARY_FILE)
    own = run_folder(given.exp_name or "debug", "gen")
    if given.resume and (own / RUN_FILE).is_file():
        return read_record(own)["settings"]["adversary"]["weights"]
    found = [path for path in Path().glob(f"ckts_exp_gen_*/{ADVERSARY_FILE}") if path.parent != own]
    if not found:
        raise UserError("--pretrain_g: no earlier run here has generators", "name one: --pretrain_g ckts_exp_gen_NAME")
    return str(max(found, key=lambda path: path.stat().st_mtime))


def usual_workers() -> int:
    """How many processes load images where nothing is said: the published four, or the cores if they are fewer."""
    return min(4, available_cores())


def backbone_of(model_type: str) -> str:
    """b5 -> tf_efficientnet_b5; any other name is timm's own."""
    return f"tf_efficientnet_{model_type}" if model_type in {f"b{k}" for k in range(9)} else model_type


def _named(given: argparse.Namespace, **names: str) -> dict[str, Any]:
    """The settings whose options were given: setting="option"."""
    return {setting: getattr(given, name) for setting, name in names.items() if getattr(given, name) is not None}


def link_checkpoints(run: Path) -> list[str]:
    """dfdc_best.pt, dfdc_last.pt, dfdc_5.pt: the published names, as links to our files (safetensors inside)."""
    made = []
    for path in sorted(run.glob("*.safetensors")):
        number = path.stem.removeprefix("epoch_")
        if path.name != ADVERSARY_FILE:
            link = run / f"dfdc_{int(number) if number.isdigit() else number}.pt"
            _link(link, path)
            made.append(link.name)
    return made


def _link(link: Path, path: Path) -> None:
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(path.name)
    except OSError:  # Windows without the right to make links
        with contextlib.suppress(FileExistsError):
            shutil.copyfile(path, link)


def checkpoint_of(run: Path, epoch: str) -> Path:
    """The weights that --epoch means: a number, best or last."""
    return weights_path(run, f"epoch_{int(epoch):03d}" if epoch.isdigit() else epoch)


def main(script: Script) -> None:
    """The command."""
    from dfgame.cli import GOES_ON, exit_with

    exit_with(lambda: train(script, sys.argv[1:]), f"detect_{script}.py --help", f"{GOES_ON} with --resume")
