"""What detectors said, kept in OUT/scores: an interrupted evaluation goes on, and every number can be worked again."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfgame import __version__
from dfgame.config import EvaluateConfig
from dfgame.evaluate.fitting import Fitted, calibrated, fit, usable
from dfgame.evaluate.scored import Scores, of_tests, scores_of
from dfgame.files import atomic_path
from dfgame.jobs import console
from dfgame.metrics import pooled
from dfgame.players import Entry
from dfgame.rows import AskedRows
from dfgame.subjects import CLASSES, Predicted, Subject

SCORES = "scores"
COLUMNS = ("path", "video", "track", "frame", "label", "method", "compression", "dataset", "identity")
ROWS = ("split", "methods", "compressions", "datasets", "frames", "min_face", "onnx")
"""Settings that choose the rows, or how they are scored; a protocol chooses the rows by its text."""
_OF_VIDEO = ("label", "method", "compression")


@dataclass(frozen=True, slots=True)
class Said:
    """What a detector said of the rows that are tested on, and of those of validation."""

    tested: Predicted
    validation: Predicted


def said_by(
    entry: Entry, subject: Subject, asked: AskedRows, out: Path, question: dict[str, Any], config: EvaluateConfig
) -> Said:
    """What a detector says of all rows: kept from a call with the same weights and rows, or new, and then kept.

    Leaves OUT/scores/NAME.frames.parquet, the score of every frame as the detector gives it, NAME.videos.csv, that of
    every video with its log likelihood ratio, and NAME.validation.parquet.
    """
    origin = {
        "weights_sha256": question["weights_sha256"][entry.name],
        "manifest_sha256": question["manifest_sha256"],
        "rows": {name: question["config"][name] for name in ROWS} | {"protocol_sha256": question["protocol_sha256"]},
        "version": __version__,
    }
    stem = out / SCORES / entry.name
    validation = _said(subject, asked.validation, _beside(stem, ".validation.parquet"), origin, entry.name)
    tested = _said(subject, asked.table, _beside(stem, ".frames.parquet"), origin, entry.name)
    scores = of_tests(asked.tests, asked.table, tested, ())
    fitted = usable(fit(scores_of(asked.validation, validation), "video", entry, config), scores, entry)
    _write_videos(_beside(stem, ".videos.csv"), entry, asked, scores, fitted, config.pooling)
    return Said(tested, validation)


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}{ending}")


def _said(subject: Subject, rows: pa.Table, path: Path, origin: Mapping[str, Any], name: str) -> Predicted:
    kept = _kept(path, origin)
    if kept is not None:
        console.print(f"{name}: scores of the same weights and rows are there already: {path}", soft_wrap=True)
        return kept
    said = subject.predict(rows)
    values = pa.array(said.p_fake, pa.float64(), mask=~said.scored)
    table = rows.select(COLUMNS).append_column("p_fake", values)
    if said.classes is not None:
        table = table.append_column(CLASSES, pa.array(said.classes.tolist()))
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata({b"dfgame": json.dumps(origin).encode()}), temporary)
    return said


def _kept(path: Path, origin: Mapping[str, Any]) -> Predicted | None:
    if not path.is_file():
        return None
    try:
        table, said = read_kept(path)
    except (pa.ArrowInvalid, OSError):
        return None
    return said if json.loads((table.schema.metadata or {}).get(b"dfgame", b"null")) == origin else None


def read_kept(path: Path) -> tuple[pa.Table, Predicted]:
    """The rows of a file of kept scores, and what was said of them; `scored.scores_of` takes both."""
    table = pq.ParquetFile(path).read()  # read_table would take a folder named a=b for a column
    scored = ~np.asarray(table["p_fake"].is_null())
    classes = np.array(table[CLASSES].to_pylist()) if CLASSES in table.schema.names else None
    return table, Predicted(np.asarray(table["p_fake"].fill_null(np.nan)), scored, classes)


def _write_videos(path: Path, entry: Entry, asked: AskedRows, scores: Scores, fitted: Fitted, how: str) -> None:
    """A row a video and, last of the columns where a protocol has several test sets, a test set.

    The natural log likelihood ratio is brought between its bounds; empty where validation videos bear none.
    """
    tests = [] if asked.protocol is None else ["test"]
    facts = asked.table.select(["video", *_OF_VIDEO]).to_pylist()
    of_video = {fact["video"]: [fact[name] for name in _OF_VIDEO] for fact in facts}
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video", *_OF_VIDEO, "p_fake", "llr", *tests])
        for selection in asked.tests:
            of_test = scores.where(scores.tests == selection.name)
            names, values = pooled(of_test.videos, of_test.scores, how)
            own = [selection.name] if tests else []
            said = calibrated(values, entry)
            llrs = fitted.llrs(said) if fitted.bounds else None
            told = repeat("") if llrs is None else llrs.tolist()
            rows = zip(names, said.tolist(), told, strict=False)
            writer.writerows([name, *of_video[name], score, llr, *own] for name, score, llr in rows)
