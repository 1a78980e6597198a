"""Rows of manifests with what a detector said of them, as arrays; and the cells that they are measured on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfgame.metrics import Floats, Integers
from dfgame.outcomes import LEVELS, Level
from dfgame.players import APART
from dfgame.protocol import Selection
from dfgame.records import LABELS
from dfgame.rows import ROW
from dfgame.subjects import Predicted
from dfgame.summary import Cell

Names = NDArray[np.str_]
NOT_KNOWN = "not known"
"""The value of a column where the manifest has none."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored frames, one an element: class number, score, and where it comes from.

    `tests` are the test sets of a protocol; a frame of two of them is there twice. `tracks` tell the faces of a video
    apart, `people` the people of all data sets. `by` are further columns, `classes` (frames, classes) probabilities.
    """

    labels: Integers
    scores: Floats
    methods: Names
    compressions: Names
    videos: Names
    datasets: Names
    tests: Names
    tracks: Names
    people: Names
    by: Mapping[str, Names] = field(default_factory=dict)
    classes: Floats | None = None

    def where(self, chosen: NDArray[np.bool_]) -> "Scores":
        """Only these frames."""
        arrays = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("by", "classes")}
        return replace(
            self,
            **{name: values[chosen] for name, values in arrays.items()},
            by={name: values[chosen] for name, values in self.by.items()},
            classes=None if self.classes is None else self.classes[chosen],
        )

    def once(self) -> "Scores":
        """Each frame once, of one of the test sets that it is in: for all frames of a video the same one."""
        first: dict[str, str] = {}
        for video, test in sorted(set(zip(self.videos.tolist(), self.tests.tolist(), strict=True))):
            first.setdefault(video, test)
        return self.where(np.array([first[video] for video in self.videos.tolist()], np.str_) == self.tests)

    def by_quality(self) -> Iterator[tuple[tuple[str, str], "Scores"]]:
        """The frames of each data set at each compression, named by these two."""
        for dataset, compression in sorted(set(zip(self.datasets.tolist(), self.compressions.tolist(), strict=True))):
            here = (self.datasets == dataset) & (self.compressions == compression)
            yield (dataset, compression), self.where(here)

    def groups(self, level: Level) -> Names:
        """For each frame the name of what is scored at the level."""
        if level == "frame":
            return np.arange(len(self.labels)).astype(np.str_)
        return self.videos if level == "video" else self.tracks


class Place(NamedTuple):
    """Where a cell's frames come from: its fakes' method and all frames' compression, data set and test set."""

    method: str
    compression: str
    dataset: str
    test: str


def scores_of(rows: pa.Table, said: Predicted, by: Iterable[str] = (), test: str = "") -> Scores:
    """The frames that were scored, of rows of a test set; the value of a column is that of the frame's video."""

    def text(name: str) -> Names:
        return np.array([NOT_KNOWN if value is None else str(value) for value in rows[name].to_pylist()], np.str_)

    videos, datasets = text("video"), text("dataset")
    found = Scores(
        labels=np.array([LABELS.index(label) for label in rows["label"].to_pylist()], np.int64),
        scores=said.p_fake,
        methods=text("method"),
        compressions=text("compression"),
        videos=videos,
        datasets=datasets,
        tests=np.full(rows.num_rows, test),
        tracks=np.char.add(np.char.add(videos, "#"), text("track")),
        people=np.char.add(np.char.add(datasets, "/"), text("identity")),
        by={name: of_videos(videos, text(name)) for name in by},
        classes=said.classes,
    )
    return found.where(said.scored)


def of_videos(videos: Names, values: Names) -> Names:
    """For each frame the value that most frames of its video have, of several the first by name."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for video, value in zip(videos.tolist(), values.tolist(), strict=True):
        counts[video][value] += 1
    found = {video: min(of.items(), key=lambda pair: (-pair[1], pair[0]))[0] for video, of in counts.items()}
    return np.array([found[video] for video in videos.tolist()], np.str_)


def of_tests(tests: Mapping[Selection, pa.Table], all_rows: pa.Table, said: Predicted, by: Iterable[str]) -> Scores:
    """The scored frames of all test sets, each set for itself; `said` is of all rows."""
    places = {row: place for place, row in enumerate(all_rows[ROW].to_pylist())}
    parts = []
    for selection, rows in tests.items():
        chosen = np.array([places[row] for row in rows[ROW].to_pylist()], np.int64)
        classes = None if said.classes is None else said.classes[chosen]
        parts.append(scores_of(rows, Predicted(said.p_fake[chosen], said.scored[chosen], classes), by, selection.name))
    return _joined(parts)


def _joined(parts: list[Scores]) -> Scores:
    if len(parts) == 1:
        return parts[0]
    names = [item.name for item in fields(Scores) if item.name not in ("by", "classes")]
    classes = [part.classes for part in parts if part.classes is not None]
    return Scores(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
        by={name: np.concatenate([part.by[name] for part in parts]) for name in parts[0].by},
        classes=np.concatenate(classes) if len(classes) == len(parts) else None,
    )


def levels_of(scores: Scores, whole_videos: bool) -> tuple[Level, ...]:
    """The levels to report: faces only where a video has several, frames only where these were scored."""
    if whole_videos:
        return ("video",)
    several = len(np.unique(scores.tracks)) > len(np.unique(scores.videos))
    return LEVELS if several else ("frame", "video")


def cells_of(scores: Scores) -> dict[Cell, Place]:
    """The cells of the fakes that there are, each with where its frames come from.

    Fakes of a method in two data sets, or in two test sets, are two cells, which are named apart.
    """
    fake = scores.labels == 1
    columns = (scores.methods, scores.datasets, scores.tests)
    kinds = sorted({tuple(map(str, kind)) for kind in zip(*(column[fake] for column in columns), strict=True)})
    datasets = defaultdict(set)
    for method, dataset, _ in kinds:
        datasets[method].add(dataset)
    found: list[tuple[Cell, Place]] = []
    for method, dataset, test in kinds:
        name = f"{method}{APART}{dataset}" if len(datasets[method]) > 1 else method
        here = (scores.datasets == dataset) & (scores.tests == test)
        for compression in np.unique(scores.compressions[here]).tolist():
            found.append((Cell(name, compression), Place(method, compression, dataset, test)))
    times = Counter(cell for cell, _ in found)
    return {
        cell._replace(method=f"{cell.method}{APART}{place.test}") if times[cell] > 1 else cell: place
        for cell, place in found
    }


def of_place(scores: Scores, place: Place) -> Scores:
    """The frames of the method's fakes and of all real videos at the compression, in the data set and the test set.

    Videos go by their path without the folder of the compression, where that still tells them apart, so that a clip
    has one name at all qualities.
    """
    here = (scores.compressions == place.compression) & (scores.datasets == place.dataset)
    found = scores.where(
        here & (scores.tests == place.test) & ((scores.labels == 0) | (scores.methods == place.method))
    )
    if not len(found.videos):
        return found
    clips = np.char.replace(found.videos, f"/{place.compression}/", "/")
    if len(np.unique(clips)) == len(np.unique(found.videos)):
        tracks = np.char.replace(found.tracks, f"/{place.compression}/", "/")
        return replace(found, videos=clips, tracks=tracks)
    return found
