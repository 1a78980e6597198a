"""Likelihood ratios against hand cases, scikit-learn, known distributions and a plain search."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from dfgame.metrics import bounded_llrs, calibrate_llrs, cllr, llr_bounds, min_cllr, tippett

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.4, 0.2, 0.7, 0.9, 0.5, 0.3, 0.6])


def normals(n_real, n_fake, apart=1.0, seed=0):
    """Of N(apart, 1) against N(0, 1) the true log likelihood ratio is apart x - apart^2 / 2."""
    labels = np.repeat([0, 1], [n_real, n_fake])
    return labels, np.random.default_rng(seed).normal(size=len(labels)) + apart * labels


def test_saying_nothing_costs_one_bit_and_certainty_nothing():
    assert cllr(LABELS, np.zeros(8)) == pytest.approx(1)
    assert cllr(LABELS, np.where(LABELS == 1, 50.0, -50.0)) == pytest.approx(0, abs=1e-12)
    assert cllr([0, 1], np.log([1 / 3, 3])) == pytest.approx(np.log2(4 / 3))
    assert cllr([0, 0, 0, 1], np.log([1, 1, 1, 3])) == pytest.approx((1 + np.log2(4 / 3)) / 2)
    assert cllr([0, 1], [700.0, 700.0]) == pytest.approx(700 / np.log(2) / 2)


def test_the_least_cost_by_hand():
    """In order real, fake, real, fake: the middle two are one pool, of half each, which costs a bit apiece."""
    assert min_cllr([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]) == pytest.approx((0 + 1 + 1 + 0) / 4)
    assert min_cllr([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]) == 0
    assert min_cllr([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]) == pytest.approx(1)


def test_the_least_cost_is_that_of_isotonic_regression():
    labels, scores = normals(60, 25)
    fitted = IsotonicRegression().fit(scores, labels, sample_weight=np.where(labels, 1 / 25, 1 / 60)).predict(scores)
    with np.errstate(divide="ignore"):
        llrs = np.clip(np.log(fitted) - np.log1p(-fitted), -500, 500)
    assert min_cllr(labels, scores) == pytest.approx(cllr(labels, llrs))
    assert min_cllr(labels, scores) == pytest.approx(min_cllr(labels, 3 * scores**3 + 1))
    assert min_cllr(labels, scores) < min(cllr(labels, a * scores + b) for a in (0.5, 1, 2) for b in (-1, -0.5, 0))


@pytest.mark.parametrize("as_probability", [True, False])
def test_ratios_of_two_normal_distributions(as_probability):
    """Also where fakes are ten times rarer: a ratio has no prior in it."""
    labels, scores = normals(40_000, 4_000)
    at = np.array([-1.0, 0, 0.5, 2])
    spread = expit if as_probability else np.asarray
    found = calibrate_llrs(labels, spread(scores))(spread(at))
    assert found == pytest.approx(at - 0.5, abs=0.08)


def test_scores_that_say_nothing_or_cannot_be_used():
    assert (calibrate_llrs(LABELS, 1 - LABELS)(SCORES) == 0).all()
    with pytest.raises(ValueError, match="the same"):
        calibrate_llrs(LABELS, np.full(8, 0.5))
    with pytest.raises(ValueError, match="not probabilities"):
        calibrate_llrs(LABELS, SCORES)([1.5])
    assert np.isfinite(calibrate_llrs(LABELS, LABELS)([0, 1])).all()


def test_tippett_by_hand():
    found = tippett([0, 0, 1, 1], [-1.0, 2.0, 2.0, 3.0])
    assert found.llrs.tolist() == [-1, 2, 3]
    assert found.real.tolist() == [1, 0.5, 0]
    assert found.fake.tolist() == [1, 1, 0.5]


def test_bounds_without_an_error_by_hand():
    """Of 9 real and 4 fakes apart: one more real one accused is 1 in 10, one more fake missed 1 in 5.

    Upper: 1/5 + t / 10 <= 1 up to t = 8. Lower: 1/5 + t / 10... turned round, 1/10 + u / 5 <= 1 up to u = 4.5.
    """
    labels = [0] * 9 + [1] * 4
    low, high = llr_bounds(labels, [-20.0] * 9 + [20.0] * 4, range(13))
    assert (low, high) == pytest.approx((-np.log(4.5), np.log(8)))
    assert bounded_llrs([-9, 0.5, 9], (low, high)) == pytest.approx([low, 0.5, high])


def plain_bounds(labels, llrs):
    """The first threshold on a grid, outwards from 1, at which evidence with an added error does not pay."""
    real, fake = llrs[labels == 0], llrs[labels == 1]

    def pays(log_t):
        missed = (np.sum(fake <= log_t) + 1) / (len(fake) + 1)
        accused = (np.sum(real > log_t) + 1) / (len(real) + 1)
        return missed + np.exp(log_t) * accused <= min(1, np.exp(log_t))

    grid = np.arange(0.0005, 10, 0.001)
    return -next(t for t in grid if not pays(-t)), next(t for t in grid if not pays(t))


@pytest.mark.parametrize("seed", range(5))
def test_bounds_by_a_search(seed):
    labels, scores = normals(80, 50, 2.0, seed)
    llrs = 2 * scores - 2
    found = llr_bounds(labels, llrs, range(130))
    assert found == pytest.approx(plain_bounds(labels, llrs), abs=0.002)
    four_times = np.tile(labels, 4), np.tile(llrs, 4), np.tile(np.arange(130), 4)
    assert llr_bounds(*four_times) == pytest.approx(found), "copies of a person's clip bear no more"
    shared = np.concatenate([np.arange(80), np.arange(50)])
    assert llr_bounds(labels, llrs, shared) == found, "a person's real clip and the fake on it count apart"


def test_more_data_bears_more():
    few, many = (
        llr_bounds(labels, 3 * scores - 4.5, np.arange(len(labels)))
        for labels, scores in (normals(20, 20, 3), normals(2000, 2000, 3))
    )
    assert many[0] < few[0] < 0 < few[1] < many[1]


def test_data_that_bear_no_bound():
    with pytest.raises(ValueError, match="real ones of 1 and fake ones of 1 people, cannot bear"):
        llr_bounds([0, 0, 1, 1], [-5.0, -5.0, 5.0, 5.0], ["a", "a", "b", "b"])
    with pytest.raises(ValueError, match="cannot bear"):
        llr_bounds(LABELS, np.where(LABELS == 1, -3.0, 3.0), range(8))
    with pytest.raises(ValueError, match="no fake"):
        llr_bounds([0, 0], [-5.0, 5.0], "ab")
