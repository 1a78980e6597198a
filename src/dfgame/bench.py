"""How fast this machine is at each stage, and beside each what limits it, timed in turns in one run.

The frames are drawn, not photographed: a face detector takes as long over them. Nothing is kept but the figures.
"""

import contextlib
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import torch
from torch import nn

from dfgame import __version__
from dfgame.adversaries import frozen, make_adversary, make_optimizer
from dfgame.augment import Augmentation
from dfgame.batches import RoundBatches, read_crop
from dfgame.blur import pixelwise_gaussian_blur
from dfgame.checkpoint import untrained_detector
from dfgame.config import (
    AdversaryConfig,
    AugmentConfig,
    BenchConfig,
    DetectorConfig,
    FootageConfig,
    LiveConfig,
    TrainConfig,
    to_dict,
)
from dfgame.faces.crop import crop_face, points_in_crop
from dfgame.faces.detect import LONGEST_SIDE, default_detector
from dfgame.files import versions
from dfgame.footage import Footage
from dfgame.forgery.live import Forger
from dfgame.game import play_round
from dfgame.jobs import available_cores, console
from dfgame.kernels import blur_kernel
from dfgame.media import RgbImage, read_frames, through_h264, write_video
from dfgame.memory import keep_freed_memory
from dfgame.models import Detector, Generator
from dfgame.records import Face, UserError
from dfgame.score import pick_device
from dfgame.stored import read_stored

FRAMES, FRAME_SIZE = 48, (480, 640)
CROPS = 32
BLUR_WINDOW = 3
FACE = Face((240.0, 120.0, 400.0, 340.0), ((280, 200), (360, 200), (320, 250), (290, 300), (350, 300)), 1.0)
LIVE = LiveConfig(("selfblend", "lookalike", "mouth", "recompress"))
Turn = Callable[[], Any]


@dataclass(frozen=True)
class Stage:
    """A stage's work and that of its limit, each on `items` of `unit`s."""

    name: str
    unit: str
    items: int
    turn: Turn
    limited_by: str
    limit: Turn


@dataclass(frozen=True)
class Speed:
    """What was measured: items a second of the stage, and of what limits it. `share` is the stage's of the limit's."""

    stage: str
    unit: str
    per_second: float
    limited_by: str
    limit_per_second: float
    share: float


def run_bench(config: BenchConfig) -> dict[str, Any]:
    """Measure all stages; returns settings, machine and speeds, as the command's JSON.

    Raises:
        UserError: the device that was asked for is not there, or the backbone cannot be a detector's.
    """
    keep_freed_memory()
    device = pick_device(config.device)
    untrained_detector(train_settings(config, "none").detector)
    with tempfile.TemporaryDirectory() as folder:
        speeds = [_measured(stage, config.turns) for stage in _stages(Path(folder), config, device)]
    return {
        "version": __version__,
        "settings": to_dict(config),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": available_cores(),
            "threads": torch.get_num_threads(),
            "device": str(device),
            "blur_compiled": blur_kernel(BLUR_WINDOW) is not None,
        },
        "versions": versions(("torch", "timm", "av", "opencv-python-headless")),
        "speeds": [vars(speed) for speed in speeds],
    }


