"""The page's parts beside detectors' rows: worth of scores, pairs, groups, classes, inputs."""

from dataclasses import replace

import numpy as np
import pytest

from dfgame.config import EvaluateConfig
from dfgame.evaluate import evaluate_runs
from dfgame.metrics import tippett
from dfgame.outcomes import Account, Confusion, Gap, Group, Pair
from dfgame.report.figures import tippett_figure
from dfgame.report.page import render_page
from dfgame.report.words import p_value
from dfgame.report.worth import worth_of
from dfgame.summary import Evaluation
from synthetic_runs import made_up_scorer, manifest_rows, read_run, write_rows, write_run

WHY = "an interval needs at least two people of each class"
GROUP = Group(
    "none-0", "sex", "f", "Made-up Faces", "c23", 11, 31, 0.812, (0.7, 0.9), 0.5, 0.1, (0, 0.2), 0.2, (0.1, 0.3)
)
NOBODY = replace(GROUP, value="m", n_real=1, auc=None, auc_interval=None, undefined=WHY)
GAP = Gap("none-0", "sex", "Made-up Faces", "c23", "fake_called_real", "f", "m", 0.123, -0.05, 0.2, ("m",))
PAIR = Pair("none-0", "<b>", "FaceSwap", "c23", "Made-up Faces", 24, 24, 3, 0.81, 0.7, 0.11, 0.02, 0.2, 0.00002)
CLASSES = Confusion(
    "none-0", "Made-up Faces", "c23", "video", ("real", "A", "B"), ((3, 1, 0), (0, 4, 0), (0, 0, 0)), 0.875, 0.876, 2
)
ACCOUNT = Account("none-0", "video", 40, 33, 1, 2, 3, 0, 1, failures_known=False)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory) -> Evaluation:
    folder = tmp_path_factory.mktemp("evaluation")
    manifest = write_rows(folder / "manifest.parquet", manifest_rows(8, 2, ("c40",)))
    run = write_run(folder / "none-0", "none")
    return evaluate_runs([run], manifest, folder / "out", EvaluateConfig(replicates=100), made_up_scorer(), read_run)


def test_the_page_shows_what_was_found_beside_the_rows(evaluation):
    shown = replace(
        evaluation, pairs=[PAIR], groups=[GROUP, NOBODY], gaps=[GAP], confusions=[CLASSES], accounting=[ACCOUNT]
    )
    text = render_page(shown)
    for name in ("worth", "pairs", "groups", "classes", "accounting"):
        assert f'<h2 id="{name}">' in text
    assert "&lt; 0.001" in text and "<td>&lt;b&gt;</td>" in text
    assert WHY in text and "0.812" in text and "0.700–0.900" in text
    assert "fake called real" in text and "-0.050 to 0.200" in text
    assert "balanced over the 2 of 3 classes that were tested 0.876" in text
    assert "does not say which videos extraction failed on" in text
    assert text == render_page(shown)


def test_what_there_is_not_has_no_heading(evaluation):
    text = render_page(replace(evaluation, pairs=[], groups=[], gaps=[], confusions=[], accounting=[]))
    assert not [name for name in ("pairs", "groups", "classes", "accounting") if f'<h2 id="{name}">' in text]


def test_worth_is_drawn_or_said_to_be_undefined(evaluation):
    found = worth_of(evaluation, evaluation.players[0])
    assert found.reliability and not found.no_reliability
    assert found.tippett is None and found.no_tippett.startswith("no validation videos")
    run = evaluation.runs[0]
    cells = {cell: replace(one, scores=5 * one.scores, llrs=one.scores - 0.5) for cell, one in run.cells.items()}
    found = worth_of(replace(evaluation, runs=[replace(run, cells=cells)]), evaluation.players[0])
    assert found.no_reliability == "the scores are not probabilities"
    assert found.tippett


def test_bounds_of_several_seeds_are_the_tightest(evaluation, monkeypatch):
    """Of -2 to 3 and -1 to 4: -1 to 3; none where a seed has none."""
    drawn = []
    monkeypatch.setattr("dfgame.report.worth.tippett_figure", lambda *given: drawn.append(given[-1]) or "")

    def run(seed, **bounds):
        one = evaluation.runs[0]
        cells = {
            cell: replace(found, llrs=found.scores - 0.5, result=replace(found.result, **bounds))
            for cell, found in one.cells.items()
        }
        return replace(one, seed=seed, cells=cells)

    runs = [run(0, llr_low=-2.0, llr_high=3.0), run(1, llr_low=-1.0, llr_high=4.0), run(2)]
    for several in (runs[:2], runs):
        worth_of(replace(evaluation, runs=several), evaluation.players[0])
    assert drawn == [(-1.0, 3.0), None]


def test_the_reason_why_there_is_no_tippett_plot_is_the_true_one(evaluation):
    run = evaluation.runs[0]
    cells = {
        cell: replace(
            one, result=replace(one.result, undefined="auc_low: x; cllr: all validation scores are the same")
        )
        for cell, one in run.cells.items()
    }
    found = worth_of(replace(evaluation, runs=[replace(run, cells=cells)]), evaluation.players[0])
    assert found.no_tippett == "all validation scores are the same"


def test_each_real_video_counts_once(evaluation):
    """Eight people, three methods: 8 real and 24 fakes, not 24 and 24."""
    label = str(worth_of(evaluation, evaluation.players[0]).reliability).split('aria-label="')[1].split('"')[0]
    counts = [int(part.split()[-2]) for part in label.split(";")]
    assert sum(counts) == 32


def test_a_tippett_plot_says_how_many_are_misled():
    curves = tippett([0, 0, 1, 1], np.array([-1.0, 2.0, 2.0, 3.0]))
    text = tippett_figure("a", curves, (-2.0, 2.0))
    assert "0.50 of the real videos have a likelihood ratio above 1, 0.00 of the fakes" in text
    assert text != tippett_figure("a", curves, None)


def test_small_p_values_are_not_told_apart():
    assert [p_value(p) for p in (None, 0.0004, 0.0123)] == ["n/d", "< 0.001", "0.012"]
