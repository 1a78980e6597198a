"""Where the points of a stability chart stand: a frame's score as it is, then after ever stronger changes."""

from dataclasses import dataclass

from dfgame.records import Evidence, Verdict
from dfgame.report.evidence_words import KINDS, chart_words, frame_verdict, probes_of, strength_words

WIDTH, HEIGHT = 240, 132
LEFT, RIGHT, TOP, BOTTOM = 34, 14, 8, 20
"""The margins around the plot, in the chart's pixels."""
TITLES = {
    "blur": "blurred: sigma in pixels of the crop",
    "h264": "recompressed: H.264 at CRF",
    "scale": "scaled down to a share of its size",
}
_MOST_LABELS = 7


@dataclass(frozen=True, slots=True)
class Point:
    """A score: where it stands, what it amounts to, and its label below, empty where there is no room for one."""

    x: float
    y: float
    verdict: Verdict
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One kind of change; the first point is the frame as it is. `words` tell the chart to those who cannot see it."""

    title: str
    words: str
    points: tuple[Point, ...]
    fake_y: float
    real_y: float

    @property
    def line(self) -> str:
        """The points as an SVG polyline has them."""
        return " ".join(f"{point.x:g},{point.y:g}" for point in self.points)


def charts_of(evidence: Evidence, fake: float, real: float) -> list[Chart]:
    """A chart for each kind of change that was tried; `fake` and `real` are the face's thresholds."""
    charts = []
    for kind in KINDS:
        probes = probes_of(evidence, kind)
        if probes:
            scores = [evidence.p_fake, *(probe.p_fake for probe in probes)]
            labels = ["as is", *(strength_words(kind, probe.strength) for probe in probes)]
            points = tuple(_points(scores, labels, fake, real))
            words = chart_words(kind, probes, evidence.p_fake)
            charts.append(Chart(TITLES[kind], words, points, score_y(fake), score_y(real)))
    return charts


def _points(scores: list[float], labels: list[str], fake: float, real: float) -> list[Point]:
    """Points at equal distances, whatever the strengths, so that the finest ones can be told apart."""
    step = (WIDTH - LEFT - RIGHT - 12) / (len(scores) - 1)
    every = -(-len(scores) // _MOST_LABELS)
    return [
        Point(
            round(LEFT + 12 + number * step, 1),
            score_y(score),
            frame_verdict(score, fake, real),
            label if number % every == 0 else "",
        )
        for number, (score, label) in enumerate(zip(scores, labels, strict=True))
    ]


def score_y(score: float) -> float:
    """The height of a score in [0, 1], in pixels from above."""
    return round(TOP + (1 - score) * (HEIGHT - TOP - BOTTOM), 1)
