"""Every option of the published commands: meaning, and where in the package it lives.

python -m dfgame.cli.reference.options    # the tables of docs/reference.md
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dfgame.records import METHODS, UserError


@dataclass(frozen=True)
class Option:
    """One option. `default` is what holds where it is not given; options without a value are off."""

    name: str
    meaning: str
    place: str
    """A setting of `TrainConfig` or `EvaluateConfig`, or what else it becomes."""
    kind: type = bool
    default: Any = None
    choices: tuple[str, ...] | None = None
    optional: bool = False
    """Whether its value may be left out."""


EXPERIMENT = "experiment's name: the run is the folder ckts_exp_gen_NAME (detect_gen.py) or ckts_exp_grad_NAME"
SHARED = (
    Option("data_root", "folder of the data; by default the environment's DFGAME_DATA", "MANIFEST", str, "./ff++"),
    Option("device", "where to compute: auto, cpu, cuda, mps", "device", str, "auto"),
)
"""Options that the published commands lack."""

TRAINING = (
    Option("mean", "the validation's prediction for a video is the mean over segment_length frames", "val_level"),
    Option("weight", "weight the five classes in the loss by their inverse frequency", "optimizer.weighted"),
    Option("exp_name", EXPERIMENT, "RUN", str, "debug"),
    Option("model_type", "backbone: b0 to b7, or any timm name", "detector.backbone", str, "b5"),
    Option("pretrain", "start from pretrained weights", "detector.pretrained"),
    Option("pretrain_name", "file or timm name of the pretrained weights", "detector.weights", str, "timm's own"),
    Option("dataset", "default or ff, dfd, celebdf, dfdc, or a folder or manifest", "MANIFEST", str, "default"),
    Option("dropout_rate", "dropout before the fc head's linear layer", "detector.dropout", float, 0.0),
    Option(
        "dataset_type",
        "video: random frames of random videos; frame: walk through the list",
        "sampling",
        str,
        "video",
        ("video", "frame"),
    ),
    Option(
        "val_dataset_type",
        "small: 2,000 frames of the validation; full: all",
        "val_images",
        str,
        "small",
        ("small", "full"),
    ),
    Option("stride", "stride of the patch head", "detector.stride", int, 2),
    Option("fc_model", "fc head instead of the patch head", "detector.head"),
    Option("multi", "five classes: real and the four manipulation methods", "detector.multi"),
    Option("fake_type", "train on this manipulation method only", "methods", str, "all four", METHODS),
    Option("cmp_level", "compression: raw (c0), c23, c40, or all (other data sets: all)", "compressions", str, "c23"),
    Option("all", "general kernel instead of a Gaussian", "adversary.perturbation"),
    Option("no_clamp", "sigma is not bounded: s = u^2", "blur.constraint"),
    Option("norm", "share out a fixed budget of sharpness (detect_grad.py does anyway)", "blur.constraint"),
    Option(
        "norm_value", "the budget: N of norm and learn_norm (100), pixels of the flow (2)", "blur.budget", float, 100.0
    ),
    Option("learn_norm", "learn the budget", "blur.constraint"),
    Option("sigmoid", "sigmoid(u) takes the place of u^2", "blur.sigmoid"),
    Option("tanh", "bound the flow by tanh", "flow.tanh"),
    Option("clamp_res", "clamp the residual to +-0.03", "residual.bound"),
    Option("fake_set", "attack only fake images", "adversary.attacks"),
    Option("real_set", "attack only real images", "adversary.attacks"),
    Option("no_res", "the generator draws the image, not a residual", "residual.replace"),
    Option("aug_before", "flip and colour once more before the adversary", "augment.again"),
    Option("aug_before_full", "the whole augmentation once more before the adversary", "augment.again"),
    Option("aug_after", "DiffAugment of clean and adversarial images after the adversary", "augment.after"),
    Option("perm", "shuffle the detector's batch", "permute"),
    Option("aug_blur", "random Gaussian blur in the adversary's place, for a fair comparison", "game"),
    Option(
        "check_blur",
        "the adversary's map at random pixels: its strength, not its choice of place",
        "adversary.shuffled",
    ),
    Option("bn2", "BatchNorm statistics of their own for adversarial images", "detector.bn2"),
    Option(
        "kernel_channels", "one sigma (1) or one for each colour (3)", "blur.channels", int, "1; 3 with detect_grad.py"
    ),
    Option("radius", "side of the blur's window, odd", "blur.window", int, 3),
    Option(
        "pretrain_g",
        "generators of an earlier run: its folder, or the newest here",
        "adversary.weights",
        str,
        None,
        None,
        True,
    ),
    Option("gen_norm_type", "the generator's normalisation", "adversary.norm", str, "bn", ("bn", "in")),
    Option(
        "gen_train_type",
        "the generators' loss (default, lsgan, wgan), or another perturbation (pert, flow, res)",
        "adversary.loss",
        str,
        "default",
        ("default", "lsgan", "wgan", "pert", "flow", "res"),
    ),
    Option("g_per_d", "moves of the adversary for each of the detector", "adversary.moves", int, 1),
    Option("gen_blocks", "residual blocks of the generator", "adversary.blocks", int, 3),
    Option("gen_lr", "learning rate of the generators", "adversary.lr", float, 2e-3),
    Option("max_epoch", "epochs", "epochs", int, 120),
    Option("batch_size", "clean images a round, half real and half fake", "batch_size", int, 32),
    Option("image_size", "side of the detector's input", "image_size", int, 256),
    Option("lr", "learning rate of the detector", "optimizer.lr", float, 5e-4),
    Option("lr_decay_factor", "both learning rates are multiplied by it", "optimizer.decay_factor", float, 0.1),
    Option("lr_decay_epochs", "every so many epochs", "optimizer.decay_epochs", int, 15),
    Option("weight_decay", "weight decay of both players", "optimizer.weight_decay", float, 5e-4),
    Option("momentum", "RAdam's first beta", "optimizer.momentum", float, 0.9),
    Option("snapshot_interval", "epochs between kept checkpoints", "snapshot_interval", int, 5),
    Option(
        "log_interval",
        "rounds between scalars in TensorBoard; pictures come with every epoch",
        "log_interval",
        int,
        50,
    ),
    Option("hist_interval", "rounds between histograms in TensorBoard", "hist_interval", int, 500),
    Option("segment_length", "frames of a video to average, with mean", "segment_length", int, 5),
    Option("workers", "processes that load images", "workers", int, "4, or the cores if they are fewer"),
)
OURS = (
    Option("optimizer", "radam, or sgd with the momentum", "optimizer.kind", str, "radam", ("radam", "sgd")),
    Option("epoch_pairs", "pairs of a real and a fake image an epoch", "epoch_pairs", int, 32_000),
    Option("gen_filters", "filters of the generator's first convolution", "adversary.filters", int, 64),
    Option("accumulate", "play a round in so many parts, one after the other; as memory allows", "accumulate", int),
    Option("seed", "seed of weights, batches, augmentation and adversary", "seed", int, 0),
    Option("resume", "go on with a run that was interrupted", "resume"),
)

EVALUATION = (
    Option("batch_size", "images at a time", "batch_size", int, 32),
    Option("model_type", "backbone; the run knows its own, which is used", "told where it differs", str),
    Option("image_size", "side of the detector's input; by default the run's", "image_size", int),
    Option("mean", "a video's prediction is the mean over segment_length frames", "frames"),
    Option("stride", "stride of the patch head; by default the run's", "detector.stride", int),
    Option("segment_length", "frames of a video to average, with mean", "frames", int, 5),
    Option("workers", "processes that load images", "workers", int, "4, or the cores if they are fewer"),
    Option("aug_before", "flip and colour of the test images", "augment.before"),
    Option("bn2", "the run has auxiliary BatchNorm; its main statistics are used", "told where it differs"),
    Option("exp_name", EXPERIMENT, "RUN", str, "test"),
    Option("epoch", "number of the epoch, or best or last", "checkpoint", str, "best"),
    Option("fc_model", "the run has an fc head", "told where it differs"),
    Option("cmp_level", "compression: raw (c0), c23, c40, or all (other data sets: all)", "compressions", str, "c23"),
    Option("multi", "test on all four methods; five-class figures if the run has five classes", "methods"),
    Option("fake_type", "without multi: the manipulation method to test on", "methods", str, "FaceSwap", METHODS),
    Option("dataset", "default or ff, dfd, celebdf, dfdc, or a folder or manifest", "MANIFEST", str, "ff"),
    Option("multi2two", "collapse five classes into real and fake", "two-class figures"),
)


def parse(program: str, options: Sequence[Option], words: Sequence[str]) -> argparse.Namespace:
    """The options that were given; those that were not are None."""
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    for option in options:
        default = "" if option.default is None else f" (default: {option.default})"
        settings: dict[str, Any] = {"help": option.meaning.replace("%", "%%") + default, "default": None}
        if option.kind is bool:
            settings["action"] = "store_true"
        else:
            settings |= {"type": option.kind, "choices": option.choices}
            if option.optional:
                settings |= {"nargs": "?", "const": ""}
        parser.add_argument(f"--{option.name}", **settings)
    return parser.parse_args(words)


def options_by_place(options: Sequence[Option]) -> dict[str, str]:
    """The option that becomes each setting."""
    return {option.place: option.name for option in options}


@contextmanager
def own_words(options: Sequence[Option]) -> Iterator[None]:
    """Inside, the flags of settings in a message are the options that became these settings."""
    names = options_by_place(options)

    def named(message: str) -> str:
        without = re.sub(r"--([\w.]+\.)no-([\w-]+)", r"no --\1\2", message)
        return re.sub(
            r"--([a-z][\w.-]*\w)", lambda flag: f"--{names.get(flag[1].replace('-', '_'), flag[1])}", without
        )

    try:
        yield
    except UserError as error:
        raise UserError(named(error.problem), named(error.remedy)) from None


def table(options: Sequence[Option]) -> str:
    """The options as a Markdown table."""
    lines = ["| option | meaning | default | where it lives |", "|---|---|---|---|"]
    for option in options:
        default = "off" if option.kind is bool else "" if option.default is None else str(option.default)
        lines.append(f"| `--{option.name}` | {option.meaning} | {default} | `{option.place}` |")
    return "\n".join(lines)


def tables() -> str:
    """All tables of docs/reference.md."""
    sections = (
        ("detect_gen.py and detect_grad.py", TRAINING),
        ("eval.py", EVALUATION),
        ("Added here, to all three", SHARED),
        ("Added here, to detect_gen.py and detect_grad.py", OURS),
    )
    return "\n\n".join(f"### {title}\n\n{table(options)}" for title, options in sections)


if __name__ == "__main__":
    print(tables())
