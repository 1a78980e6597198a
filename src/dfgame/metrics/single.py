"""What is said of one set of scores: AUC, average precision, EER, and rates at a threshold or at few false alarms."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from dfgame.metrics.calibration import honesty
from dfgame.metrics.checks import THRESHOLD, checked
from dfgame.metrics.curves import equal_error_rate


@dataclass(frozen=True, slots=True)
class Measures:
    """What is said of one set of scores; each in [0, 1], but `log_loss`, in nats, which has no upper end.

    `accuracy` and `balanced_accuracy` are at the threshold given. `log_loss` and `ece` weigh real and fake alike, see
    `honesty`. What is None is not defined; `why_undefined` says why.
    """

    auc: float
    ap: float
    eer: float
    accuracy: float
    balanced_accuracy: float
    tpr_at_1_fpr: float | None
    tpr_at_5_fpr: float | None
    log_loss: float | None
    ece: float | None
    n_real: int
    n_fake: int


_FALSE_ALARMS = {"tpr_at_1_fpr": 0.01, "tpr_at_5_fpr": 0.05}


def measures(labels: ArrayLike, scores: ArrayLike, threshold: float = THRESHOLD) -> Measures:
    """All measures of one set of scores.

    Args:
        labels: (n,) class numbers.
        scores: (n,), higher for fake; probabilities, if `log_loss` and `ece` are to be defined.
        threshold: a score from which something counts as fake.

    Raises:
        ValueError: a class is missing or a score is not a finite number.
    """
    truth, values = checked(labels, scores)
    undefined = why_undefined(truth, values)
    honest = None if "ece" in undefined else honesty(truth, values)
    found = {
        name: None if name in undefined else true_positive_rate_at(truth, values, rate)
        for name, rate in _FALSE_ALARMS.items()
    }
    return Measures(
        auc=float(roc_auc_score(truth, values)),
        ap=float(average_precision_score(truth, values)),
        eer=equal_error_rate(truth, values),
        accuracy=accuracy(truth, values, threshold),
        balanced_accuracy=balanced_accuracy(truth, values, threshold),
        log_loss=None if honest is None else honest.log_loss,
        ece=None if honest is None else honest.ece,
        n_real=int((truth == 0).sum()),
        n_fake=int((truth == 1).sum()),
        **found,
    )


def why_undefined(labels: ArrayLike, scores: ArrayLike) -> dict[str, str]:
    """Which of `Measures` are None for these scores: name of the field -> reason.

    Raises:
        ValueError: a class is missing or a score is not a finite number, so that nothing is defined.
    """
    truth, values = checked(labels, scores)
    n_real = int((truth == 0).sum())
    reasons = {name: _too_few(n_real, rate) for name, rate in _FALSE_ALARMS.items()}
    if values.min() < 0 or values.max() > 1:
        reasons |= dict.fromkeys(("log_loss", "ece"), "the scores are not probabilities")
    return {name: reason for name, reason in reasons.items() if reason}


def accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float = THRESHOLD) -> float:
    """Share of right answers where a score of at least `threshold` says fake."""
    truth, values = checked(labels, scores)
    return float(((values >= threshold) == (truth == 1)).mean())


def balanced_accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float = THRESHOLD) -> float:
    """The mean of the shares of right answers on real and on fake ones; `threshold` or more says fake."""
    truth, values = checked(labels, scores)
    right = (values >= threshold) == (truth == 1)
    return float((right[truth == 0].mean() + right[truth == 1].mean()) / 2)


def true_positive_rate_at(labels: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """The share of fakes that are found by the lowest threshold at which at most `fpr` of the real ones are accused.

    Nothing is interpolated: it is a threshold that one could have set.

    Args:
        labels: (n,).
        scores: (n,).
        fpr: in (0, 1).

    Raises:
        ValueError: `fpr` is not in (0, 1), or there are fewer than 1 / fpr real ones, so that a single false alarm
            is more than may be; or as of `measures`.
    """
    truth, values = checked(labels, scores)
    if not 0 < fpr < 1:
        raise ValueError(f"a false positive rate of {fpr} is not in (0, 1)")
    real = np.sort(values[truth == 0])
    too_few = _too_few(len(real), fpr)
    if too_few:
        raise ValueError(too_few)
    allowed = _allowed(len(real), fpr)
    return float((values[truth == 1] > real[-1 - allowed]).mean())


def _allowed(n_real: int, fpr: float) -> int:
    """How many real ones may be accused; the addend is for shares that a product of floats just misses."""
    return int(n_real * fpr + 1e-9)


def _too_few(n_real: int, fpr: float) -> str:
    if _allowed(n_real, fpr):
        return ""
    return f"{n_real} real ones are too few for a false positive rate of {fpr:.0%}: it takes {int(np.ceil(1 / fpr))}"
