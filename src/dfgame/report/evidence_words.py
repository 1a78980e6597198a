"""What the evidence of a frame says, in sentences."""

from collections.abc import Sequence

from dfgame.records import Evidence, Probe, Verdict
from dfgame.report.inspection_words import VERDICT_WORDS, percent

KINDS = ("blur", "h264", "scale")
"""The kinds of probes that come in several strengths, and so have a chart."""
_HARDLY = 0.1
"""Log-odds: a change that no reader would see in a score, 50% becoming 52.5%."""
_NO_MORE, _CLEARLY = 1.1, 1.5
_FINE, _STRONG = 1.0, 2.0
"""Sigmas in pixels of the crop: the blur of a slightly soft lens, and one that anybody sees."""


def frame_verdict(p_fake: float, fake: float, real: float) -> Verdict:
    """What a probability amounts to by thresholds: from `fake` on fake, up to `real` real."""
    if p_fake >= fake:
        return "fake"
    return "real" if p_fake <= real else "inconclusive"


def map_words(hot_change: float, random_change: float) -> tuple[str, bool]:
    """Whether the heat map shows what the score rests on, and whether that is a warning.

    Args:
        hot_change: how much the log-odds move when the marked region is smoothed away.
        random_change: the same for a region of that size elsewhere.
    """
    hot, elsewhere = abs(hot_change), abs(random_change)
    if hot < _HARDLY and elsewhere < _HARDLY:
        return "Smoothing the marked region away hardly moves the score: no single region carries it.", True
    if hot <= _NO_MORE * elsewhere:
        return (
            "Smoothing the marked region away moves the score no more than elsewhere: "
            "the map does not show what this score rests on.",
            True,
        )
    times = _times(hot, elsewhere)
    if hot < _CLEARLY * elsewhere:
        return f"Smoothing the marked region away moves the score only {times} elsewhere: trust the map little.", True
    return f"Smoothing the marked region away moves the score {times} elsewhere: the score rests on it.", False


def _times(hot: float, elsewhere: float) -> str:
    ratio = hot / elsewhere if elsewhere else float("inf")
    if ratio >= 10:
        return "more than ten times as much as"
    if ratio < _CLEARLY:
        return "a little more than"
    if ratio < 1.75:
        return "one and a half times as much as"
    number = ("twice", "three times", "four times", "five times", "six times", "seven times", "eight times")
    return f"{(*number, 'nine times', 'ten times')[round(ratio) - 2]} as much as"


def stability_words(evidence: Evidence, fake: float, real: float) -> list[str]:
    """How little it takes to turn what is said of this frame, a sentence for each kind of change, blur first."""
    verdict = frame_verdict(evidence.p_fake, fake, real)
    said = [_blur_words(evidence)]
    for probe in probes_of(evidence, "adversary"):
        turned = frame_verdict(probe.p_fake, fake, real) != verdict
        said.append(
            f"Blurred by up to {probe.strength:.2g} pixels only where that speaks most against the answer, the frame "
            f"has {percent(probe.p_fake)}: that {'turns' if turned else 'does not turn'} it."
        )
    for kind in KINDS[1:]:
        probes = probes_of(evidence, kind)
        if probes:
            turning = next((probe for probe in probes if frame_verdict(probe.p_fake, fake, real) != verdict), None)
            said.append(_turned(kind, turning or probes[-1], turning is not None))
    return said


def probes_of(evidence: Evidence, kind: str) -> list[Probe]:
    """The probes of a kind, the mildest first."""
    found = [probe for probe in evidence.probes if probe.kind == kind]
    return sorted(found, key=lambda probe: probe.strength, reverse=kind == "scale")


def _blur_words(evidence: Evidence) -> str:
    sigma, tried = evidence.turning_blur, probes_of(evidence, "blur")
    if sigma is None:
        most = f" (up to {tried[-1].strength:.2g} pixels)" if tried else ""
        return f"None of the blurs that were tried{most} turns this finding: it does not rest on fine structure alone."
    pixels = f"A blur of {sigma:.2g} pixel{'s' * (sigma != 1)}"
    if sigma <= _FINE:
        return f"{pixels} is enough to turn this finding: it rests on fine structure."
    if sigma <= _STRONG:
        return f"{pixels} turns this finding: it rests on structure that compression can remove."
    return f"{pixels}, which anybody would see, is needed to turn this finding."


def _turned(kind: str, probe: Probe, turned: bool) -> str:
    strength = strength_words(kind, probe.strength)
    at = f"H.264 at CRF {strength}" if kind == "h264" else f"Scaling to {strength} of its size"
    return f"{at} turns it." if turned else f"{at}, the strongest tried, does not turn it."


def percent_of(share: float) -> str:
    """A share of a length, which, unlike a probability, can be all of it."""
    return f"{100 * share:.0f}%"


def strength_words(kind: str, strength: float) -> str:
    """A probe's strength as a chart's label."""
    return percent_of(strength) if kind == "scale" else f"{strength:g}"


def chart_words(kind: str, probes: Sequence[Probe], p_fake: float) -> str:
    """A chart in words, for those who cannot see it."""
    name = {"blur": "blurred, sigma", "h264": "H.264 at CRF", "scale": "scaled to"}[kind]
    steps = (f"{name} {strength_words(kind, probe.strength)}: {percent(probe.p_fake)}" for probe in probes)
    return f"As it is: {percent(p_fake)}; {'; '.join(steps)}."


def score_words(p_fake: float, verdict: Verdict) -> str:
    """A frame's score and what it amounts to."""
    return f"{percent(p_fake)}, {VERDICT_WORDS[verdict]}"
