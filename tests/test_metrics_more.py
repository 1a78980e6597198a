"""Rates, pooling, the bootstrap over people and DeLong's test, against hand cases and plain definitions."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from dfgame.metrics import (
    balanced_accuracy,
    delong,
    measures,
    multiplicities,
    people_bootstrap,
    pooled,
    true_positive_rate_at,
    why_undefined,
)

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.4, 0.2, 0.7, 0.9, 0.5, 0.3, 0.6])


def test_rates_at_a_threshold_by_hand():
    """At 0.45 one real of four is called fake and one fake of four real; without two fakes, 3/4 and 2/2 are right."""
    found = measures(LABELS, SCORES, 0.45)
    assert (found.accuracy, found.balanced_accuracy) == (0.75, 0.75)
    assert balanced_accuracy(LABELS[:6], SCORES[:6], 0.45) == (3 / 4 + 1) / 2
    assert balanced_accuracy(LABELS, SCORES, 0.65) == balanced_accuracy_score(LABELS, SCORES >= 0.65)
    assert found.log_loss == pytest.approx(log_loss(LABELS, SCORES))


def test_fakes_found_at_few_false_alarms_by_hand():
    """Of 20 real ones, 0.01 to 0.20, one may be above: from above 0.19 on, that is 2 of 4 fakes."""
    labels = np.array([0] * 20 + [1] * 4)
    scores = np.concatenate([np.arange(1, 21) / 100, [0.195, 0.5, 0.185, 0.19]])
    assert true_positive_rate_at(labels, scores, 0.05) == 0.5
    assert true_positive_rate_at(labels, scores, 0.1) == 1
    assert measures(labels, scores).tpr_at_5_fpr == 0.5
    with pytest.raises(ValueError, match="20 real ones are too few for a false positive rate of 1%: it takes 100"):
        true_positive_rate_at(labels, scores, 0.01)
    with pytest.raises(ValueError, match=r"not in \(0, 1\)"):
        true_positive_rate_at(labels, scores, 1)


def test_ties_are_no_way_to_find_fakes_without_false_alarms():
    """Every score comes of one real and one fake, so that the curve is the diagonal."""
    scores = np.tile(np.arange(200) / 200, 2)
    assert true_positive_rate_at(np.repeat([0, 1], 200), scores, 0.05) == pytest.approx(0.05)
    assert true_positive_rate_at(np.repeat([0, 1], 200), np.full(400, 0.3), 0.05) == 0


def test_fakes_found_is_the_most_that_any_threshold_finds():
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels = np.repeat([0, 1], [40, 30])
        scores = np.round(rng.normal(size=70) + labels, 1)
        rates = [
            (scores[labels == 1] >= t).mean()
            for t in [*scores, np.inf]
            if (scores[labels == 0] >= t).mean() <= 0.1 + 1e-9
        ]
        assert true_positive_rate_at(labels, scores, 0.1) == max(rates)


def test_what_is_none_has_a_reason():
    found, reasons = measures(LABELS, 3 * SCORES), why_undefined(LABELS, 3 * SCORES)
    assert (found.auc, found.tpr_at_1_fpr, found.tpr_at_5_fpr, found.log_loss, found.ece) == (0.75, *[None] * 4)
    assert set(reasons) == {"tpr_at_1_fpr", "tpr_at_5_fpr", "log_loss", "ece"}
    assert reasons["ece"] == "the scores are not probabilities"
    assert set(why_undefined(np.repeat([0, 1], 100), np.full(200, 0.5))) == set()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [0.5, 0.4]),
        ("median", [0.4, 0.4]),
        ("top-1", [0.9, 0.4]),
        ("top-2", [0.65, 0.4]),
        ("top-9", [0.5, 0.4]),
    ],
)
def test_pooling(how, expected):
    names, values = pooled(["a", "b", "a", "a"], [0.4, 0.4, 0.9, 0.2], how)
    assert names.tolist() == ["a", "b"]
    assert values == pytest.approx(expected)


@pytest.mark.parametrize("how", ["top", "top-0", "top--1", "most", "top-x", ""])
def test_unknown_pooling_is_an_error(how):
    with pytest.raises(ValueError, match="pooling is"):
        pooled(["a"], [0.4], how)


def test_a_replicate_is_the_auc_of_the_people_drawn():
    """Replicate by replicate as sklearn's AUC of the repeated rows; without a class it is not defined."""
    people = np.array(["a", "b", "c", "c", "a", "b", "d", "d"])
    found = people_bootstrap(LABELS, SCORES, people, 200, 0)
    expected = []
    for draw in multiplicities(["a", "b", "c", "d"], 200, 0):
        rows = np.repeat(np.arange(8), draw[np.searchsorted(["a", "b", "c", "d"], people)])
        both = len(set(LABELS[rows])) == 2
        expected.append(roc_auc_score(LABELS[rows], SCORES[rows]) if both else np.nan)
    assert 0 < np.isnan(expected).sum() < 100
    assert found == pytest.approx(expected, nan_ok=True)


