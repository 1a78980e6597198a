"""Robustness curves as files: figures, a page without script, tables; the same bytes for the same numbers."""

import csv
import json
from dataclasses import asdict, dataclass, fields
from math import floor
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from dfgame.files import atomic_path, write_json, write_text
from dfgame.records import COVERAGE
from dfgame.report.drawing import COLOURS, DASHES, STYLE, svg_of
from dfgame.report.environment import environment_of
from dfgame.report.figures import standalone
from dfgame.report.language import counted, listed
from dfgame.report.words import number, span
from dfgame.robustness.curves import Measured, Robustness
from dfgame.robustness.points import KINDS, UNTOUCHED

RESULTS = "robustness.json"
CHANCE = 0.5
NOT_DONE = "not done"
_LOWEST = 0.4
"""Where the figures' axes end below, unless curves fall lower."""
_MOST_LABELS = 8


@dataclass(frozen=True, slots=True)
class Section:
    """A transformation on the page: its figure, and a row of the table for every strength."""

    title: str
    unit: str
    svg: Markup
    strengths: list[str]
    rows: list[tuple[str, list[Measured]]]


def write_robustness(out: Path, robustness: Robustness) -> Path:
    """Write the curves' files to `out`; returns the path of the page.

    - robustness.html: one file that opens anywhere, without script or network;
    - robustness-TRANSFORMATION.svg: a figure each, in place of earlier ones;
    - robustness.csv: a row a detector, transformation and strength; none is the untouched video;
    - robustness.json: the same with settings, failures and what was not done. It comes last: once it is there, all is.
    """
    rows = [asdict(row) for row in robustness.rows]
    with atomic_path(out / "robustness.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([item.name for item in fields(Measured)])
        writer.writerows(row.values() for row in rows)
    for earlier in out.glob("robustness-*.svg"):
        earlier.unlink()
    for name in robustness.transformations:
        write_text(out / f"robustness-{name}.svg", standalone(robustness_figure(robustness, name)))
    page = out / "robustness.html"
    write_text(page, render_robustness(robustness))
    told = {
        "settings": robustness.settings,
        "failures": [asdict(failure) for failure in robustness.failures],
        "not_done": robustness.not_done,
        "notes": robustness.notes,
        "rows": rows,
    }
    write_json(out / RESULTS, told)
    return page


def robustness_figure(robustness: Robustness, transformation: str) -> str:
    """Video-level AUC of every detector against a transformation's strength, with bands of its interval.

    Strengths are drawn at equal distances, so that the weakest can be told apart.
    """
    kind = KINDS[transformation]
    with rc_context(STYLE):
        figure = Figure(figsize=(3.45, 2.75))
        axes = figure.add_axes((0.155, 0.165, 0.81, 0.735))
        shown = robustness.measured_by(transformation)
        for subject in shown:
            place = robustness.subjects.index(subject)
            _curve(axes, place, subject, robustness.curve(subject, transformation))
        labels = _labels(robustness.curve(shown[0], transformation))
        step = -(-len(labels) // _MOST_LABELS)
        axes.set_xticks(range(0, len(labels), step), labels[::step])
        axes.set_title(kind.title, loc="left", fontsize=9, weight="bold")
        axes.set_xlabel(kind.unit)
        axes.set_ylabel("video-level AUC")
        axes.axhline(CHANCE, color="#b8bec6", linewidth=0.8, zorder=0)
        axes.set_ylim(_floor(robustness, kind.attack), 1.02)
        axes.tick_params(labelsize=8, length=3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e9ed", linewidth=0.7)
        axes.set_axisbelow(True)
        if len(shown) > 1:
            axes.legend(loc="best", framealpha=0.7, edgecolor="none", fontsize=7.5, handlelength=2.6)
    return svg_of(figure, f"robustness {transformation}", _figure_words(robustness, transformation))


def _floor(robustness: Robustness, attack: bool) -> float:
    """Where the axes of all attacks, or of all other figures, end below: so that they can be compared."""
    names = [name for name in robustness.transformations if KINDS[name].attack == attack]
    rows = [row for row in robustness.rows if row.transformation in (UNTOUCHED, *names)]
    lowest = min(row.auc if row.low is None else row.low for row in rows)
    return min(_LOWEST, floor(10 * lowest) / 10)


def _curve(axes: Axes, place: int, subject: str, curve: list[Measured]) -> None:
    colour, at = COLOURS[place % len(COLOURS)], range(len(curve))
    line: dict[str, Any] = {"color": colour, "linestyle": DASHES[place % len(DASHES)], "linewidth": 1.7}
    axes.plot(at, [row.auc for row in curve], label=subject, marker="o", markersize=3, **line)
    if all(row.low is not None for row in curve):
        low, high = ([getattr(row, end) for row in curve] for end in ("low", "high"))
        axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)


def _labels(curve: list[Measured]) -> list[str]:
    return [strength_words(row.strength) for row in curve]


def strength_words(strength: float | None) -> str:
    """A strength as it is printed: 0.5, 23, none."""
    return UNTOUCHED if strength is None else f"{strength:g}"


def _figure_words(robustness: Robustness, transformation: str) -> str:
    kind, told = KINDS[transformation], []
    for subject in robustness.measured_by(transformation):
        curve = robustness.curve(subject, transformation)
        told.append(f"{subject}: " + ", ".join(f"{strength_words(row.strength)} {number(row.auc)}" for row in curve))
    return f"{kind.title}, video-level AUC by {kind.unit}. {'; '.join(told)}."


def half_words(robustness: Robustness, subject: str, transformation: str) -> str:
    """The strength at which half of what the detector is better than a coin is lost, in words."""
    (untouched,) = (row for row in robustness.rows if row.subject == subject and row.strength is None)
    if untouched.auc <= CHANCE:
        return "no better than a coin untouched"
    if untouched.low is None or untouched.low <= CHANCE:
        return "not told from a coin untouched"
    if subject not in robustness.measured_by(transformation):
        return NOT_DONE
    lost = robustness.half_lost(subject, transformation)
    return "at none tried" if lost is None else f"{lost:g}"


def robustness_table(robustness: Robustness) -> Table:
    """For a terminal: a row a strength, a column a detector, the AUC with its interval."""
    table = Table("", "strength", title="video-level AUC, 95% interval over people", title_justify="left")
    for subject in robustness.subjects:
        table.add_column(Text(subject))
    for name in robustness.transformations:
        there = robustness.measured_by(name)
        curves = {subject: robustness.curve(subject, name) for subject in there}
        heads = [f"{KINDS[name].title},", f"{KINDS[name].unit}"]
        for place, one in enumerate(curves[there[0]]):
            cells = (_cell(curves[name][place]) if name in there else NOT_DONE for name in robustness.subjects)
            head = heads[place] if place < len(heads) else ""
            table.add_row(Text(head), strength_words(one.strength), *map(Text, cells))
        table.add_section()
    return table


def _cell(row: Measured) -> str:
    return f"{number(row.auc)} {interval_words(row)}"


def interval_words(row: Measured) -> str:
    """The interval as it is printed, or that there is none."""
    return "no interval" if row.low is None or row.high is None else span(row.low, row.high)


def render_robustness(robustness: Robustness) -> str:
    """The page as HTML."""
    environment = environment_of("dfgame.report")
    environment.filters |= {"number": number, "interval": interval_words, "listed": listed}
    settings, first = robustness.settings, robustness.rows[0]
    half = [
        (KINDS[name].title, KINDS[name].unit, [half_words(robustness, one, name) for one in robustness.subjects])
        for name in robustness.transformations
    ]
    return environment.get_template("robustness.html.j2").render(
        lead=_lead(robustness, first),
        notes=[*robustness.not_done, *robustness.notes],
        sections=[_section(robustness, name) for name in robustness.transformations],
        half=half,
        subjects=robustness.subjects,
        failures=robustness.failures,
        done_to=settings["asked"]["origin"]["done_to"],
        settings=settings,
        settings_json=json.dumps(settings["config"], indent=2),
        coverage=f"{COVERAGE:.0%}",
    )


def _lead(robustness: Robustness, first: Measured) -> str:
    settings: dict[str, Any] = robustness.settings
    real, fake = counted(first.n_real, "real video"), counted(first.n_fake, "fake video")
    people, frames = counted(settings["people"], "person", "people"), counted(settings["frames"], "frame")
    failed = f" {counted(settings['failed'], 'video')} could not be used." if settings["failed"] else ""
    return (
        f"{counted(len(robustness.subjects), 'detector')} on {listed(settings['datasets'])}: {real} and {fake} of "
        f"{people}, {frames}.{failed}"
    )


def _section(robustness: Robustness, name: str) -> Section:
    curves = [(subject, robustness.curve(subject, name)) for subject in robustness.measured_by(name)]
    svg = Markup(robustness_figure(robustness, name))
    return Section(KINDS[name].title, KINDS[name].unit, svg, _labels(curves[0][1]), curves)