def least(turns: dict[str, Turn], count: int) -> dict[str, float]:
    """The least seconds of each over `count` turns, which all take one after the other; the first turn is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(count + 1):
        for name, turn in turns.items():
            started = time.perf_counter()
            turn()
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: min(values) for name, values in seconds.items()}


def bare_passes(config: TrainConfig, images: torch.Tensor) -> Turn:
    """The forward and backward passes of the networks that a round needs, and nothing else."""
    detector = _placed(Detector(config.detector), images.device, torch.channels_last)
    batch = images.contiguous(memory_format=torch.channels_last)
    sides = batch.chunk(2)
    generators: list[nn.Module] = []
    if config.game == "generator":
        made = (Generator(1, config.adversary.filters, config.adversary.blocks, "bn") for _ in sides)
        generators = [_placed(generator, images.device, torch.channels_last) for generator in made]

    def turn() -> None:
        if generators:
            drawn = torch.cat([generator(side) for generator, side in zip(generators, sides, strict=True)])
            with frozen(detector):
                detector(batch + drawn).sum().backward()
        elif config.game == "gradient":
            with frozen(detector):
                detector(batch.clone().requires_grad_()).sum().backward()
        detector.train()
        detector(batch if config.game == "none" else torch.cat([batch, batch])).sum().backward()
        for module in (detector, *generators):
            module.zero_grad(set_to_none=True)

    return turn


def round_of(config: TrainConfig, images: torch.Tensor) -> Turn:
    """A round of a game on clean images, half real and half fake, with players of its own."""
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    detector = _placed(Detector(config.detector), images.device, layout)
    adversary = make_adversary(config)
    if adversary is not None:
        _placed(adversary, images.device, layout)
    if config.compile:
        detector.backbone.compile()
    optimizer = make_optimizer(detector.parameters(), config.optimizer.lr, config.optimizer)
    labels = torch.tensor([0, 1], device=images.device).repeat_interleave(len(images) // 2)
    bf16 = config.precision == "bf16"

    def turn() -> None:
        batch = images.contiguous(memory_format=layout)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
            play_round(detector, optimizer, adversary, batch, labels, parts=config.accumulate)

    return turn


def _placed(module: Any, device: torch.device, layout: torch.memory_format) -> Any:
    return module.to(device, memory_format=layout)


def train_settings(config: BenchConfig, game: str) -> TrainConfig:
    """The settings of a player's round."""
    adversary = AdversaryConfig(filters=config.filters) if game == "generator" else AdversaryConfig()
    backbone = DetectorConfig(backbone=config.backbone, pretrained=False)
    return TrainConfig(game=game, detector=backbone, adversary=adversary)  # type: ignore[arg-type]


def _measured(stage: Stage, turns: int) -> Speed:
    console.print(f"{stage.name} ...")
    took = least({"stage": stage.turn, "limit": stage.limit}, turns)
    rates = {name: stage.items / seconds for name, seconds in took.items()}
    return Speed(
        stage.name,
        stage.unit,
        round(rates["stage"], 1),
        stage.limited_by,
        round(rates["limit"], 1),
        round(took["limit"] / took["stage"], 3),
    )


def _stages(folder: Path, config: BenchConfig, device: torch.device) -> Iterator[Stage]:
    yield from _of_media(folder)
    yield from _of_crops(folder, config)
    images = torch.rand((config.batch_size, 3, config.image_size, config.image_size), device=device)
    precision = 3 * torch.rand((config.batch_size, 1, config.image_size, config.image_size), device=device)
    yield Stage(
        f"blur, forward and backward, K = {BLUR_WINDOW}",
        "image",
        config.batch_size,
        _with_slope(lambda x, s: pixelwise_gaussian_blur(x, s, BLUR_WINDOW), images, precision),
        "a multiplication, forward and backward",
        _with_slope(torch.mul, images, precision),
    )
    for game in ("none", "random-blur", "gradient", "generator"):
        settings = train_settings(config, game)
        yield Stage(
            f"round, {game}",
            "clean image",
            config.batch_size,
            round_of(settings, images),
            "the networks' passes alone",
            bare_passes(settings, images),
        )
    yield from _of_inference(config, device)


