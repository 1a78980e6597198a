"""One detector's scores -> its results on every cell, at the levels of frames, faces and videos."""

from dataclasses import dataclass

from dfgame.config import EvaluateConfig
from dfgame.fitting import fit
from dfgame.players import Entry
from dfgame.scored import Scores, cells_of, levels_of, of_place
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
    crop: str = "",
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
        crop: how the faces were cut out, in words.
    """
    levels = levels_of(scores, whole_videos)
    fitted = {level: fit(validation, level, entry, config) for level in levels}
    cells = cells_of(scores)
    found = Measured([], {}, [])
    for cell in in_order(list(cells)):
        frames = of_place(scores, cells[cell])
        try:
            of_cell = {level: _measure(entry, cell, cells[cell], frames, level, fitted, config) for level in levels}
        except ValueError as error:
            found.undefined.append({"run": entry.name, **cell._asdict(), "reason": str(error)})
            continue
        found.results.extend(evidence.result for evidence in of_cell.values())
        found.cells[cell] = of_cell["video"]
    return found
