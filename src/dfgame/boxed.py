"""A detector in a box: one file that holds all that an analyst's score depends on.

A safetensors file. Its tensors are those of one or several detectors of one architecture, `0.backbone...`,
`1.backbone...`, as float16; their probabilities are averaged. Its metadata holds, under `dfgame`, one JSON text: the
fields of `Facts`, and `format`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from dfgame.checkpoint import new_detector
from dfgame.config import DetectorConfig
from dfgame.devices import pick_device
from dfgame.files import atomic_path
from dfgame.models import Detector, probabilities
from dfgame.models.detector import input_statistics
from dfgame.records import CropRule, ErrorRates, Interval, Model, UserError, Verdict

FORMAT = 3
READABLE = (1, 2, FORMAT)
"""Formats of boxes that can be read; those of the first hold no conditions, those of the second no limits of them."""
METADATA_KEY = "dfgame"
PACKAGED = "weights/detector.safetensors"
"""The box that travels inside the package, where it does."""
EDGE = 1e-6
"""Scores nearer to 0 or 1 than this count as this: their logit is finite."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: a logistic function of the logit of a raw score, the mean over a video's frames."""

    slope: float
    intercept: float

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """The probability of fake, where real and fake are equally likely beforehand."""
        return 1 / (1 + np.exp(-(self.slope * logit(scores) + self.intercept)))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Calibrated probabilities from which a verdict is fake, and up to which it is real."""

    fake: float
    real: float

    def verdict(self, p_fake: float) -> Verdict:
        """What a calibrated probability amounts to."""
        if p_fake >= self.fake:
            return "fake"
        return "real" if p_fake <= self.real else "inconclusive"


@dataclass(frozen=True, slots=True)
class Condition:
    """How often the detector was wrong on validation faces of some widths and some amounts of detail.

    `widths` (pixels) and `details` (see `faces/quality.py`) are from and up to; None is no bound. `auc` is the 95%
    interval of the AUC of `rates`, over people. `limits` are the thresholds for these faces, at least as strict as
    those for all; None where only these hold.
    """

    widths: tuple[float, float | None]
    details: tuple[float, float | None]
    rates: ErrorRates
    auc: Interval
    limits: Thresholds | None = None

    def holds(self, width: float, detail: float) -> bool:
        """Whether a face is like these."""
        return _inside(width, self.widths) and _inside(detail, self.details)


def _inside(value: float, bounds: tuple[float, float | None]) -> bool:
    low, high = bounds
    return value >= low and (high is None or value < high)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a box says of its detectors; `made` is free: data, seeds, settings, versions.

    `conditions` are empty where error rates by condition were not measured, as in boxes of the first format.
    """

    name: str
    version: str
    detector: DetectorConfig
    image_size: int
    crop: CropRule
    calibration: Calibration
    thresholds: Thresholds
    made: dict[str, Any]
    conditions: tuple[Condition, ...] = ()


