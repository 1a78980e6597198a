"""Numbers of an evaluation against hand-worked cases, plain definitions, and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from dfgame.evaluate.fitting import best_threshold
from dfgame.evaluate.numbers import (
    cllr,
    delong,
    llr_of,
    min_cllr,
    numbers,
    people_bootstrap,
    pooled,
    tpr_at,
)

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.4, 0.2, 0.7, 0.9, 0.5, 0.3, 0.6])


def auc_by_pairs(labels, scores):
    pairs = product(scores[labels == 1], scores[labels == 0])
    return np.mean([(f > r) + (f == r) / 2 for f, r in pairs])


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", [0.5, 0.4]), ("median", [0.4, 0.4]), ("top-2", [0.65, 0.4]), ("top-9", [0.5, 0.4])]
)
def test_pooling(how, expected):
    groups = np.array(["a", "b", "a", "a"])
    names, values = pooled(groups, np.array([0.4, 0.4, 0.9, 0.2]), how)
    assert names.tolist() == ["a", "b"]
    assert values == pytest.approx(expected)


def test_numbers_worked_by_hand():
    """At 0.45: one real of four is called fake, one fake of four real."""
    found, undefined = numbers(LABELS, SCORES, 0.45)
    assert (found["auc"], found["accuracy"], found["balanced_accuracy"]) == (0.75, 0.75, 0.75)
    likely = [0.9, 0.6, 0.8, 0.3, 0.9, 0.5, 0.3, 0.6]
    assert found["log_loss"] == pytest.approx(-np.log(likely).mean())
    assert set(undefined) == {"tpr_at_1_fpr", "tpr_at_5_fpr"}
    assert found["tpr_at_1_fpr"] is None


def test_unequal_classes():
    """Three real ones right of four, and both fakes: 5 of 6, and (3/4 + 1) / 2."""
    found, _ = numbers(LABELS[:6], SCORES[:6], 0.45)
    assert (found["accuracy"], found["balanced_accuracy"]) == (5 / 6, 0.875)


def test_scores_that_are_no_probabilities():
    found, undefined = numbers(LABELS, 3 * SCORES, None)
    assert found["auc"] == 0.75
    assert [found[name] for name in ("log_loss", "ece", "accuracy")] == [None, None, None]
    assert {"log_loss", "ece"} <= set(undefined)


def test_true_positives_at_few_false_alarms():
    """Of 20 real ones, 0.01 to 0.20, one may be above: from above 0.19 on, that is 2 of 4 fakes."""
    labels = np.array([0] * 20 + [1] * 4)
    scores = np.concatenate([np.arange(1, 21) / 100, [0.195, 0.5, 0.185, 0.1]])
    assert tpr_at(labels, scores, 0.05) == 0.5
    assert tpr_at(labels, scores, 0.01) is None


def test_the_best_threshold_is_halfway():
    assert best_threshold(LABELS, np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])) == pytest.approx(0.5)
    below = best_threshold(np.array([0, 1, 1]), np.array([0.6, 0.2, 0.9]))
    assert below == pytest.approx(0.75)


def test_a_coin_costs_one_bit_and_certainty_nothing():
    assert cllr(LABELS, np.zeros(8)) == pytest.approx(1)
    assert cllr(LABELS, np.where(LABELS == 1, 50.0, -50.0)) == pytest.approx(0, abs=1e-9)
    assert cllr(np.array([0, 1]), np.log(np.array([1 / 3, 3]))) == pytest.approx(np.log2(4 / 3))


def test_the_least_cost_by_hand():
    """In order: real 0.1, fake 0.2, real 0.3, fake 0.4: the middle two are one pool, of half each."""
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    assert min_cllr(labels, scores) == pytest.approx((0 + 1 + 1 + 0) / 4)
    assert min_cllr(labels, -scores) == pytest.approx(1)
    assert min_cllr(LABELS, SCORES) <= cllr(LABELS, 3 * (SCORES - 0.5))


def test_likelihood_ratios_of_two_normal_distributions():
    """Of N(1, 1) against N(0, 1) the true log ratio is x - 1/2."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20_000)
    found = llr_of(labels, rng.normal(size=40_000) + labels)
    at = np.array([-1.0, 0, 0.5, 2])
    assert found(at) == pytest.approx(at - 0.5, abs=0.05)
    with pytest.raises(ValueError, match="the same"):
        llr_of(LABELS, np.full(8, 0.5))


