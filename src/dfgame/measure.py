"""One run's scores -> its results on every cell, at the level of frames and of videos."""

from dataclasses import asdict, dataclass

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
from dfgame.players import Entry
from dfgame.summary import Cell, Evidence, Result, in_order

Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored frames, one an element: class number, probability of fake, method, compression, video."""

    labels: Integers
    scores: Floats
    methods: Names
    compressions: Names
    videos: Names


def measure_run(
    entry: Entry, scores: Scores, replicates: int, seed: int
) -> tuple[list[Result], dict[Cell, Evidence], list[dict[str, str]]]:
    """A run on every method at every compression there is.

    Returns:
        The rows of all cells at both levels; each cell's evidence at the level of videos; and the cells that
        are not defined, each with the reason.
    """
    methods = np.unique(scores.methods[scores.labels == 1])
    cells = [Cell(str(m), str(c)) for m in methods for c in np.unique(scores.compressions)]
    results: list[Result] = []
    evidence: dict[Cell, Evidence] = {}
    undefined = []
    for cell in in_order(cells):
        try:
            frame, video = (_measure(entry, cell, scores, level, replicates, seed) for level in LEVELS)
        except ValueError as error:
            undefined.append({"run": entry.name, **cell._asdict(), "reason": str(error)})
            continue
        results += [frame.result, video.result]
        evidence[cell] = video
    return results, evidence, undefined


def _measure(entry: Entry, cell: Cell, all_scores: Scores, level: Level, replicates: int, seed: int) -> Evidence:
    labels, scores, videos = _of_cell(all_scores, cell)
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


def _of_cell(scores: Scores, cell: Cell) -> tuple[Integers, Floats, Names]:
    """Labels, scores and videos of the method's fakes and of all real frames at the cell's compression.

    Videos go by their path without the folder of the compression, where that still tells them apart: the same
    clip at two qualities is then drawn together in every bootstrap replicate, so that a mean over qualities
    does not pass for twice as many videos.
    """
    chosen = (scores.compressions == cell.compression) & ((scores.labels == 0) | (scores.methods == cell.method))
    videos = scores.videos[chosen]
    clips = np.char.replace(videos, f"/{cell.compression}/", "/")
    if len(np.unique(clips)) == len(np.unique(videos)):
        videos = clips
    return scores.labels[chosen], scores.scores[chosen], videos
