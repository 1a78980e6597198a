"""Scores -> numbers that can be defended: AUC, average precision, EER, accuracy, likelihood ratios, intervals.

Everywhere, `labels` are class numbers (real 0, fake 1), `scores` are probabilities of fake or other scores that are
higher for fakes, and fake is the positive class. A number that is not defined (a class is missing, a score is not a
number) is an error, never a value: a table must not show 0.5 where nothing was measured.
"""

from dfgame.metrics.bootstrap import (
    auc_interval,
    auc_replicates,
    multiplicities,
    paired_interval,
    people_bootstrap,
    wins,
)
from dfgame.metrics.calibration import (
    BINS,
    Honesty,
    ReliabilityBin,
    balanced,
    expected_calibration_error,
    honesty,
    reliability,
)
from dfgame.metrics.checks import THRESHOLD, Floats, Integers
from dfgame.metrics.curves import Roc, equal_error_rate, mean_roc, roc
from dfgame.metrics.forensic import EDGE, Tippett, bounded_llrs, calibrate_llrs, cllr, llr_bounds, min_cllr, tippett
from dfgame.metrics.paired import DeLong, delong
from dfgame.metrics.pooling import pooled, video_means
from dfgame.metrics.shares import difference_interval, fewest_of_a_class, share_interval
from dfgame.metrics.single import Measures, accuracy, balanced_accuracy, measures, true_positive_rate_at, why_undefined
from dfgame.records import COVERAGE

__all__ = [
    "BINS",
    "COVERAGE",
    "EDGE",
    "THRESHOLD",
    "DeLong",
    "Floats",
    "Honesty",
    "Integers",
    "Measures",
    "ReliabilityBin",
    "Roc",
    "Tippett",
    "accuracy",
    "auc_interval",
    "auc_replicates",
    "balanced",
    "balanced_accuracy",
    "bounded_llrs",
    "calibrate_llrs",
    "cllr",
    "delong",
    "difference_interval",
    "equal_error_rate",
    "expected_calibration_error",
    "fewest_of_a_class",
    "honesty",
    "llr_bounds",
    "mean_roc",
    "measures",
    "min_cllr",
    "multiplicities",
    "paired_interval",
    "people_bootstrap",
    "pooled",
    "reliability",
    "roc",
    "share_interval",
    "tippett",
    "true_positive_rate_at",
    "video_means",
    "why_undefined",
    "wins",
]
