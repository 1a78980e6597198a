"""What is evaluated: a run, a calibrated box, an ONNX file, a table of another tool's scores; and what each gives.

Torch is imported for runs and boxes alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfgame.config import EvaluateConfig, changed_settings, to_dict
from dfgame.files import sha256
from dfgame.jobs import console
from dfgame.outcomes import Unit
from dfgame.players import Kind
from dfgame.records import UserError
from dfgame.rows import MANIFEST, ROW, AskedRows, Source
from dfgame.stored import is_readable
from dfgame.subjects.onnx import load_onnx, onnx_sha256
from dfgame.subjects.table import first, read_scores

Scorer = Callable[[Path, pa.Table, Path, EvaluateConfig], pa.Table]
"""(detector, rows, the manifest's folder, settings) -> the rows with a float64 column `p_fake` and, where it names
the method, the list column `classes`, the probability of each class."""
RunReader = Callable[[Path], dict[str, Any]]
"""run -> name, game, methods, compressions, seed, config, version."""

CLASSES = "classes"
OF_CROPS = ("frames", "pooling")
"""Settings that only a detector uses whose scores are of crops."""
_USERS = {
    "checkpoint": "a run",
    "onnx": "an ONNX file of another maker",
    "frames": "scores of crops, not of whole videos",
    "pooling": "scores of crops, not of whole videos",
}
"""Settings, or a group of them, that not every detector uses, and what they need."""
KINDS: dict[str, Kind] = {".onnx": "onnx", ".safetensors": "box", ".csv": "scores"}


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a detector said of rows: the probability of fake of each, or what it gives in its place.

    Where `scored` is false it said nothing, and the score means nothing. `classes`, (rows, classes), are the
    probabilities of real and of each method, where it tells methods apart.
    """

    p_fake: NDArray[np.float64]
    scored: NDArray[np.bool_]
    classes: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class ScoredHere:
    """A detector that looks at the crops: a run, a box, an ONNX file.

    `info` is what `players.identify` goes by, `unit` what its scores are of, `file` holds its weights; `uses` are
    those settings of `_USERS` that change its results.
    """

    path: Path
    info: dict[str, Any]
    file: Path
    sources: tuple[Source, ...]
    config: EvaluateConfig
    scorer: Scorer
    unit: Unit = "crop"
    unknown_paths: int = 0
    content: Callable[[Path], str] = sha256
    uses: tuple[str, ...] = OF_CROPS

    def hash(self) -> str:
        """The SHA-256 of its weights."""
        return self.content(self.file)

    def predict(self, rows: pa.Table) -> Predicted:
        """Score the rows of each manifest; a crop that cannot be read is named and not scored.

        Raises:
            UserError: none of a manifest's crops can be read, or the detector cannot be used.
        """
        p_fake, of_source = np.full(rows.num_rows, np.nan), np.asarray(rows[MANIFEST])
        classes: NDArray[np.float64] | None = None
        for number, source in enumerate(self.sources):
            here = of_source == number
            if not here.any():
                continue
            here, found = self._scored(rows, here, source)
            p_fake[here] = found["p_fake"].to_numpy()
            if CLASSES in found.schema.names:
                values = np.array(found[CLASSES].to_pylist())
                classes = np.full((rows.num_rows, values.shape[1]), np.nan) if classes is None else classes
                classes[here] = values
        scored = np.isfinite(p_fake) & (True if classes is None else np.isfinite(classes).all(axis=1))
        return Predicted(p_fake, scored, classes)

    def _scored(self, rows: pa.Table, here: NDArray[np.bool_], source: Source) -> tuple[NDArray[np.bool_], pa.Table]:
        """Of the rows `here` those that could be scored, and what the scorer made of them."""
        folder = source.path.parent
        try:
            return here, self.scorer(self.path, rows.filter(pa.array(here)), folder, self.config)
        except UserError:
            broken = here & unreadable(rows, here, self.sources)
            if not broken.any() or (broken == here).all():
                raise
        names = rows.filter(pa.array(broken))["path"].to_pylist()
        console.print(f"{folder}: {len(names)} crops cannot be read, and are left out: {first(names)}", soft_wrap=True)
        left = here & ~broken
        return left, self.scorer(self.path, rows.filter(pa.array(left)), folder, self.config)


def unreadable(rows: pa.Table, chosen: NDArray[np.bool_], sources: Sequence[Source]) -> NDArray[np.bool_]:
    """Which of the chosen rows have crops that cannot be read; false for the others."""
    found = np.zeros(rows.num_rows, bool)
    paths, manifests = rows["path"].to_pylist(), rows[MANIFEST].to_pylist()
    for place in np.flatnonzero(chosen):
        found[place] = not is_readable(sources[manifests[place]].path.parent / paths[place])
    return found


@dataclass(frozen=True, slots=True)
class ScoredElsewhere:
    """A table of scores, by the number of a crop's row, or by the name of a video."""

    path: Path
    info: dict[str, Any]
    unit: Unit
    scores: dict[int | str, float]
    unknown_paths: int

    @property
    def uses(self) -> tuple[str, ...]:
        """The settings of `_USERS` that change its results."""
        return OF_CROPS if self.unit == "crop" else ()

    def hash(self) -> str:
        """The SHA-256 of the table."""
        return sha256(self.path)

    def predict(self, rows: pa.Table) -> Predicted:
        """Look the rows up; a video's score is that of the first of its rows alone."""
        if self.unit == "crop":
            keys = rows[ROW].to_pylist()
        else:
            videos = rows["video"].to_pylist()
            first = {video: place for place, video in reversed(list(enumerate(videos)))}
            keys = [video if first[video] == place else None for place, video in enumerate(videos)]
        found = np.array([np.nan if key is None else self.scores.get(key, np.nan) for key in keys])
        return Predicted(found, ~np.isnan(found))


Subject = ScoredHere | ScoredElsewhere


def open_subject(
    path: Path, asked: AskedRows, config: EvaluateConfig, scorer: Scorer | None, read_run: RunReader | None
) -> Subject:
    """Open what is to be evaluated; what it is, its name says: a folder is a run.

    Raises:
        UserError: it is not there, is nothing that can be evaluated, or cannot be understood.
    """
    kind = "run" if path.is_dir() else KINDS.get(path.suffix.lower(), "run")
    if kind == "run":
        return _run(path, asked, config, scorer, read_run)
    if not path.is_file():
        raise UserError(f"{path}: no such file", "name a run's folder, or a file: .safetensors, .onnx or .csv")
    if kind == "box":
        return _box(path, asked, config)
    return _onnx(path, asked, config) if kind == "onnx" else _table(path, asked)


def refuse_unused(subjects: Sequence[Subject], config: EvaluateConfig) -> None:
    """Refuse settings that were changed and that none of the detectors uses.

    Raises:
        UserError: names the first.
    """
    used = {name for subject in subjects for name in subject.uses}
    for flag in (name.replace("_", "-") for name in changed_settings(config)):
        needs = _USERS.get(flag.partition(".")[0])
        if needs and flag.partition(".")[0] not in used:
            raise UserError(f"--{flag}: changes nothing here, it needs {needs}", "leave it out")


def _run(
    path: Path, asked: AskedRows, config: EvaluateConfig, scorer: Scorer | None, read_run: RunReader | None
) -> Subject:
    if scorer is None or read_run is None:
        from dfgame.score import run_info, score_run

        scorer, read_run = scorer or score_run, read_run or run_info
    info = read_run(path)
    weights = path / f"{config.checkpoint}.safetensors"
    if not weights.is_file():
        there = ", ".join(sorted(p.stem for p in path.glob("*.safetensors"))) or "none"
        raise UserError(f"{weights}: no such checkpoint", f"choose another --checkpoint; this run has: {there}")
    return ScoredHere(path, info, weights, asked.sources, config, scorer, uses=("checkpoint", *OF_CROPS))


def _box(path: Path, asked: AskedRows, config: EvaluateConfig) -> Subject:
    from dfgame.boxed import load_detector
    from dfgame.score import score_box

    facts = load_detector(path, config.device).facts
    said = {"made": facts.made, "crop": to_dict(facts.crop), "calibration": to_dict(facts.calibration)}
    return ScoredHere(path, info_of("box", path, said, facts.version), path, asked.sources, config, score_box)


def _onnx(path: Path, asked: AskedRows, config: EvaluateConfig) -> Subject:
    detector = load_onnx(path, config.onnx, config.device)

    def score(_path: Path, rows: pa.Table, folder: Path, config: EvaluateConfig) -> pa.Table:
        paths = [folder / name for name in rows["path"].to_pylist()]
        found = detector.score(paths, config.onnx, config.batch_size, config.workers)
        return rows.append_column("p_fake", pa.array(found, pa.float64()))

    facts = detector.facts
    said = facts or {"made": {}, "preprocessing": to_dict(config.onnx) | {"size": detector.side}}
    info = info_of("onnx", path, said, (facts or {}).get("version", ""))
    uses = OF_CROPS if facts else ("onnx", *OF_CROPS)
    return ScoredHere(path, info, path, asked.sources, config, score, content=onnx_sha256, uses=uses)


def _table(path: Path, asked: AskedRows) -> Subject:
    table = read_scores(path, asked.everything)
    info = info_of("scores", path, {"made": {}, "scores_of": f"{table.unit}s"}, "")
    key = ROW if table.unit == "crop" else "video"
    pairs = zip(asked.everything[key].to_pylist(), table.scores.tolist(), strict=True)
    scores = {name: score for name, score in pairs if not isnan(score)}
    if table.unknown:
        console.print(f"{path}: {len(table.unknown)} paths are in no manifest: {first(table.unknown)}", soft_wrap=True)
    return ScoredElsewhere(path, info, table.unit, scores, len(table.unknown))


def info_of(kind: Kind, path: Path, said: dict[str, Any], version: str) -> dict[str, Any]:
    """What is known of a detector that is not a run, in the form of `score.run_info`; methods are None if unknown."""
    runs: Sequence[dict[str, Any]] = said["made"].get("runs", ())
    methods, compressions = (
        sorted({name for run in runs for name in run.get(key) or ()}) if _all_say(runs, key) else None
        for key in ("methods", "compressions")
    )
    crop = {name: said["crop"][name] for name in ("margin", "alignment")} if "crop" in said else {}
    return {
        "kind": kind,
        "name": path.stem,
        "game": "",
        "methods": methods,
        "compressions": compressions or [],
        "seed": None,
        "config": {key: value for key, value in said.items() if key in ("preprocessing", "crop", "scores_of")},
        "version": version,
        "data": {
            "manifests": sorted({run["manifest_sha256"] for run in runs if run.get("manifest_sha256")}),
            "made_by": {"settings": crop},
        },
        "protocol": None,
        "calibration": said.get("calibration"),
    }


def _all_say(runs: Sequence[dict[str, Any]], key: str) -> bool:
    """Whether every run that it was made of names what it learned from."""
    return bool(runs) and all(run.get(key) for run in runs)
