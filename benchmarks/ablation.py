"""What does each ingredient of the packaged detector's recipe buy, and what does a player on top of it?

The recipe (recipes/detector.toml) is trained with one thing changed at a time, for the same rounds on one thread, with
several seeds, as many runs at a time as there are cores. All are tested on the val people of the recipe's protocol,
whom they have not seen, in forgeries none of which they were trained on; the test people are left to the detector that
is made in the end. OUT/ablation.json and OUT/ablation.md are what was found. What is there already is kept, so that a
call that was killed goes on where it was.

    python benchmarks/ablation.py OUT CROPS/manifest.parquet

CROPS are those that `make detector` cuts out.
"""

import argparse
import shutil
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from study_analysis import Mean, compared, mean_of, subjects
from study_page import tables
from study_runs import RunJob, train_all

from dfgame.checkpoint import RERENDERER_FILE
from dfgame.cli import exit_with
from dfgame.config import AdversaryConfig, EvaluateConfig, FootageConfig, TrainConfig, train_config_from_dict
from dfgame.evaluate import evaluate_runs
from dfgame.files import read_json, writable_folder, write_json, write_text
from dfgame.jobs import console
from dfgame.protocol import read_protocol
from dfgame.report.language import counted
from dfgame.report.words import number
from dfgame.summary import Cell, RunEvidence

RECIPE = Path(__file__).parent.parent / "recipes" / "detector.toml"
WHOLE = "recipe"
EPOCHS, BATCH = 2, 16
TEST_FRAMES = 4
Change = Callable[[TrainConfig], TrainConfig]


def same(config: TrainConfig) -> TrainConfig:
    """The recipe."""
    return config


def without(family: str) -> Change:
    """The recipe without one of its families."""

    def changed(config: TrainConfig) -> TrainConfig:
        left = tuple(name for name in config.live.families if name != family)
        return replace(config, live=replace(config.live, families=left))

    return changed


def families(*names: Any) -> Change:
    """The recipe with these families only."""
    return lambda config: replace(config, live=replace(config.live, families=names))


def setting(**values: Any) -> Change:
    """The recipe with other settings."""
    return lambda config: replace(config, **values)


CHANGES: dict[str, Change] = {
    WHOLE: same,
    "without selfblend": without("selfblend"),
    "without lookalike": without("lookalike"),
    "without mouth": without("mouth"),
    "without rerender": without("rerender"),
    "without recompress": without("recompress"),
    "selfblend alone": families("selfblend"),
    "without footage": setting(footage=FootageConfig()),
    "random-blur": setting(game="random-blur"),
    "additive": setting(game="gradient", adversary=AdversaryConfig(perturbation="additive")),
    "gradient": setting(game="gradient"),
    "gradient-fake": setting(game="gradient", adversary=AdversaryConfig(attacks="fake")),
    "generator": setting(game="generator", adversary=AdversaryConfig(filters=16)),
}


def main(words: Sequence[str] | None = None, shared: Change = same) -> int:
    """The whole ablation; returns the exit code.

    Args:
        words: the command line, without the program's name.
        shared: what is changed in all runs alike.
    """
    asked = _parsed(words)
    out = writable_folder(asked.out)
    recipe = shared(_recipe(asked.rounds, asked.image_size))
    changes = list(dict.fromkeys((WHOLE, *asked.changes)))
    wanted = [(change, seed) for seed in range(asked.seeds) for change in changes]
    paths = {run: out / "runs" / f"{run[0].replace(' ', '-')}-{run[1]}" for run in wanted}
    jobs = {
        (change, seed): RunJob(asked.manifest, paths[change, seed], replace(CHANGES[change](recipe), seed=seed))
        for change, seed in wanted
    }
    train_all([jobs[run] for run in wanted if run[0] == WHOLE], workers=0)
    for change, seed in wanted:
        _share(paths[WHOLE, seed], paths[change, seed])
    train_all([jobs[run] for run in wanted if run[0] != WHOLE], workers=0)
    datasets = read_protocol(recipe.protocol).val.datasets
    config = EvaluateConfig("val", "last", datasets=datasets, frames=TEST_FRAMES, allow_mismatch=True, overwrite=True)
    evaluation = evaluate_runs(list(paths.values()), asked.manifest, out / "evaluation", config)
    groups: dict[str, list[RunEvidence]] = {}
    for (change, _), evidence in zip(wanted, evaluation.runs, strict=True):
        groups.setdefault(change, []).append(evidence)
    asked_of = subjects(list(groups[WHOLE][0].cells), "")
    found = {
        "seeds": asked.seeds,
        "rounds": asked.rounds,
        "image_size": asked.image_size,
        "tested": {name: int(value) for name, value in evaluation.settings["counts"].items()},
        "subjects": {title: compared(_means(groups, chosen), WHOLE) for title, chosen in asked_of.items()},
    }
    write_json(out / "ablation.json", found)
    write_text(out / "ablation.md", page(read_json(out / "ablation.json")))
    console.print(f"{out / 'ablation.md'}: what was found", soft_wrap=True)
    return 0