def _of_media(folder: Path) -> Iterator[Stage]:
    video = folder / "clip.mp4"
    drawn = _drawn_frames(FRAMES)
    write_video(video, drawn, fps=25, crf=23)

    def decode_only() -> None:
        with av.open(str(video)) as container:
            for _ in container.decode(video=0):
                pass

    yield Stage("decode", "frame", FRAMES, lambda: [None for _ in read_frames(video)], "FFmpeg's decoder", decode_only)
    with contextlib.suppress(UserError):  # without a face detector there is nothing to measure
        detect = default_detector(0.6)
        large = [cv2.resize(frame, None, fx=2, fy=2) for frame in drawn[:8]]
        small = [cv2.resize(frame, (LONGEST_SIDE, LONGEST_SIDE * 3 // 4)) for frame in large]
        yield Stage(
            "detect, 1280 x 960",
            "frame",
            len(large),
            lambda: [detect(np.asarray(frame, np.uint8)) for frame in large],
            f"the detector at {LONGEST_SIDE} pixels",
            lambda: [detect(np.asarray(frame, np.uint8)) for frame in small],
        )


def _of_crops(folder: Path, config: BenchConfig) -> Iterator[Stage]:
    frames = _drawn_frames(CROPS)
    size = config.image_size

    def cut_and_encode() -> list[bytes]:
        return [_png(crop_face(frame, FACE, 1.3, size)) for frame in frames]

    cut = [crop_face(frame, FACE, 1.3, size) for frame in frames]
    yield Stage("crop", "face", CROPS, cut_and_encode, "encoding PNG", lambda: [_png(crop) for crop in cut])

    rows = []
    for number, data in enumerate(cut_and_encode()):
        label = "real" if number % 2 else "fake"
        (folder / f"{number}.png").write_bytes(data)
        rows.append({"path": f"{number}.png", "video": str(number), "label": label, "method": "FaceSwap"})
    make_batches = partial(
        RoundBatches,
        pa.Table.from_pylist(rows),
        folder,
        batch_size=CROPS,
        image_size=size,
        augmentation=Augmentation(AugmentConfig()),
        seed=0,
    )
    batches = make_batches()
    yield Stage(
        "load and augment, one process",
        "image",
        CROPS,
        lambda: batches[0],
        "decoding PNG",
        lambda: [read_crop(folder / row["path"], size) for row in rows],
    )
    points = points_in_crop(FACE, 1.3, size, "none")
    real = {row["path"]: (points, row["video"]) for row in rows if row["label"] == "real"}
    live = make_batches(
        forger=Forger(real, lambda path: read_stored(folder / path), LIVE, folder / "network", 0),
        footage=Footage(FootageConfig(chance=1.0)),
    )
    yield Stage(
        "forge, film and augment, one process",
        "image",
        CROPS,
        lambda: live[0],
        "H.264 of two frames each",
        lambda: [through_h264([np.asarray(crop, np.uint8)] * 2, 30) for crop in cut],
    )


def _of_inference(config: BenchConfig, device: torch.device) -> Iterator[Stage]:
    settings = DetectorConfig(backbone=config.backbone, pretrained=False)
    detector = _placed(Detector(settings).eval(), device, torch.channels_last)
    for count in (1, 32):
        images = torch.rand((count, 3, config.image_size, config.image_size), device=device)
        batch = images.contiguous(memory_format=torch.channels_last)
        yield Stage(
            f"inference, batch {count}",
            "image",
            count,
            torch.inference_mode()(lambda batch=batch: detector(batch).cpu()),
            "the backbone alone",
            torch.inference_mode()(lambda batch=batch: detector.backbone(batch)[0, 0, 0, 0].item()),
        )


def _with_slope(function: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> Turn:
    """A forward and a backward pass, with gradients of all inputs."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    slope = torch.ones_like(leaves[0])

    def turn() -> None:
        for leaf in leaves:
            leaf.grad = None
        function(*leaves).backward(slope)

    return turn


def _drawn_frames(count: int) -> list[RgbImage]:
    """Frames of a drawn head before a drawn wall, with some noise, slowly moving."""
    rng = np.random.default_rng(0)
    height, width = FRAME_SIZE
    wall = cv2.resize(rng.integers(60, 180, (12, 16, 3), dtype=np.uint8), (width, height))
    frames = []
    for number in range(count):
        frame = wall.copy()
        cv2.ellipse(frame, (320 + number % 8, 230), (80, 110), 0, 0, 360, (205, 165, 140), -1)
        for x in (280, 360):
            cv2.circle(frame, (x + number % 8, 200), 9, (40, 30, 30), -1)
        cv2.ellipse(frame, (320 + number % 8, 290), (30, 10), 0, 0, 360, (150, 70, 70), -1)
        noise = rng.normal(0, 4, frame.shape)
        frames.append(np.clip(frame + noise, 0, 255).astype(np.uint8))
    return frames


def _png(image: RgbImage) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
