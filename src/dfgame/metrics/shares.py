"""Intervals of shares and of differences, from how many people they rest on."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta

from dfgame.records import COVERAGE, Interval


def fewest_of_a_class(labels: ArrayLike, people: ArrayLike) -> int:
    """How many different people the class has that has fewer; 0 where one is missing."""
    truth, of = np.asarray(labels), np.asarray(people)
    return min(len(np.unique(of[truth == label])) for label in (0, 1))


def share_interval(share: float, people: int, coverage: float = COVERAGE) -> Interval:
    """An interval of a share of things that are of so many people; always inside [0, 1].

    That of Clopper and Pearson (1934), as if there were one thing a person: exact, if there is. If several things of
    a person count, it holds however alike they are, and is too wide where they are not; after Korn and Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey data"
    (1998), with people for the effective number.
    """
    tail, yes = (1 - coverage) / 2, share * people
    low = float(beta.ppf(tail, yes, people - yes + 1)) if share > 0 else 0.0
    high = float(beta.ppf(1 - tail, yes + 1, people - yes)) if share < 1 else 1.0
    return low, high


def difference_interval(one: float, of_one: Interval, other: float, of_other: Interval) -> Interval:
    """An interval of `one` less `other`, measured on different people, from the intervals of both.

    Source: Zou and Donner, "Construction of confidence limits about effect measures: a general approach" (2008).
    """
    below = np.hypot(one - of_one[0], of_other[1] - other)
    above = np.hypot(of_one[1] - one, other - of_other[0])
    return float(one - other - below), float(one - other + above)
