"""One run's scores -> its results on every cell, at the level of frames and of videos."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfgame.metrics import (
    LEVELS,
    Floats,
    Integers,
    Level,
    auc_bootstrap,
    interval,
    measures,
    roc,
    video_means,
)
from dfgame.players import APART, Entry
from dfgame.summary import Cell, Evidence, Result, in_order

Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored frames, one an element: class number, probability of fake, and where it comes from.

    `tests` are the test sets of a protocol; a frame of two of them is there twice.
    """

    labels: Integers
    scores: Floats
    methods: Names
    compressions: Names
    videos: Names
    datasets: Names
    tests: Names


class _Source(NamedTuple):
    """Where a cell's frames come from: its fakes' method and all frames' compression, data set and test set."""

    method: str
    compression: str
    dataset: str
    test: str


def measure_run(
    entry: Entry, scores: Scores, replicates: int, seed: int
) -> tuple[list[Result], dict[Cell, Evidence], list[dict[str, str]]]:
    """A run on every method at every compression that its data set has.

    The negatives of a method are the real videos of the data set that its fakes are of. Fakes of a method in two data
    sets, or in two test sets, are two cells, which are named apart.

    Returns:
        The rows of all cells at both levels; each cell's evidence at the level of videos; and the cells that
        are not defined, each with the reason.
    """
    sources = _sources(scores)
    results: list[Result] = []
    evidence: dict[Cell, Evidence] = {}
    undefined = []
    for cell in in_order(list(sources)):
        frames = _of_source(scores, sources[cell])
        try:
            frame, video = (_measure(entry, cell, frames, level, replicates, seed) for level in LEVELS)
        except ValueError as error:
            undefined.append({"run": entry.name, **cell._asdict(), "reason": str(error)})
            continue
        results += [frame.result, video.result]
        evidence[cell] = video
    return results, evidence, undefined


def _sources(scores: Scores) -> dict[Cell, _Source]:
    """The cells of the fakes that there are, each with its source."""
    fake = scores.labels == 1
    columns = (scores.methods, scores.datasets, scores.tests)
    kinds = sorted({tuple(map(str, kind)) for kind in zip(*(column[fake] for column in columns), strict=True)})
    datasets = defaultdict(set)
    for method, dataset, _ in kinds:
        datasets[method].add(dataset)
    found: list[tuple[Cell, _Source]] = []
    for method, dataset, test in kinds:
        name = f"{method}{APART}{dataset}" if len(datasets[method]) > 1 else method
        here = (scores.datasets == dataset) & (scores.tests == test)
        for compression in np.unique(scores.compressions[here]).tolist():
            found.append((Cell(name, compression), _Source(method, compression, dataset, test)))
    times = Counter(cell for cell, _ in found)
    return {
        cell._replace(method=f"{cell.method}{APART}{source.test}") if times[cell] > 1 else cell: source
        for cell, source in found
    }


_Frames = tuple[Integers, Floats, Names]
"""Labels, scores and videos."""


def _measure(entry: Entry, cell: Cell, frames: _Frames, level: Level, replicates: int, seed: int) -> Evidence:
    labels, scores, videos = frames
    draws = auc_bootstrap(labels, scores, videos.tolist(), level, replicates, seed)
    if level == "video":
        truth = dict(zip(videos.tolist(), labels.tolist(), strict=True))
        names, scores = video_means(videos.tolist(), scores)
        labels = np.array([truth[name] for name in names.tolist()])
    low, high = interval(draws)
    measured = asdict(measures(labels, scores))
    result = Result(
        game=entry.player,
        train_method=entry.training.method_words,
        train_compression=entry.training.compression_words,
        test_method=cell.method,
        test_compression=cell.compression,
        level=level,
        auc_low=low,
        auc_high=high,
        seed=entry.seed,
        **measured,
    )
    return Evidence(result, draws, roc(labels, scores))


def _of_source(scores: Scores, source: _Source) -> _Frames:
    """The frames of the method's fakes and of all real videos at the compression, in the data set and the test set.

    Videos go by their path without the folder of the compression, where that still tells them apart: the same
    clip at two qualities is then drawn together in every bootstrap replicate, so that a mean over qualities
    does not pass for twice as many videos.
    """
    here = (scores.compressions == source.compression) & (scores.datasets == source.dataset)
    chosen = here & (scores.tests == source.test) & ((scores.labels == 0) | (scores.methods == source.method))
    videos = scores.videos[chosen]
    clips = np.char.replace(videos, f"/{source.compression}/", "/")
    if len(np.unique(clips)) == len(np.unique(videos)):
        videos = clips
    return scores.labels[chosen], scores.scores[chosen], videos
