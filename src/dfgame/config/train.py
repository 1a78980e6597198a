"""Settings of a training."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from dfgame.config.data import FootageConfig, LiveConfig
from dfgame.config.idle import idle_settings
from dfgame.config.players import (
    AdditiveConfig,
    AdversaryConfig,
    AugmentConfig,
    BlurConfig,
    DetectorConfig,
    FlowConfig,
    KernelConfig,
    OptimizerConfig,
    ResidualConfig,
)
from dfgame.config.values import Device, Game, SettingError, at_least, require


@dataclass(frozen=True)
class TrainConfig:
    """A manifest -> a trained detector: the game."""

    game: Game = "generator"
    """Who plays against the detector."""
    methods: tuple[str, ...] = ()
    """Manipulation methods of the fakes to train on; empty is all."""
    compressions: tuple[str, ...] = ()
    """Qualities to train on; empty is all."""
    datasets: tuple[str, ...] = ()
    """Data sets of the manifest to train on; empty is all."""
    protocol: str = ""
    """What to train and validate on, in place of these three: a protocol's TOML file, or one of dfgame/protocols by
    name: ff-c23, ff-deepfakes, ff-face2face, ff-faceswap, ff-neuraltextures, ff-to-dfd-celebdf."""
    epochs: int = 120
    """Epochs."""
    epoch_pairs: int = 32_000
    """Pairs of a real and a fake image an epoch."""
    batch_size: int = 32
    """Clean images a round, half real and half fake; the adversary's are added to them."""
    image_size: int = 256
    """Side of the detector's input in pixels; crops are brought to it."""
    sampling: Literal["video", "frame"] = "video"
    """video: a random frame of a random video; frame: all frames in turn, shuffled, so that long ones count more."""
    permute: bool = False
    """Shuffle the detector's batch, whose order is clean real, clean fake, adversarial real, adversarial fake."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    blur: BlurConfig = field(default_factory=BlurConfig)
    kernel: KernelConfig = field(default_factory=KernelConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    residual: ResidualConfig = field(default_factory=ResidualConfig)
    additive: AdditiveConfig = field(default_factory=AdditiveConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    footage: FootageConfig = field(default_factory=FootageConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    average: float = 0.0
    """Decay of a running average of the detector's weights, which is then what is validated and kept; 0 is none."""
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
            at_least(name.replace("_", "-"), getattr(self, name), least)
        require(0 <= self.average < 1, "average", "at least 0 and below 1")
        require(self.batch_size % 2 == 0, "batch-size", "even: half of a batch is real and half is fake")
        parts = self.batch_size // 2 % self.accumulate == 0
        require(parts, "accumulate", "a divisor of half the batch size")
        require(self.epoch_pairs * 2 >= self.batch_size, "epoch-pairs", "at least half the batch size")
        require(self.adversary.start < self.epochs, "adversary.start", "below --epochs")
        fits = self.image_size % 4 == 0 or self.game != "generator"
        require(fits, "image-size", "a multiple of 4 with --game generator, whose network halves it twice")
        draws = self.adversary.perturbation != "residual" or self.game == "generator"
        require(draws, "adversary.perturbation residual", "used with --game generator: nobody else draws one")
        learned = self.blur.constraint == "learn-norm"
        require(
            not learned or self.game == "generator",
            "blur.constraint learn-norm",
            "used with --game generator: nobody else learns",
        )
        if self.blur.constraint == "auto" and self.game != "none" and self.adversary.perturbation == "blur":
            chosen = "norm" if self.game == "gradient" else "clamp"
            object.__setattr__(self, "blur", dataclasses.replace(self.blur, constraint=chosen))
        separate = not (self.live.families and self.detector.multi)
        require(separate, "detector.multi", "used without --live.families, whose fakes have no class of their own")
        for name, needs in idle_settings(self):
            raise SettingError(f"--{name}: changes nothing here, it needs {needs}")

    @property
    def rounds_per_epoch(self) -> int:
        """Rounds an epoch: its pairs over the pairs of a batch."""
        return self.epoch_pairs // (self.batch_size // 2)

    @property
    def part_pairs(self) -> int:
        """Pairs of a real and a fake image in each of the parts in which a batch is played."""
        return self.batch_size // 2 // self.accumulate

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


def train_config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """The inverse of `to_dict` for a TrainConfig."""
    groups = {
        item.name: item.default_factory for item in dataclasses.fields(TrainConfig) if callable(item.default_factory)
    }
    given = {key: groups[key](**_tuples(value)) if key in groups else value for key, value in values.items()}
    return TrainConfig(**_tuples(given))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
