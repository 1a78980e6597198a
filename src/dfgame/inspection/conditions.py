"""Why a face cannot be judged: what is seen of it is too little, or too poor for this detector. In sentences."""

from dfgame.boxed import BoxedDetector, Condition

FEWEST_FRAMES = 3
"""Frames of a video in which a face must be seen to be judged."""
USEFUL_AUC = 0.75
"""A detector is hardly better than chance on a kind of faces where the 95% interval of its AUC reaches below this."""


def too_few(frames: int, looked_at: int, aside: int = 0) -> str:
    """The reason where a face is seen in too few frames of a video, else an empty string.

    Args:
        frames: those that it could be judged by.
        looked_at: all that were looked at.
        aside: those in which it is turned to a side.
    """
    if frames >= FEWEST_FRAMES:
        return ""
    seen = "seen from the front" if aside else "seen"
    return (
        f"it is {seen} in {frames} of the {looked_at} frames that were looked at, and a verdict needs {FEWEST_FRAMES}"
    )


def not_counted(frames: int, among: int) -> str:
    """What is said where a face is not judged by `frames` of its `among`, else an empty string."""
    return f"in {frames} of its {among} frames it is turned to a side: these do not count" if frames else ""


def left_out(most: int, others: int) -> str:
    """What is said where `others` of a frame's faces are beyond the `most` that are judged, else an empty string."""
    if not others:
        return ""
    return f"of the faces in one frame only the {most} largest are judged: up to {others} more are not"


def between(p_fake: float, condition: Condition | None, detector: BoxedDetector) -> str:
    """The reason where a score is neither high nor low enough, else an empty string."""
    if detector.verdict(p_fake) != "inconclusive":
        return ""
    limits = detector.limits(condition)
    score, real, fake = apart(p_fake, limits.real, limits.fake)
    return (
        f"its score {score} lies between {real}, up to which a face counts as real, and {fake}, from which it counts "
        "as fake"
    )


def doubtful_here(p_fake: float, condition: Condition | None, detector: BoxedDetector) -> str:
    """The reason where a score is clear among all faces but not among those like one, else an empty string."""
    if condition is None or condition.limits is None:
        return ""
    verdict, limits, faces = detector.verdict(p_fake), condition.limits, condition.rates.faces
    if verdict == "fake" and p_fake < limits.fake:
        score, fake = apart(p_fake, limits.fake)
        return (
            f"its score {score} is one that too many real faces like it had in validation ({faces}): such a face "
            f"counts as fake from {fake}"
        )
    if verdict == "real" and p_fake > limits.real:
        score, real = apart(p_fake, limits.real)
        return (
            f"its score {score} is one that too many fakes like it had in validation ({faces}): such a face "
            f"counts as real up to {real}"
        )
    return ""


def apart(*values: float) -> list[str]:
    """Different numbers with three decimals, or as many more as it takes to tell them apart."""
    shown = ([f"{value:.{digits}f}" for value in values] for digits in range(3, 18))
    return next((words for words in shown if len(set(words)) == len(values)), [repr(value) for value in values])


def turned_away(turn: float, most: float) -> str:
    """The reason where a face is turned further to a side than a verdict allows, else an empty string.

    Args:
        turn: how far it is turned, see `faces/quality.py`.
        most: how far it may be; 0 is any.
    """
    if not most or turn <= most:
        return ""
    shown, allowed = apart(turn, most)
    return (
        f"it is turned to a side (its nose lies {shown} of the eyes' distance off their middle, and a verdict needs "
        f"{allowed} or less)"
    )


def out_of_reach(width: float, detail: float, detector: BoxedDetector) -> str:
    """The reason where the detector was never tested on faces like one, or failed there, else an empty string.

    Args:
        width: of the face in pixels of its frame.
        detail: see `faces/quality.py`.
        detector: one whose box holds no conditions has nothing to say against any face.
    """
    if not detector.facts.conditions:
        return ""
    condition = detector.condition(width, detail)
    return _unknown(width, detail, detector) if condition is None else _hard(condition)


def _unknown(width: float, detail: float, detector: BoxedDetector) -> str:
    conditions = detector.facts.conditions
    narrowest = min(condition.widths[0] for condition in conditions)
    if width < narrowest:
        return (
            f"it is {width:.0f} pixels wide, smaller than any face the detector was tested on "
            f"({narrowest:.0f} pixels or more)"
        )
    alike = [one for one in conditions if one.holds(width, one.details[0])]
    if alike and detail < (lowest := min(one.details[0] for one in alike)):
        return (
            f"it is more blurred or compressed than any face of its size the detector was tested on "
            f"(detail {detail:.1f}, of those at least {lowest:.1f})"
        )
    return f"the detector was tested on too few faces like it ({width:.0f} pixels wide, detail {detail:.1f})"


def _hard(condition: Condition) -> str:
    low, high = condition.auc
    if low >= USEFUL_AUC:
        return ""
    rates = condition.rates
    return (
        f"on faces like it ({rates.faces}) the detector is not reliable: of {rates.real} real and {rates.fake} fake "
        f"validation videos it ranked a fake above a real one in {rates.auc:.1%} of pairs (95% interval {low:.1%} to "
        f"{high:.1%}; chance is 50%, and a verdict needs {USEFUL_AUC:.0%} at the lower end)"
    )