def test_cells_that_lack_some_people_know_that_the_others_are_the_same():
    """A mean over four cells of the same real videos, one person missing in each, is as uncertain as one of them."""
    rng = np.random.default_rng(0)
    people = np.array([f"p{number}" for number in range(40)] * 2)
    labels = np.repeat([0, 1], 40)
    scores = np.tile(rng.normal(size=40), 2) + 0.1 * rng.normal(size=80) + labels * rng.normal(1, 1, size=80)
    kept = [people != f"p{missing}" for missing in range(4)]
    cells = [people_bootstrap(labels[one], scores[one], people[one], 500, 0) for one in kept]
    whole = people_bootstrap(labels, scores, people, 500, 0).std()
    assert np.mean(cells, axis=0).std() == pytest.approx(whole, rel=0.1)
    assert np.corrcoef(cells).min() > 0.9


def test_draws_of_two_detectors_are_pairs():
    people = ["a", "b", "c", "d", "a", "b", "c", "d"]
    same = people_bootstrap(LABELS, SCORES, people, 100, 1) - people_bootstrap(LABELS, SCORES**2, people, 100, 1)
    assert (same == 0).all()
    assert (people_bootstrap(LABELS, SCORES, people, 100, 1) != people_bootstrap(LABELS, SCORES, people, 100, 2)).any()


def test_one_person_is_no_sample():
    with pytest.raises(ValueError, match="two people of each class"):
        people_bootstrap(LABELS, SCORES, ["a", "b", "c", "d", "e", "e", "e", "e"], 100, 0)


def test_delong_by_hand():
    """Two of each class. a orders all four pairs; b, with the first real one tied with the first fake and the second
    above both, 1/2 of 4. Differences: of the fakes 1 - 1/4 and 1 - 1/4, of the real ones 1 - 1/2 and 1 - 0."""
    labels, a, b = [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], [0.5, 0.9, 0.5, 0.5]
    found = delong(labels, a, b)
    assert (found.auc_a, found.auc_b, found.difference) == (1, 0.25, 0.75)
    # Of the fakes 3/4 and 3/4: no variance. Of the real ones 0 and 1 for b is 1/2 and 0: the differences 1/2 and 1.
    assert found.error == pytest.approx(np.sqrt(0 / 2 + 0.125 / 2))
    assert found.z == pytest.approx(3)
    assert found.p == pytest.approx(0.0027, abs=1e-5)


def test_delong_by_its_definition():
    """Structural components pair by pair, their covariances, the normal distribution."""
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat([0, 1], [30, 25]))
    shared = rng.normal(size=55)
    scores = [np.round(shared + rng.normal(size=55) + shift * labels, 1) for shift in (1.2, 0.5)]
    parts = []
    for one in scores:
        won = np.array([[(f > r) + (f == r) / 2 for r in one[labels == 0]] for f in one[labels == 1]])
        parts.append((won.mean(axis=1), won.mean(axis=0)))
    of_fakes, of_real = (np.cov(np.stack([parts[0][k], parts[1][k]])) for k in (0, 1))
    covariance = of_fakes / 25 + of_real / 30
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = delong(labels, *scores)
    assert (found.auc_a, found.auc_b) == pytest.approx(tuple(roc_auc_score(labels, one) for one in scores))
    assert found.error == pytest.approx(error)
    assert found.p == pytest.approx(2 * (1 - norm.cdf(abs(found.difference) / error)))
    assert delong(labels, *scores[::-1]).z == pytest.approx(-found.z)


def test_delong_of_nothing():
    assert delong(LABELS, SCORES, SCORES).p == 1
    with pytest.raises(ValueError, match="no variance"):
        delong(LABELS, LABELS, 1 - LABELS)
    with pytest.raises(ValueError, match="two of each"):
        delong([0, 1, 1], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])


def test_delong_keeps_its_level():
    """Two equally good detectors on independent videos: p is below 0.05 in about one case of twenty."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    below = [
        delong(labels, *(shared + rng.normal(size=(2, 80)) + 1.5 * labels)).p < 0.05
        for shared in rng.normal(size=(600, 80))
    ]
    assert 0.025 <= np.mean(below) <= 0.085


def test_pairs_counted_plainly():
    pairs = product(SCORES[LABELS == 1], SCORES[LABELS == 0])
    assert measures(LABELS, SCORES).auc == np.mean([f > r for f, r in pairs])
