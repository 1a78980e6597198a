"""Metrics against hand-worked cases, scikit-learn, explicit resampling and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import auc as area
from sklearn.metrics import average_precision_score, roc_auc_score

from dfgame.metrics import (
    accuracy,
    balanced,
    equal_error_rate,
    expected_calibration_error,
    honesty,
    mean_roc,
    measures,
    multiplicities,
    people_bootstrap,
    reliability,
    roc,
    video_means,
    wins,
)

scored = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 8).map(lambda n: n / 8)), min_size=4, max_size=30
).filter(lambda rows: len({label for label, _ in rows}) == 2)


def test_hand_worked_case():
    # Pairs (real, fake): .1<.4 .1<.8 .6>.4 .6<.8, so three of four are in order. One of each kind is on the
    # wrong side of 0.5. Ranked .8 fake, .6 real, .4 fake, .1 real: precision 1/1 and 2/3 at the two fakes.
    found = measures([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.8])
    assert found.auc == 0.75
    assert found.accuracy == 0.5
    assert found.eer == 0.5
    assert found.ap == pytest.approx((1 + 2 / 3) / 2)
    assert (found.n_real, found.n_fake) == (2, 2)


def test_eer_is_interpolated_between_thresholds():
    # The ROC goes (0, 0) (0, 1/3) (1/2, 1/3) (1/2, 1) (1, 1); fpr + tpr = 1 is crossed at fpr 1/2, on a step.
    assert equal_error_rate([1, 0, 1, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.1]) == pytest.approx(0.5)
    # One real and one fake tie: the slanted segment from (0, 1/2) to (1/2, 1) is crossed at fpr 1/4.
    assert equal_error_rate([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1]) == pytest.approx(0.25)
    assert equal_error_rate([0, 0, 1], [0.1, 0.2, 0.9]) == 0
    assert equal_error_rate([0, 0, 1], [0.5, 0.5, 0.5]) == pytest.approx(0.5)


def test_half_counts_as_fake():
    assert accuracy([1, 0], [0.5, 0.5]) == 0.5
    assert accuracy([1, 0], [0.5, 0.49]) == 1


@given(scored)
def test_agrees_with_scikit_learn(rows):
    labels, scores = zip(*rows, strict=True)
    found = measures(labels, scores)
    assert found.auc == pytest.approx(roc_auc_score(labels, scores))
    assert found.ap == pytest.approx(average_precision_score(labels, scores))


@given(scored)
def test_only_the_order_of_scores_matters(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    moved = scores**3 * 0.5 + 0.1
    before, after = measures(labels, scores), measures(labels, moved)
    assert after.auc == pytest.approx(before.auc)
    assert after.ap == pytest.approx(before.ap)
    assert after.eer == pytest.approx(before.eer)


@given(scored)
def test_calling_real_fake_turns_the_auc_round(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    assert measures(1 - labels, scores).auc == pytest.approx(1 - measures(labels, scores).auc)
    mirrored = measures(1 - labels, 1 - scores)
    assert mirrored.auc == pytest.approx(measures(labels, scores).auc)
    assert mirrored.eer == pytest.approx(measures(labels, scores).eer)


@given(scored)
def test_eer_lies_on_the_curve(rows):
    labels, scores = zip(*rows, strict=True)
    rate = equal_error_rate(labels, scores)
    curve = roc(labels, scores)
    low = max(t for f, t in zip(curve.fpr, curve.tpr, strict=True) if f <= rate + 1e-12)
    high = min((t for f, t in zip(curve.fpr, curve.tpr, strict=True) if f >= rate - 1e-12), default=1)
    assert min(low, high) - 1e-9 <= 1 - rate <= max(low, high) + 1e-9


@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([], [], "no real"),
        ([0, 0], [0.1, 0.2], "no fake"),
        ([1, 1], [0.1, 0.2], "no real"),
        ([0, 1], [0.1, float("nan")], "1 scores are not finite"),
        ([0, 1], [0.1, float("inf")], "not finite"),
        ([0, 1], [0.1], "do not match"),
        ([0, 2], [0.1, 0.2], "labels must be"),
    ],
)
def test_what_is_not_defined_is_an_error(labels, scores, reason):
    for function in (measures, accuracy, equal_error_rate, roc):
        with pytest.raises(ValueError, match=reason):
            function(labels, scores)


def auc_percentiles(labels, scores, people, replicates=1_000, seed=0):
    return np.quantile(people_bootstrap(labels, scores, people, replicates, seed), [0.025, 0.975])


def test_a_video_is_its_whole_path():
    names, means = video_means(["x/1.mp4", "y/1.mp4", "x/1.mp4"], [0.2, 0.9, 0.4])
    assert names.tolist() == ["x/1.mp4", "y/1.mp4"]
    assert means.tolist() == pytest.approx([0.3, 0.9])


@given(st.lists(scored, min_size=1, max_size=4))
def test_the_area_below_the_mean_curve_is_the_mean_area(sets):
    curves = [roc(*zip(*rows, strict=True)) for rows in sets]
    fpr, tpr = mean_roc(curves)
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= -1e-12).all()
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert area(fpr, tpr) == pytest.approx(np.mean([area(c.fpr, c.tpr) for c in curves]))


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=2, max_size=4), st.randoms())
def test_wins_counts_pairs_of_frames(videos, random):
    real = [np.array(scores, float) for scores in videos]
    fake = [np.array([random.randint(0, 5) for _ in scores], float) for scores in videos]
    counted = [[sum((r < f) + (r == f) / 2 for r in a for f in b) for b in fake] for a in real]
    assert wins(real, fake).tolist() == counted


def test_each_person_is_drawn_by_itself_a_poisson_number_of_times():
    names = [f"v{i}" for i in range(8)]
    draws = multiplicities(names, 4000, 3)
    assert draws.mean(axis=0) == pytest.approx(np.ones(8), abs=0.08)
    assert draws.var(axis=0) == pytest.approx(np.ones(8), abs=0.12)
    assert (draws == 0).mean() == pytest.approx(np.exp(-1), abs=0.01)
    assert np.abs(np.corrcoef(draws.T) - np.eye(8)).max() < 0.07
    assert (multiplicities(names[:2:-1], 4000, 3)[:, ::-1] == draws[:, 3:]).all(), "whoever else there is"
    assert (draws != multiplicities(names, 4000, 4)).any()
    assert (draws != multiplicities([f"w{i}" for i in range(8)], 4000, 3)).any()


def test_frames_of_one_video_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    of_video = rng.normal(size=40) + np.repeat([0, 1], 20)
    labels, names = np.repeat([0, 1], 20), [f"v{i}" for i in range(40)]
    once = auc_percentiles(labels, of_video, names)
    repeated = auc_percentiles(np.repeat(labels, 50), np.repeat(of_video, 50), np.repeat(names, 50).tolist())
    assert repeated == pytest.approx(once)


def _coverage(videos: int, auc: float, trials: int) -> float:
    """How often the interval holds the true AUC of two normal distributions."""
    rng = np.random.default_rng(1)
    labels, names = np.repeat([0, 1], videos), [f"v{i}" for i in range(2 * videos)]
    apart = norm.ppf(auc) * np.sqrt(2)
    held = 0
    for trial in range(trials):
        scores = rng.normal(size=2 * videos) + apart * labels
        low, high = auc_percentiles(labels, scores, names, 300, trial)
        held += low <= auc <= high
    return held / trials


@pytest.mark.parametrize("auc", [0.6, 0.8])
def test_intervals_hold_the_truth(auc):
    assert _coverage(40, auc, 60) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("auc", [0.7, 0.9])
def test_coverage(auc):
    assert 0.91 <= _coverage(60, auc, 2000) <= 0.98


@pytest.mark.slow
def test_few_videos_cover_too_little():
    """Why an interval on fewer than `summary.FEWEST_PEOPLE` carries no claim."""
    assert _coverage(6, 0.9, 1000) < 0.85


def test_calibration_error_by_hand():
    # Three bins hold scores: 0.05 is real, two at 0.15 of which half are fake, 0.95 is fake; they are off by 0.05,
    # 0.35 and 0.05, with weights of a quarter, a half and a quarter.
    labels, scores = [0, 0, 1, 1], [0.05, 0.15, 0.15, 0.95]
    assert expected_calibration_error(labels, scores) == pytest.approx(0.05 / 4 + 0.35 / 2 + 0.05 / 4)
    bins = reliability(labels, scores)
    assert [(round(one.low, 6), round(one.high, 6), one.n) for one in bins] == [
        (0, 0.1, 1),
        (0.1, 0.2, 2),
        (0.9, 1, 1),
    ]
    assert [one.fakes for one in bins] == [0, 0.5, 1]
    assert [one.share for one in bins] == [0.25, 0.5, 0.25]


def test_real_and_fake_count_alike_together():
    # One real and three fakes, all at a half: plainly three in four are fake, of equal classes one in two is.
    assert balanced([0, 1, 1, 1]) == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert expected_calibration_error([0, 1, 1, 1], [0.5] * 4) == pytest.approx(0.25)
    found = honesty([0, 1, 1, 1], [0.5] * 4)
    assert (found.ece, found.log_loss) == pytest.approx((0, np.log(2)))
    assert honesty([0, 1, 1, 1], [0.2, 0.8, 0.8, 0.8]).log_loss == pytest.approx(-np.log(0.8))


def test_certainty_belongs_to_the_last_bin_and_scores_must_be_probabilities():
    assert [one.n for one in reliability([0, 1, 1], [0.0, 1.0, 0.95])] == [1, 2]
    with pytest.raises(ValueError, match="not a probability"):
        reliability([0, 1], [0.5, 1.5])
