"""A detector's box -> one ONNX file that holds its preprocessing, and the proof that both say the same.

The file takes crops as `dfgame extract` and `dfgame inspect` cut them out, and does all the rest itself: resizing as
`batches.fitted` does, scaling, every member, the means over patches and members, calibration.
"""

import importlib
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from dfgame.batches import fitted, to_unit
from dfgame.boxed import EDGE, METADATA_KEY, BoxedDetector, load_detector
from dfgame.config import ExportConfig
from dfgame.files import atomic_path, writable_folder
from dfgame.models import probabilities
from dfgame.records import UserError

FORMAT = 1
"""Of the metadata, a JSON text under `boxed.METADATA_KEY`."""
TOLERANCE = 1e-4
"""By how much the file's scores may differ from PyTorch's."""
OPSET = 18
INPUT, OUTPUTS = "crops", ("raw", "p_fake")
PACKAGED_LICENCE = "Apache-2.0"
_PACKAGES = ("onnx", "onnxruntime")
_NOISY, _SMOOTH = 4, 4
"""Crops of noise, and of soft blots, that an export is checked on."""


class Resize(nn.Module):
    """Square images from one side to another as OpenCV resizes them: areas when shrinking, bicubic when enlarging.

    Both are separable and linear, so that OpenCV's own answer to the identity, one axis at a time, is all their
    weights. Its rounding is to the nearest, ties to even; but where the side is halved, ties go up.
    """

    def __init__(self, side: int, to: int) -> None:
        super().__init__()
        interpolation = cv2.INTER_AREA if to < side else cv2.INTER_CUBIC
        weights = cv2.resize(np.eye(side, dtype=np.float32), (side, to), interpolation=interpolation)
        self.weights: Tensor
        self.register_buffer("weights", torch.from_numpy(np.asarray(weights)))
        self.halves = side == 2 * to

    def forward(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N C T T"]:
        """Images of whole values in [0, 255]; so are the resized ones."""
        resized = self.weights @ images @ self.weights.T
        rounded = torch.floor(resized + 0.5) if self.halves else torch.round(resized)
        return rounded.clamp(0, 255)


class Exported(nn.Module):
    """All that is between a crop and its scores, as one module of plain tensor operations."""

    def __init__(self, detector: BoxedDetector) -> None:
        super().__init__()
        facts = detector.facts
        same = facts.crop.size == facts.image_size
        self.resize = nn.Identity() if same else Resize(facts.crop.size, facts.image_size)
        self.members = detector.ensemble.members
        self.calibration = facts.calibration

    def forward(self, crops: UInt8[Tensor, "N S S 3"]) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"]]:
        """The raw and the calibrated probability of fake of each RGB crop."""
        images = self.resize(crops.permute(0, 3, 1, 2).float()) / 255
        raw = torch.stack([1 - probabilities(member(images))[:, 0] for member in self.members]).mean(dim=0)
        inside = raw.clamp(EDGE, 1 - EDGE)
        log_odds = torch.log(inside / (1 - inside))
        return raw, torch.sigmoid(self.calibration.slope * log_odds + self.calibration.intercept)


def export_box(box: Path | None, out: Path, config: ExportConfig) -> float:
    """Write a box as the ONNX file OUT, whole or not at all, once it was found to score as the box does.

    Args:
        box: a file of `dfgame calibrate`; None is the packaged one.
        out: the file to write, named .onnx.
        config: all settings.

    Returns:
        The largest difference between its scores and PyTorch's, on made crops.

    Raises:
        UserError: OUT is there already or is not named .onnx, the box cannot be read, a package is missing, ONNX has
            no word for a part of its network, or the scores differ by more than TOLERANCE.
    """
    onnx, _ = map(_needed, _PACKAGES)
    _claim(out, config.overwrite)
    detector = load_detector(box, "cpu")
    licence = config.licence or (PACKAGED_LICENCE if box is None else None)
    with atomic_path(out) as temporary:
        _write(detector, temporary)
        model = onnx.load_model(str(temporary))
        onnx.helper.set_model_props(model, {METADATA_KEY: metadata(detector, licence)})
        onnx.checker.check_model(model, full_check=True)
        onnx.save_model(model, str(temporary))
        difference = largest_difference(temporary, detector, made_crops(detector.facts.crop.size))
        if not difference <= TOLERANCE:
            raise UserError(
                f"{out}: not written, its scores differ from PyTorch's by up to {difference:.1e}",
                f"at most {TOLERANCE:.0e} is allowed: try other versions of {', '.join(_PACKAGES)} or torch",
            )
    return difference


def metadata(detector: BoxedDetector, licence: str | None) -> str:
    """What the file says of itself, as JSON: the box's facts and SHA-256, what goes in and out, the licence."""
    values = {
        "format": FORMAT,
        "sha256": detector.sha256,
        "licence": licence,
        "input": "crops: uint8 RGB (N, size, size, 3), cut out as `crop` says, size being crop.size",
        "outputs": {
            "raw": "the raw score of each crop, in [0, 1]; that of a video is the mean of its frames'",
            "p_fake": "1 / (1 + exp(-(slope * log(raw / (1 - raw)) + intercept))): each crop's calibrated raw score",
        },
    }
    return json.dumps(values | asdict(detector.facts), ensure_ascii=False, allow_nan=False)


def made_crops(size: int) -> UInt8[NDArray[Any], "N S S 3"]:
    """Crops to compare on, always the same: noise, soft blots, black, white, a ramp and a chequerboard."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (_NOISY, size, size, 3), dtype=np.uint8)
    blots = rng.integers(0, 256, (_SMOOTH, 6, 6, 3), dtype=np.uint8)
    smooth = [np.asarray(cv2.resize(blot, (size, size), interpolation=cv2.INTER_CUBIC)) for blot in blots]
    row = np.arange(size)
    shapes = (
        np.zeros((size, size)),
        np.full((size, size), 255),
        np.broadcast_to(row * 255 // (size - 1), (size, size)),
        (row[:, None] // 8 + row // 8) % 2 * 255,
    )
    grey = [np.repeat(shape[:, :, None], 3, axis=2).astype(np.uint8) for shape in shapes]
    return np.stack([*noise, *smooth, *grey])


def largest_difference(file: Path, detector: BoxedDetector, crops: UInt8[NDArray[Any], "N S S 3"]) -> float:
    """By how much an ONNX file's raw or calibrated scores differ from those of the box, at most.

    The first crop is also scored by itself, the others together.
    """
    session = _needed("onnxruntime").InferenceSession(str(file), providers=["CPUExecutionProvider"])
    said = np.concatenate([session.run(list(OUTPUTS), {INPUT: part}) for part in (crops[:1], crops)], axis=1)
    images = torch.stack([fitted(crop, detector.facts.image_size) for crop in crops])
    raw = detector.probabilities(to_unit(images)).double().cpu().numpy()
    expected = np.stack([raw, detector.facts.calibration(raw)])
    return float(np.abs(said - np.concatenate([expected[:, :1], expected], axis=1)).max())


def _needed(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UserError(f"to export, the package {package} is missing", "pip install '.[onnx]' in the clone") from None


def _claim(out: Path, overwrite: bool) -> None:
    if out.suffix != ".onnx":
        raise UserError(f"{out}: OUT is the file to write", "name it with .onnx")
    if out.exists() and not overwrite:
        raise UserError(f"{out}: exists", "choose another OUT, or add --overwrite to replace it")
    writable_folder(out.parent)


def _write(detector: BoxedDetector, path: Path) -> None:
    """Write the box as an ONNX model.

    By the older of torch's two exporters: the newer takes ten times as long for networks like these.
    """
    size = detector.facts.crop.size
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that it is the older; and that shapes are taken as they are, which is meant
        try:
            torch.onnx.export(
                Exported(detector).eval(),
                (example,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_axes={name: {0: "N"} for name in (INPUT, *OUTPUTS)},
            )
        except torch.onnx.OnnxExporterError as error:
            problem = f"{detector.facts.name}: ONNX cannot express its network ({str(error).splitlines()[0]})"
            raise UserError(problem, "another --detector.backbone may do") from None
