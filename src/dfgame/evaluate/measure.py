"""One detector's scores -> its results on every cell, at the levels of frames, faces and videos."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dfgame.config import EvaluateConfig
from dfgame.evaluate.fitting import Fitted, Pooled, fit, pool, probabilities, usable
from dfgame.evaluate.scored import Names, Place, Scores, cells_of, levels_of, of_place
from dfgame.metrics import (
    THRESHOLD,
    Floats,
    auc_interval,
    cllr,
    fewest_of_a_class,
    measures,
    min_cllr,
    people_bootstrap,
    roc,
    why_undefined,
)
from dfgame.outcomes import Level
from dfgame.players import Entry
from dfgame.summary import Cell, Evidence, Result, in_order


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows of all cells at all levels, each cell's evidence by video, and the cells that are not defined."""

    results: list[Result]
    cells: dict[Cell, Evidence]
    undefined: list[dict[str, str]]


def measure_run(
    entry: Entry,
    scores: Scores,
    validation: Scores,
    config: EvaluateConfig,
    whole_videos: bool = False,
    crops: Mapping[str, str] | None = None,
    cells: Mapping[Cell, Place] | None = None,
) -> Measured:
    """A detector on every method at every compression that its data set has.

    The negatives of a method are the real videos of the data set that its fakes are of. Fakes of a method in two data
    sets, or in two test sets, are two cells, which are named apart.

    Args:
        entry: the detector.
        scores: what is tested on.
        validation: what thresholds and likelihood ratios are fitted on; may be empty.
        config: pooling, threshold, bootstrap.
        whole_videos: the scores are of videos, not of frames.
        crops: data set -> how its faces were cut out, in words.
        cells: what was asked; those of the fakes that were scored if None.
    """
    levels = levels_of(scores, whole_videos)
    fitted = {level: usable(fit(validation, level, entry, config), scores, entry) for level in levels}
    honest = probabilities(scores, validation, entry)
    cells = cells_of(scores) if cells is None else cells
    found = Measured([], {}, [])
    for cell in in_order(list(cells)):
        frames = of_place(scores, cells[cell])
        try:
            if not (frames.labels == 1).any():
                raise ValueError("no fake ones were scored")
            of_cell = {
                level: _measure(
                    entry, cell, cells[cell], frames, level, fitted[level], honest, config, crops or {}, whole_videos
                )
                for level in levels
            }
        except ValueError as error:
            found.undefined.append({"run": entry.name, **cell._asdict(), "reason": str(error)})
            continue
        found.results.extend(evidence.result for evidence in of_cell.values())
        found.cells[cell] = of_cell["video"]
    return found


def _measure(
    entry: Entry,
    cell: Cell,
    place: Place,
    frames: Scores,
    level: Level,
    fit_here: Fitted,
    honest: bool,
    config: EvaluateConfig,
    crops: Mapping[str, str],
    whole_videos: bool,
) -> Evidence:
    found = pool(frames, level, entry, config.pooling)
    measured, undefined, llrs = _numbers(found, fit_here, honest)
    draws = low = high = None
    try:
        draws = people_bootstrap(found.labels, found.scores, found.people, config.replicates, config.seed)
    except ValueError as error:
        undefined["auc_low"] = undefined["auc_high"] = str(error)
    else:
        low, high = auc_interval(measured["auc"], draws, fewest_of_a_class(found.labels, found.people))
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
        run=entry.name,
        kind=entry.kind,
        dataset=place.dataset,
        pooling="none" if level == "frame" or whole_videos else config.pooling,
        frames="" if whole_videos else "1" if level == "frame" else _frames_words(frames.groups(level)),
        crop=crops.get(place.dataset, ""),
        people=len(np.unique(found.people)),
        threshold=fit_here.threshold,
        threshold_from=fit_here.threshold_from,
        undefined="; ".join(f"{name}: {why}" for name, why in undefined.items()),
        **measured,
    )
    named = tuple(found.names.tolist()), tuple(found.people.tolist())
    return Evidence(result, draws, roc(found.labels, found.scores), *named, found.labels, found.scores, llrs)


def _frames_words(groups: Names) -> str:
    """How many frames each had: one number, or from and to."""
    counts = np.unique(groups, return_counts=True)[1]
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"


def _numbers(found: Pooled, fitted: Fitted, honest: bool) -> tuple[dict[str, Any], dict[str, str], Floats | None]:
    """All that is measured beside the intervals, what of it is not defined and why, and the log likelihood ratios.

    `honest` is whether the detector's scores are probabilities everywhere, not in this cell alone.
    """
    threshold = THRESHOLD if fitted.threshold is None else fitted.threshold
    measured: dict[str, Any] = asdict(measures(found.labels, found.scores, threshold))
    undefined = why_undefined(found.labels, found.scores)
    if fitted.threshold is None:
        for name in ("accuracy", "balanced_accuracy"):
            measured[name], undefined[name] = None, fitted.no_threshold
    if not honest:
        for name in ("log_loss", "ece"):
            measured[name], undefined[name] = None, "the scores are not probabilities"
    llrs = fitted.llrs(found.scores)
    if llrs is None:
        undefined["cllr"] = fitted.no_llr
    low, high = fitted.bounds or (None, None)
    if fitted.bounds is None:
        undefined["llr_low"] = undefined["llr_high"] = fitted.no_bounds
    measured |= {"cllr": None if llrs is None else cllr(found.labels, llrs), "llr_low": low, "llr_high": high}
    return measured | {"min_cllr": min_cllr(found.labels, found.scores)}, undefined, llrs
