"""Scores of another tool, as a CSV file `path,score`: whose crop or video each of them is of."""

import csv
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import isinf
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfgame.outcomes import Unit
from dfgame.records import UserError

COLUMNS = ("path", "score")
NAMED = 5
"""Paths that a message names, at most."""


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A score for each row of a table, NaN where there is none.

    `unit` is what the scores are of. That of a video is the score of its first row; the others have none. `unknown`
    are the paths that are in no manifest.
    """

    scores: NDArray[np.float64]
    unit: Unit
    unknown: tuple[str, ...]


def read_scores(path: Path, rows: pa.Table) -> ScoreTable:
    """Read the CSV file and find for every path its row.

    A path is a crop's name in its manifest, or a video's, tried in that order; or it is the ending of one, or one is
    its ending, from a folder's boundary on. Backslashes are slashes. A path without a score (an empty one, or `nan`)
    was not scored.

    Args:
        path: with the columns `path` and `score`, and others, which do not matter; the higher the more fake.
        rows: all rows of the manifests.

    Raises:
        UserError: the file is no such table, a score is not a number, a path is there twice or may be several crops
            or videos, no path is known, or some are crops and others videos.
    """
    given = _read(path)
    places: dict[Unit, dict[str, list[int]]] = {"crop": defaultdict(list), "video": defaultdict(list)}
    for number, (crop, video) in enumerate(zip(rows["path"].to_pylist(), rows["video"].to_pylist(), strict=True)):
        places["crop"][_plain(crop)].append(number)
        places["video"].setdefault(_plain(video), [number])
    endings: dict[Unit, _Endings] = {unit: _Endings(names) for unit, names in places.items()}
    scores = np.full(rows.num_rows, np.nan)
    taken: dict[int, str] = {}
    units: dict[Unit, str] = {}
    unknown = []
    for name, score in given.items():
        found = _find(path, name, places, endings)
        if found is None:
            unknown.append(name)
            continue
        unit, row = found
        if row in taken:
            raise UserError(f"{path}: {taken[row]} and {name} are the same {unit}", "leave one score a path")
        units.setdefault(unit, name)
        taken[row], scores[row] = name, score
    if not taken:
        raise UserError(
            f"{path}: none of its {len(given)} paths is in a manifest ({first(unknown)})",
            f"a path is a crop's or a video's name, as {rows['path'][0]} or {rows['video'][0]}",
        )
    if len(units) > 1:
        raise UserError(
            f"{path}: {units['crop']} is a crop and {units['video']} a video", "give the scores of one or of the other"
        )
    return ScoreTable(scores, next(iter(units)), tuple(unknown))


def _read(path: Path) -> dict[str, float]:
    """The paths and their scores, in the file's order; NaN where there is none."""
    remedy = f"its first line is {','.join(COLUMNS)}, every other one a path and a number, the higher the more fake"
    found: dict[str, float] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: has no column {' and no column '.join(missing)}", remedy)
            for line in reader:
                name, said = _plain(line["path"] or ""), (line["score"] or "").strip()
                if name in found:
                    raise UserError(f"{path}: line {reader.line_num}: {name} is there twice", "leave one score a path")
                found[name] = _number(said, f"{path}: line {reader.line_num}", remedy)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error})", remedy) from None
    if not found:
        raise UserError(f"{path}: no scores in it", remedy)
    return found


def _number(said: str, where: str, remedy: str) -> float:
    try:
        value = float(said or "nan")
    except ValueError:
        raise UserError(f"{where}: {said} is not a number", remedy) from None
    if isinf(value):
        raise UserError(f"{where}: {said} is not a finite number", "leave the score empty where there is none")
    return value


def _plain(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")


class _Endings:
    """Names, to be found by their endings from a folder's boundary on."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = set(names)
        self._of: dict[str, list[str]] = defaultdict(list)
        for name in names:
            for ending in _endings(name):
                self._of[ending].append(name)

    def alike(self, name: str) -> list[str]:
        """The names that end in this one, and those that this one ends in."""
        return [*self._of.get(name, ()), *(ending for ending in _endings(name) if ending in self._names)]


def _endings(name: str) -> Iterator[str]:
    """What is left of a path without its first folder, its first two, and so on: its last part comes last."""
    while "/" in name:
        name = name.partition("/")[2]
        yield name


def _find(
    path: Path, name: str, places: dict[Unit, dict[str, list[int]]], endings: dict[Unit, _Endings]
) -> tuple[Unit, int] | None:
    """The one crop or video that a path names, as what it is and its row; None where there is none."""
    for unit, named in places.items():
        if name in named:
            return unit, _only(path, name, named[name], [name] * len(named[name]))
    for unit, named in places.items():
        alike = endings[unit].alike(name)
        rows = [row for full in alike for row in named[full]]
        if rows:
            return unit, _only(path, name, rows, alike)
    return None


def _only(path: Path, name: str, rows: Sequence[int], alike: Sequence[str]) -> int:
    if len(rows) > 1:
        raise UserError(
            f"{path}: {name} may be each of {len(rows)}: {first(alike)}", "give more of the path, or all of it"
        )
    return rows[0]


def first(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are, in words."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
