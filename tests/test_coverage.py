"""Intervals of AUCs: by hand, and by simulation of evaluations whose truth is known."""

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

from dfgame.metrics import (
    auc_interval,
    difference_interval,
    fewest_of_a_class,
    paired_interval,
    people_bootstrap,
    share_interval,
)


def test_an_interval_in_log_odds_by_hand():
    """At 0.8 the log-odds are ln 4; a deviation of 0.04 is there one of 0.04 / (0.8 * 0.2) = 0.25."""
    replicates = 0.8 + 0.04 * np.array([-1, 1]) / np.sqrt(2)
    deviation = 0.25
    low, high = auc_interval(0.8, replicates, 10**9)
    assert (logit(low), logit(high)) == pytest.approx(
        (np.log(4) - 1.959964 * deviation, np.log(4) + 1.959964 * deviation), abs=1e-6
    )
    assert 0.8 - low > high - 0.8
    wide = auc_interval(0.8, replicates, 3)
    assert logit(wide[1]) == pytest.approx(np.log(4) + 4.302653 * deviation)


def test_a_paired_interval_by_hand():
    """With 3 people Student's quantile is 4.302653, with very many that of a normal distribution."""
    replicates = 0.1 + 0.02 * np.array([-1, 1]) / np.sqrt(2)
    assert paired_interval(0.1, replicates, 3) == pytest.approx((0.1 - 0.0860531, 0.1 + 0.0860531), abs=1e-6)
    assert paired_interval(0.1, replicates, 10**9) == pytest.approx((0.1 - 0.0391993, 0.1 + 0.0391993), abs=1e-6)
    assert paired_interval(0.0, np.zeros(5), 20) == (0, 0)
    assert paired_interval(0.1, np.append(replicates, np.nan), 3) == paired_interval(0.1, replicates, 3)


def test_two_without_a_single_error_may_differ_by_as_much_as_either_may_err():
    low, _ = auc_interval(1.0, np.ones(5), 20)
    assert paired_interval(0.0, np.zeros(5), 20, perfect=True) == pytest.approx((low - 1, 1 - low))


def test_an_interval_stays_where_an_auc_can_be():
    low, high = auc_interval(0.99, np.random.default_rng(0).normal(0.97, 0.03, 500), 100)
    assert 0 < low < 0.99 < high < 1
    with pytest.raises(ValueError, match="cannot differ"):
        auc_interval(1.0, np.array([1.0, 0.9]), 100)


@pytest.mark.parametrize("people", [2, 5, 30])
def test_without_a_single_error_the_interval_is_that_of_as_many_pairs_in_order(people):
    """Were the AUC at the lower end, so many separate pairs would all be in order in 2.5% of the cases."""
    low, high = auc_interval(1.0, np.ones(50), people)
    assert low**people == pytest.approx(0.025) and high == 1
    assert auc_interval(0.0, np.zeros(50), people) == pytest.approx((0, 1 - low))
    low, high = auc_interval(0.5, np.full(50, 0.5), people)
    assert low == pytest.approx(1 - high) and 0 <= low < 0.5


@pytest.mark.parametrize(("errors", "people"), [(0, 20), (3, 20), (20, 20), (7, 61)])
def test_intervals_of_shares_are_scipys(errors, people):
    expected = binomtest(errors, people).proportion_ci(method="exact")
    assert share_interval(errors / people, people) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_a_difference_by_hand():
    """Of 0.5 (0.2 to 0.6) and 0.3 (0.26 to 0.7): 0.3 and 0.4 below, 0.1 and 0.04 above."""
    low, high = difference_interval(0.5, (0.2, 0.6), 0.3, (0.26, 0.7))
    assert (low, high) == pytest.approx((0.2 - 0.5, 0.2 + np.hypot(0.1, 0.04)))


def test_the_class_of_fewer_people():
    assert fewest_of_a_class([0, 0, 0, 1, 1], ["a", "a", "b", "a", "c"]) == 2
    assert fewest_of_a_class([0, 0, 0, 1, 1], ["a", "a", "a", "a", "c"]) == 1
    assert fewest_of_a_class([1, 1], ["a", "b"]) == 0


def coverage(people, auc, trials, rng):
    """How often the interval holds the truth, of people with a real video and two fakes, whose effects they share."""
    names = [f"p{number}" for number in range(people)] * 3
    labels = np.repeat([0, 1, 1], people)
    held = 0
    for trial in range(trials):
        scores = np.tile(rng.normal(size=people), 3) + rng.normal(size=3 * people) + norm.ppf(auc) * 2 * labels
        found = auc_interval(
            roc_auc_score(labels, scores), people_bootstrap(labels, scores, names, 300, trial), people
        )
        held += found[0] <= auc <= found[1]
    return held / trials


@pytest.mark.slow
@pytest.mark.parametrize(("people", "auc"), [(30, 0.9), (60, 0.97)])
def test_intervals_over_people_hold_the_truth(people, auc):
    """95%; three standard errors of 500 trials are 2.9%."""
    assert 0.92 <= coverage(people, auc, 500, np.random.default_rng(people)) <= 0.98
