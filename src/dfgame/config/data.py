"""Settings of the data: forging and extracting."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dfgame.config.values import Compression, LiveFamilyName, Method, at_least, require
from dfgame.records import METHODS


@dataclass(frozen=True)
class ForgeConfig:
    """Real face photographs -> the mini FaceForensics++."""

    frames: int = 24
    """Frames a clip."""
    size: int = 320
    """Longer side of a clip in pixels; photographs are brought to it."""
    fps: int = 25
    """Frames a second."""
    cameras: Literal["one", "many"] = "one"
    """many: everybody is filmed by a camera of their own, with its light, focus, noise and upload, before the forger
    has the clip; one: all clips are as sharp and bright as their photographs."""
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
        at_least("frames", self.frames, 2)
        at_least("size", self.size, 96)
        at_least("fps", self.fps, 1)
        at_least("people", self.people, 0)
        require(
            not self.people or self.people >= 2,
            "people",
            "at least 2, so that there is a source and a target",
        )
        require(abs(sum(self.split) - 1) < 1e-6 and min(self.split) >= 0, "split", "three shares that sum to 1")
        require(bool(self.methods), "methods", "at least one")
        require(bool(self.compressions), "compressions", "at least one")
        require(self.effort > 0, "effort", "above 0")
        at_least("seed", self.seed, 0)
        at_least("workers", self.workers, 0)


@dataclass(frozen=True)
class ExtractConfig:
    """Videos -> face crops and their manifest."""

    frames: int = 270
    """Frames a video, as in the paper."""
    sampling: Literal["uniform", "first"] = "uniform"
    """uniform: spread evenly over the video, where it has more; first: its first ones."""
    size: int = 256
    """Side of the square crops in pixels."""
    margin: float = 1.3
    """The crop's side as a multiple of the longer side of the face's box."""
    alignment: Literal["none", "similarity"] = "none"
    """similarity: turn and scale each face so that eyes, nose and mouth lie where they always do."""
    compressions: tuple[str, ...] = ()
    """Qualities to read; empty is all that are there."""
    methods: tuple[str, ...] = ()
    """Manipulation methods to read (`original` for the real videos); empty is all that are there."""
    qualities: tuple[str, ...] = ()
    """Qualities to make from raw where they are missing: c23, c40, or c and another H.264 CRF."""
    layout: str = ""
    """The data set's layout, where looking at the folder does not tell it: faceforensics, celebdf, dfdc,
    deepfakebench, lists, frames, table, folder, or photographs, which is never guessed."""
    splits: Path | None = None
    """Folder of the lists of splits (train.json, val.json, test.json), where they do not lie with the data."""
    build_splits: bool = False
    """Split by identity the videos that have no split: 72% train, 14% val, 14% test."""
    name: str = ""
    """Name of the data set in the table, to tell two of a kind apart; empty is its published name."""
    min_score: float = 0.6
    """Confidence from which a detection counts as a face."""
    detect_every: int = 8
    """Look for faces in every so many frames, 1 to 10, and follow them by their motion between; frames that are far
    apart in time are all looked at."""
    masks: bool = True
    """Cut the masks of the fakes out, too, where the data set has them."""
    tracks: Literal["main", "all"] = "main"
    """all: keep the other faces of a video, too, in a table of their own, OUT/tracks.parquet."""
    workers: int = 0
    """Processes; 0 is one for each core."""

    def __post_init__(self) -> None:
        at_least("frames", self.frames, 1)
        at_least("size", self.size, 16)
        require(1 <= self.margin <= 4, "margin", "between 1 and 4")
        require(0 < self.min_score <= 1, "min-score", "above 0 and at most 1")
        require(1 <= self.detect_every <= 10, "detect-every", "between 1 and 10")
        for quality in self.qualities:
            known = re.fullmatch(r"raw|c([1-9]|[1-4]\d|5[01])", quality) is not None
            require(known, "qualities", f"raw, or c and an H.264 CRF such as c23 or c40, not {quality}")
        at_least("workers", self.workers, 0)


@dataclass(frozen=True)
class LiveConfig:
    """Fakes that are made while training from the real crops alone, new ones in every round."""

    families: tuple[LiveFamilyName, ...] = ()
    """Families of the fakes, in place of the manifest's own; a name twice is drawn twice as often. Each batch then
    holds pairs: a real crop and a forgery of it, which share augmentation and compression."""
    turned: float = 0.0
    """Probability that the head is drawn turned, in both crops of a pair."""
    yaw: int = 45
    """Degrees that it is turned at most, to either side."""
    pitch: int = 15
    """Degrees that it is bowed or raised at most."""

    def __post_init__(self) -> None:
        require(0 <= self.turned <= 1, "live.turned", "a probability, from 0 to 1")
        require(not self.turned or bool(self.families), "live.turned", "works with --live.families only")
        require(0 <= self.yaw <= 75, "live.yaw", "a whole number from 0 to 75")
        require(0 <= self.pitch <= 30, "live.pitch", "a whole number from 0 to 30")


@dataclass(frozen=True)
class FootageConfig:
    """Training crops as video shows them: smaller, moving, noisy, through real H.264."""

    chance: float = 0.0
    """Probability that a crop goes through it."""
    crf: tuple[int, int] = (18, 45)
    """Range of H.264's constant rate factor."""
    scale: tuple[float, float] = (0.45, 1.0)
    """Range of the size at which it is encoded, as a share of the stored crop's."""
    twice: float = 0.3
    """Probability that it was encoded before, at a better quality and a larger size."""
    light: float = 1 / 3
    """Probability of another exposure, brightness curve and white balance."""
    focus: float = 0.13
    """Probability that it is out of focus, or blurred by motion."""
    sharpened: float = 0.0
    """Probability that it is sharpened, where it is neither."""

    def __post_init__(self) -> None:
        for name in ("chance", "twice", "light", "focus", "sharpened"):
            require(0 <= getattr(self, name) <= 1, f"footage.{name}", "a probability, from 0 to 1")
        require(1 <= self.crf[0] <= self.crf[1] <= 51, "footage.crf", "two numbers from 1 to 51, the lower first")
        ordered = 0.05 <= self.scale[0] <= self.scale[1] <= 1
        require(ordered, "footage.scale", "two shares from 0.05 to 1, the lower first")


@dataclass(frozen=True)
class DoctorConfig:
    """A data set -> what is wrong with it."""

    deep: bool = False
    """Decode every frame of every video, instead of its header and a few frames."""
    layout: str = ""
    """The data set's layout, where looking at the folder does not tell it: faceforensics, celebdf, dfdc,
    deepfakebench, lists, frames, table, folder, or photographs, which is never guessed."""
    splits: Path | None = None
    """Folder of the lists of splits (train.json, val.json, test.json), where they do not lie with the data."""
    shown: int = 3
    """Paths shown for each finding; the JSON file has all of them."""
    workers: int = 0
    """Processes; 0 is one for each core."""

    def __post_init__(self) -> None:
        at_least("shown", self.shown, 0)
        at_least("workers", self.workers, 0)
