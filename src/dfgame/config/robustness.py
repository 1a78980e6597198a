"""Settings of the robustness curves."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from dfgame.config.use import OnnxConfig
from dfgame.config.values import Device, SettingError, at_least, default_of, require

Transformation = Literal["crf", "jpeg", "scale", "blur", "noise", "brightness", "shift", "gradient-blur", "additive"]
"""What is done to videos before they are scored: seven things that happen to videos, and two adversaries."""
ADVERSARIES: tuple[Transformation, ...] = ("gradient-blur", "additive")


@dataclass(frozen=True)
class RobustnessConfig:
    """Trained detectors on videos that are made worse -> a curve of the AUC for every way of making them worse."""

    only: tuple[Transformation, ...] = ()
    """What to do to the videos; empty is all of it."""
    crf: tuple[int, ...] = (18, 23, 28, 33, 38, 43)
    """H.264 constant rate factors at which the clip is encoded again."""
    jpeg: tuple[int, ...] = (90, 70, 50, 30, 10)
    """JPEG qualities of the frames."""
    scale: tuple[float, ...] = (0.75, 0.5, 0.35, 0.25)
    """Shares of their sides to which frames are shrunk, and brought back."""
    blur: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0, 4.0)
    """Sigmas of a Gaussian blur, in pixels."""
    noise: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0)
    """Standard deviations of Gaussian noise, in grey levels of 255."""
    brightness: tuple[float, ...] = (-64.0, -32.0, 32.0, 64.0)
    """Grey levels of 255 that are added."""
    shift: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3)
    """Shares of its width by which the face's box is moved, in a direction drawn for each video."""
    gradient_blur: tuple[float, ...] = (0.5, 0.75, 1.0, 1.5, 2.0)
    """Greatest sigmas of the blur that an adversary places pixel by pixel, in pixels of the crop."""
    additive: tuple[int, ...] = (1, 2, 4, 8)
    """Greatest changes of a pixel by an adversary's additive noise, in grey levels of 255."""
    adversary_steps: int = 4
    """Steps of both adversaries up the slope of the detector's loss."""
    around: int = 12
    """Frames before and after each scored one that are encoded with it, for crf."""
    split: Literal["train", "val", "test", "all"] = "test"
    """The split to report; all is for data without splits, on which nothing was trained."""
    checkpoint: str = "best"
    """`best`, `last` or `epoch_005`, of runs."""
    onnx: OnnxConfig = field(default_factory=OnnxConfig)
    """How an ONNX file of other makers is fed and read."""
    methods: tuple[str, ...] = ()
    """Manipulation methods to test on; empty is all that are there."""
    compressions: tuple[str, ...] = ()
    """Qualities to test on; empty is all that are there."""
    datasets: tuple[str, ...] = ()
    """Data sets of the manifest to test on; empty is all that are there."""
    people: int = 0
    """People to test on, with all their videos, spread evenly over those there are; 0 is all."""
    frames: int = 8
    """Frames of a video whose mean is its score, spread evenly over it; 0 is all."""
    replicates: int = 1_000
    """Bootstrap replicates over people behind each 95% interval."""
    allow_mismatch: bool = False
    """Measure detectors that were trained on faces cut out in another way, instead of refusing."""
    batch_size: int = 32
    """Images at a time, of one video."""
    workers: int = 0
    """Processes that decode, encode and cut out, one a video; 0 is one for each core."""
    device: Device = "auto"
    """Where to score."""
    seed: int = 0
    """Seed of the noise, of the directions of the shift, and of the bootstrap."""
    overwrite: bool = False
    """Replace another measurement's results in OUT, instead of refusing."""

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            for strength in self.strengths(name):
                inside = least < strength < most and not (name == "brightness" and strength == 0)
                require(inside, name, f"{_words(name, least, most)}, not {strength:g}")
        at_least("adversary-steps", self.adversary_steps, 1)
        for flag in ("around", "people", "frames", "workers", "seed"):
            at_least(flag, getattr(self, flag), 0)
        at_least("replicates", self.replicates, 100)
        at_least("batch-size", self.batch_size, 1)
        self._refuse_idle()

    @property
    def chosen(self) -> tuple[Transformation, ...]:
        """The transformations to do, in their order."""
        return tuple(name for name in _RANGES if self.strengths(name) and (not self.only or name in self.only))

    def strengths(self, name: Transformation) -> tuple[float, ...]:
        """How strongly a transformation is to be done, as it was said."""
        return getattr(self, name.replace("-", "_"))

    def _refuse_idle(self) -> None:
        require(bool(self.chosen), "only", "transformations that have strengths")
        defaults: dict[str, Any] = {item.name.replace("_", "-"): default_of(item) for item in fields(self)}
        needs: dict[str, tuple[Transformation, ...]] = {name: (name,) for name in _RANGES}
        needs |= {"adversary-steps": ADVERSARIES, "around": ("crf",)}
        for flag, users in needs.items():
            changed = getattr(self, flag.replace("-", "_")) != defaults[flag]
            if changed and not set(users) & set(self.chosen):
                raise SettingError(f"--{flag}: changes nothing here, it needs --only {' or '.join(users)}")


_ENDLESS = float("inf")
_RANGES: dict[Transformation, tuple[float, float]] = {
    "crf": (0, 52),
    "jpeg": (0, 101),
    "scale": (0, 1),
    "blur": (0, _ENDLESS),
    "noise": (0, _ENDLESS),
    "brightness": (-256, 256),
    "shift": (0, _ENDLESS),
    "gradient-blur": (0, _ENDLESS),
    "additive": (0, 256),
}
"""Strengths lie between these, which are none themselves."""


def _words(name: Transformation, least: float, most: float) -> str:
    if most == _ENDLESS:
        return f"above {least:g}"
    return f"above {least:g} and below {most:g}" + (", and not 0" if name == "brightness" else "")
