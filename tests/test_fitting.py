"""Thresholds and likelihood ratios, fitted on validation videos and on nothing else: by hand."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfgame.config import EvaluateConfig
from dfgame.evaluate.fitting import best_threshold, calibrated, fit
from dfgame.evaluate.measure import measure_run
from dfgame.evaluate.scored import Scores
from dfgame.outcomes import Level
from dfgame.players import Entry, Training

CONFIG = EvaluateConfig(replicates=100)
RUN = Entry(Path("run"), "run", "none", Training((), ()), 0, {})
TABLE = replace(RUN, info={"kind": "scores"})


def scores_of(real, fake) -> Scores:
    """A frame a video, each of another person."""
    labels = np.repeat([0, 1], [len(real), len(fake)])
    names = np.array([f"{number:04d}" for number in range(len(labels))])
    methods, same = np.where(labels == 1, "FaceSwap", "original"), np.full(len(labels), "x")
    return Scores(labels, np.array([*real, *fake]), methods, same, names, same, same, names, names)


NOTHING = scores_of([], [])


@pytest.mark.parametrize(
    ("real", "fake", "threshold"),
    [
        ([0.1, 0.2], [0.6, 0.7], 0.4),  # halfway between the classes
        ([0.6], [0.2, 0.9], 0.75),  # half of the fakes found and nobody accused, rather than all found and accused
        ([0.1, 0.4], [0.3, 0.6], 0.5),  # 0.2 and 0.5 are equally good: of two the higher
    ],
)
def test_the_best_threshold(real, fake, threshold):
    scores = scores_of(real, fake)
    assert best_threshold(scores.labels, scores.scores) == pytest.approx(threshold)


def test_where_the_threshold_comes_from():
    validation = scores_of([0.1, 0.2], [0.6, 0.7])
    assert fit(validation, "video", RUN, CONFIG).threshold_from == "validation"
    given = fit(validation, "video", RUN, replace(CONFIG, threshold=0.3))
    assert (given.threshold, given.threshold_from) == (0.3, "given") and given.llr is not None
    default = fit(NOTHING, "video", RUN, CONFIG)
    assert (default.threshold, default.threshold_from) == (0.5, "default")
    none = fit(NOTHING, "video", TABLE, CONFIG)
    assert none.threshold is None and "no validation videos were scored" in none.no_threshold


def test_validation_of_one_class_fits_nothing():
    found = fit(scores_of([0.1, 0.2], []), "video", RUN, CONFIG)
    assert found.llr is None and found.no_llr == "no fake validation videos were scored"
    assert found.threshold_from == "default"


def test_ratios_of_probabilities_are_undefined_for_other_scores():
    tested = scores_of([0.1, 0.2, 3.0], [0.6, 0.7, 5.0])
    found = measure_run(RUN, tested, scores_of([0.1, 0.2], [0.6, 0.7]), CONFIG)
    (result,) = [one for one in found.results if one.level == "video"]
    assert result.cllr is None and "cllr: the scores are not probabilities" in result.undefined
    assert result.auc == pytest.approx(7 / 9)


def test_whether_scores_are_probabilities_is_one_answer_for_all_cells():
    """Distances of one method lie between 0 and 1 by chance; those of another, or of validation, do not."""
    tested = scores_of([0.1, 0.2, 0.3], [0.6, 0.7, 5.0])
    tested = replace(tested, methods=np.array(["original"] * 3 + ["FaceSwap"] * 2 + ["Deepfakes"]))
    near = tested.where(tested.methods != "Deepfakes")
    for scores, validation in ((tested, NOTHING), (near, scores_of([-0.1, 0.2], [0.6, 0.7]))):
        for result in measure_run(RUN, scores, validation, CONFIG).results:
            assert result.log_loss is None and result.ece is None
            assert "ece: the scores are not probabilities" in result.undefined
    assert all(one.ece is not None for one in measure_run(RUN, near, NOTHING, CONFIG).results)
    found = measure_run(RUN, tested, scores_of([0.1, 0.2], [0.6, 0.7]), CONFIG).results
    assert len(found) == 4 and {(one.cllr, one.llr_low) for one in found} == {(None, None)}


def test_bounds_count_people_and_not_frames_or_copies():
    """Twenty people with a real and a fake video each, all apart: ln 20 at most, with 50 frames of each, too."""
    one = scores_of(np.linspace(0.01, 0.1, 20), np.linspace(0.9, 0.99, 20))
    one = replace(one, people=np.array([f"{number % 20}" for number in range(40)]))
    names = [item.name for item in fields(Scores) if item.name not in ("by", "classes")]
    columns: dict[str, Any] = {name: np.repeat(getattr(one, name), 50) for name in names}
    many = Scores(**columns)
    cases: tuple[tuple[Scores, Level], ...] = ((one, "video"), (many, "frame"), (many, "video"))
    for scores, level in cases:
        low, high = fit(scores, level, RUN, CONFIG).bounds or (0, 0)
        assert -np.log(20) - 1e-9 < low < -2 and 2 < high < np.log(20) + 1e-9


def test_what_is_tested_changes_no_threshold():
    """The test videos are all above it; what was fitted does not move."""
    validation = scores_of([0.1, 0.2], [0.6, 0.7])
    found = measure_run(RUN, scores_of([0.8, 0.81], [0.9, 0.95]), validation, CONFIG)
    assert all(one.threshold == pytest.approx(0.4) for one in found.results)
    assert {(one.accuracy, one.balanced_accuracy, one.auc) for one in found.results} == {(0.5, 0.5, 1.0)}


def test_a_box_calibrates_the_mean_and_not_the_frames():
    """Odds 4 to the power 2, times e to the -1, of a raw mean of 0.8."""
    entry = replace(RUN, info={"kind": "box", "calibration": {"slope": 2.0, "intercept": -1.0}})
    odds = 16 / np.e
    assert calibrated(np.array([0.8]), entry) == pytest.approx(odds / (1 + odds))
    assert calibrated(np.array([0.8]), RUN) == 0.8