def _parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "ablation.py", None, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument(
        "--changes", nargs="+", choices=CHANGES, default=list(CHANGES), help="to compare with the recipe"
    )
    parser.add_argument("--rounds", type=int, default=400, help="of each run (400)")
    parser.add_argument("--image-size", type=int, default=112, help="side of the detector's input in pixels (112)")
    parser.add_argument("--seeds", type=int, default=3, help="runs that differ in nothing else (3)")
    asked = parser.parse_args(words)
    if asked.seeds < 1 or asked.rounds < EPOCHS:
        parser.error(f"--seeds must be at least 1, --rounds at least {EPOCHS}")
    return asked


def _recipe(rounds: int, image_size: int) -> TrainConfig:
    """The recipe, shorter, of smaller batches and on one thread; its protocol is found from anywhere."""
    config = train_config_from_dict(tomllib.loads(RECIPE.read_text(encoding="utf-8")))
    pairs = rounds // EPOCHS * BATCH // 2
    protocol = str(RECIPE.parent.parent / config.protocol)
    short = replace(
        config, protocol=protocol, epochs=EPOCHS, epoch_pairs=pairs, batch_size=BATCH, image_size=image_size
    )
    return replace(short, workers=0, val_level="frame", segment_length=TrainConfig.segment_length, val_images=100)


def _share(made: Path, run: Path) -> None:
    """Give a run the network that renders faces, which every run of a seed would train alike."""
    if (made / RERENDERER_FILE).is_file() and not (run / RERENDERER_FILE).is_file():
        (run / RERENDERER_FILE).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / RERENDERER_FILE, run / RERENDERER_FILE)


def _means(groups: dict[str, list[RunEvidence]], cells: Sequence[Cell]) -> dict[str, Mean]:
    return {change: mean_of(runs, cells) for change, runs in groups.items()}


def page(found: dict[str, Any]) -> str:
    """The tables of `ablation.json` in Markdown."""
    tested, of_changes = found["tested"], found["subjects"]
    videos = " and ".join(counted(tested[f"{kind}_videos"], f"{kind} video") for kind in ("real", "fake"))
    head = (
        f"Video-level AUC on {counted(tested['identities'], 'person', 'people')} and {videos}, "
        f"{counted(found['seeds'], 'seed')} of {found['rounds']} rounds of {BATCH} images, "
        f"{found['image_size']} pixels wide."
    )
    single = [title for title in of_changes if not title.startswith("unseen at")]
    rows = [
        f"| {change} | {' | '.join(number(of_changes[t][change]['auc']) for t in single)} |"
        for change in of_changes[single[0]]
    ]
    by_family = [f"| change | {' | '.join(single)} |", "|---" * (1 + len(single)) + "|", *rows]
    return (
        "\n\n".join(
            ["# The recipe, one thing changed at a time", head, tables(of_changes, WHOLE), "\n".join(by_family)]
        )
        + "\n"
    )


if __name__ == "__main__":
    exit_with(main, "python benchmarks/ablation.py --help")