class Ensemble(nn.Module):
    """Detectors of one architecture; what they say together is the mean of their probabilities.

    Their weights, and the device they are on, are those at the first call.
    """

    def __init__(self, members: Sequence[Detector]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members).to(memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B"]:
        """The raw probability of fake of each image, all that is not real; images are RGB in [0, 1]."""
        images = images.to(next(self.parameters()).device, memory_format=torch.channels_last)
        return torch.stack([1 - probabilities(member(images))[:, 0] for member in self._fast]).mean(dim=0)

    @cached_property
    def _fast(self) -> list[nn.Module]:
        """The members, their BatchNorms folded: copies, so that others may take the members' gradients meanwhile."""
        made: list[nn.Module] = []
        for member in self.members:
            like = next((one for one in made if isinstance(one, Detector)), None)
            made.append(member.folded(like) if isinstance(member, Detector) else member)
        return made


@dataclass(frozen=True, slots=True)
class BoxedDetector:
    """A detector out of its box, ready to score."""

    facts: Facts
    sha256: str
    ensemble: Ensemble

    @property
    def model(self) -> Model:
        """Which detector it is."""
        return Model(self.facts.name, self.facts.version, self.sha256)

    def probabilities(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B"]:
        """The raw probability of fake of each image: crops as `facts.crop` says, brought to side `facts.image_size`.

        Raises:
            ValueError: they have another side, at which scores mean something else.
        """
        height, width, side = *images.shape[-2:], self.facts.image_size
        if (height, width) != (side, side):
            raise ValueError(f"images of {height} x {width}: the detector takes {side} x {side} (facts.image_size)")
        return self.ensemble(images)

    def calibrated(self, score: float) -> float:
        """The probability of fake that a raw score means, be it of one frame or the mean of several."""
        return float(self.facts.calibration(score))

    def condition(self, width: float, detail: float) -> Condition | None:
        """The error rates on validation faces like one of this width and detail, None where there were none."""
        return next((one for one in self.facts.conditions if one.holds(width, detail)), None)

    def limits(self, condition: Condition | None) -> Thresholds:
        """The thresholds for faces under a condition, those for all where it has none of its own."""
        return (condition and condition.limits) or self.facts.thresholds

    def verdict(self, p_fake: float) -> Verdict:
        """What a calibrated probability amounts to, by the thresholds for all faces."""
        return self.facts.thresholds.verdict(p_fake)


def logit(scores: ArrayLike) -> NDArray[np.float64]:
    """The log-odds of probabilities."""
    inside = np.clip(np.asarray(scores, np.float64), EDGE, 1 - EDGE)
    return np.log(inside / (1 - inside))


def architecture(config: DetectorConfig) -> DetectorConfig:
    """The settings that make the detector what it is once it is trained: `weights` for their input statistics only."""
    wanted = input_statistics(config.weights)
    kept = config.weights if wanted not in (None, input_statistics(config.backbone)) else ""
    return replace(config, pretrained=False, weights=kept, bn2=False)


def boxed_weights(detector: Detector) -> dict[str, Tensor]:
    """A detector's weights as a box keeps them.

    They are float16, where that can hold them, and without the statistics of adversarial images.
    """
    return {
        name.replace(".main.", "."): _halved(value.detach().cpu())
        for name, value in detector.state_dict().items()
        if ".auxiliary." not in name
    }


def unboxed(config: DetectorConfig, weights: dict[str, Tensor]) -> Detector:
    """The detector with these weights, as float32.

    Raises:
        RuntimeError: they are not its weights.
        UserError: there is no such detector.
    """
    detector = new_detector(architecture(config))
    detector.load_state_dict({name: _widened(value) for name, value in weights.items()})
    return detector


def save_box(path: Path, facts: Facts, members: Sequence[Detector]) -> None:
    """Write detectors and what is known of them as one file, whole or not at all."""
    tensors = {
        f"{number}.{name}": value.contiguous()
        for number, member in enumerate(members)
        for name, value in boxed_weights(member).items()
    }
    text = json.dumps({"format": FORMAT, **asdict(facts)}, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={METADATA_KEY: text}))


def load_detector(path: Path | str | None = None, device: str = "auto") -> BoxedDetector:
    """The detector of a box, or the one that travels inside the package.

    Args:
        path: a file of `dfgame calibrate`; None is the packaged one.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: there is no such file, it is damaged or something else, or the device is not there.
    """
    place = Path(str(resources.files("dfgame") / PACKAGED)) if path is None else Path(path)
    if not place.is_file():
        if path is None:
            raise UserError("no trained detector is packaged with this installation", "name a box with --detector")
        raise UserError(f"{place}: no such file", "`dfgame calibrate` makes a detector's box")
    to = pick_device(device)
    try:
        content = (
            place.read_bytes()
        )  # once: the hash is that of what is loaded, even if the file is replaced meanwhile
        tensors: dict[str, Tensor] = load(content)
        facts = _read_facts(_metadata(content))
        members = [unboxed(facts.detector, weights) for weights in _by_member(tensors)]
    except (
        SafetensorError,
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        UserError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{place}: not a detector's box, or damaged ({reason})") from None
    return BoxedDetector(facts, hashlib.sha256(content).hexdigest(), Ensemble(members).to(to))


def _metadata(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file, which begins with the length of its header, JSON, in 8 bytes."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header.get("__metadata__") or {}


def _read_facts(metadata: dict[str, str]) -> Facts:
    """The facts in a file's metadata; whatever is wrong with them is a ValueError, KeyError or TypeError."""
    if METADATA_KEY not in metadata:
        raise ValueError("it says nothing of a detector")
    values = json.loads(metadata[METADATA_KEY])
    if values.pop("format") not in READABLE:
        raise ValueError("it was written by another version")
    return Facts(
        **values
        | {
            "detector": DetectorConfig(**values["detector"]),
            "crop": CropRule(**values["crop"]),
            "calibration": Calibration(**values["calibration"]),
            "thresholds": Thresholds(**values["thresholds"]),
            "conditions": tuple(_read_condition(one) for one in values.get("conditions", ())),
        }
    )


def _read_condition(values: dict[str, Any]) -> Condition:
    widths, details, auc = ((low, high) for low, high in (values[name] for name in ("widths", "details", "auc")))
    limits = values.get("limits")
    return Condition(widths, details, ErrorRates(**values["rates"]), auc, limits and Thresholds(**limits))


def _by_member(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    members: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, inner = name.partition(".")
        members.setdefault(int(number), {})[inner] = value
    if not members:
        raise ValueError("it holds no weights")
    if not all(value.isfinite().all() for value in tensors.values()):
        raise ValueError("weights that are not numbers")
    return [members[number] for number in sorted(members)]


def _halved(value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    half = value.half()
    return half if half.isfinite().all() else value.float()


def _widened(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