def test_fakes_much_rarer_than_real_ones_have_the_same_ratios():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 40_000 + [1] * 4_000)
    found = llr_of(labels, rng.normal(size=44_000) + labels)
    assert found(np.array([0.5])) == pytest.approx(0, abs=0.05)


def test_delong_by_its_definition():
    """Components one by one, as in the paper: structural components, their covariances, the normal distribution."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [30, 25])
    shared = rng.normal(size=55)
    first, second = (np.round(shared + rng.normal(size=55) + shift * labels, 1) for shift in (1.2, 0.5))
    parts = []
    for scores in (first, second):
        wins = np.array([[(f > r) + (f == r) / 2 for r in scores[labels == 0]] for f in scores[labels == 1]])
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    aucs = [of_fake.mean() for of_fake, _ in parts]
    covariance = sum(np.cov(np.stack([parts[0][k], parts[1][k]])) / n for k, n in ((0, 25), (1, 30)))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    expected = 2 * (1 - norm.cdf(abs(aucs[0] - aucs[1]) / np.sqrt(variance)))
    assert delong(labels, first, second) == pytest.approx(expected)
    assert delong(labels, first, first) == 1.0
    with pytest.raises(ValueError, match="no variance"):
        delong(labels, labels.astype(float), 1.0 - labels)


def test_people_are_drawn_with_all_that_is_of_them():
    """A replicate is the AUC of a sample in which each person comes as often as drawn: by plain repetition."""
    people = np.array(["a", "b", "c", "c", "a", "b", "d", "d"])
    found = people_bootstrap(LABELS, SCORES, people, 300, 0)
    possible = set()
    for only in product("abc", repeat=3):  # these have both, or c only real; d has only fakes, and is drawn always
        both = [name for name in only if name in "ab"]
        if len(both) == 2:
            drawn = [*both, "c", "d"]
            chosen = np.concatenate([np.flatnonzero(people == name) for name in drawn])
            possible.add(round(float(auc_by_pairs(LABELS[chosen], SCORES[chosen])), 9))
    assert {round(float(value), 9) for value in found} == possible


def test_one_person_is_no_sample():
    with pytest.raises(ValueError, match="two people of each class"):
        people_bootstrap(LABELS, SCORES, np.array(["a", "b", "c", "d", "e", "e", "e", "e"]), 100, 0)


def test_the_least_cost_is_below_that_of_every_line():
    """Over all logistic maps of one slope, by a search."""
    best = minimize_scalar(lambda slope: cllr(LABELS, slope * (SCORES - 0.45)), bounds=(0, 50), method="bounded").fun
    assert min_cllr(LABELS, SCORES) < best


@pytest.mark.slow
def test_intervals_over_people_hold_the_truth():
    """60 people with a real video and two fakes each, whose scores share luck; the truth is that of strangers."""
    rng = np.random.default_rng(0)

    def drawn(count):
        luck = rng.normal(size=count)
        real = luck + rng.normal(size=count)
        fakes = [luck + rng.normal(size=count) + 1.2 for _ in range(2)]
        people = np.tile(np.array([f"{k:05d}" for k in range(count)]), 3)
        return np.repeat([0, 1, 1], count), np.concatenate([real, *fakes]), people

    truth = norm.cdf(1.2 / 2)  # of independent people: the difference of two is N(1.2, 4)
    held = 0
    for _ in range(400):
        low, high = np.quantile(people_bootstrap(*drawn(60), 400, 0), [0.025, 0.975])
        held += low <= truth <= high
    assert 0.91 <= held / 400 <= 0.98
