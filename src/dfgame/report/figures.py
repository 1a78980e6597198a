"""The report's figures, as inline SVG whose bytes depend on the numbers alone."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dfgame.metrics import ReliabilityBin, Tippett
from dfgame.report.cross import Matrix, Seen
from dfgame.report.drawing import COLOURS, DASHES, FAINT, INK, STYLE, svg_of
from dfgame.report.words import number, seen_words, span
from dfgame.summary import Cell, Line, Player

NOT_SCORED = "not scored"
CHANCE = 0.5
"""Where the colours of the matrix begin: a coin's AUC. Values below it have the same colour as it."""

_COLUMN, _ROW, _HEAD, _TWO_HEADS = 0.9, 0.56, 0.56, 0.78
_EDGES = {"seen": (1.6, "solid"), "other quality": (1.1, "dashed"), "unseen": (0.0, "solid")}
"""The frame around what was trained on: its width in points, and its line."""
_LABEL_CHARACTER = 0.082
_LONG, _LONG_ROW = 12, 20
_DIAGONAL = "#b8bec6"
"""The line that a coin, or a perfect probability, would follow."""
_SETTINGS = 40
"""Characters a line of a player's settings."""
_MIDDLE = 0.179
"""The luminance on which black and white have the same contrast: the root of 1.05 * 0.05, less 0.05."""


def matrix_figure(players: Sequence[Player], compression: str) -> str:
    """A heat map of video-level AUC at one compression: players x methods, those trained on framed."""
    cells = [cell for cell in players[0].cells if cell.compression == compression]
    names = [_wrapped(player.name) for player in players]
    label = _label_width(names)
    width, height = label + _COLUMN * len(cells) + 0.06, _HEAD + _ROW * len(players) + 0.06
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-label, width - label), ylim=(height - _HEAD, -_HEAD))
        axes.axis("off")
        for column, cell in enumerate(cells):
            _column_head(axes, column, cell, players[0].training.saw(cell.method))
        for row, (player, name) in enumerate(zip(players, names, strict=True)):
            axes.text(-0.1, (row + 0.5) * _ROW, name, ha="right", va="center", linespacing=1.1)
            for column, cell in enumerate(cells):
                _matrix_cell(axes, row, column, player, cell)
    return svg_of(figure, f"matrix {players[0].training} {compression}", _matrix_words(players, cells))


def _column_head(axes: Axes, column: int, cell: Cell, seen: bool | None) -> None:
    centre = (column + 0.5) * _COLUMN
    axes.text(centre, -0.23, _wrapped(cell.method), ha="center", va="bottom", fontsize=8.5, linespacing=1.1)
    weight, colour = ("bold", INK) if seen else ("normal", FAINT)
    axes.text(
        centre,
        -0.07,
        seen_words(seen),
        ha="center",
        va="bottom",
        fontsize=8,
        weight=weight,
        color=colour,
    )


def _matrix_cell(axes: Axes, row: int, column: int, player: Player, cell: Cell) -> None:
    estimate = player.cells[cell]
    if estimate is None:
        centre = ((column + 0.5) * _COLUMN, (row + 0.5) * _ROW)
        axes.text(*centre, NOT_SCORED, ha="center", va="center", size=7.5, color=FAINT)
        return
    seen = "seen" if player.training.saw(cell.method) else "unseen"
    _heat(axes, row, column, (estimate.value, estimate.low, estimate.high), seen)


def _heat(axes: Axes, row: int, column: int, numbers: tuple[float, float | None, float | None], seen: Seen) -> None:
    """A number above its interval, on a ground as dark as it is high."""
    value, low, high = numbers
    left, top = column * _COLUMN, row * _ROW
    strength = (max(value, CHANCE) - CHANCE) / (1 - CHANCE)
    colour = colormaps["GnBu"](0.04 + 0.92 * strength)
    gap = 0.025
    edge, line = _EDGES[seen]
    axes.add_patch(
        Rectangle(
            (left + gap, top + gap),
            _COLUMN - 2 * gap,
            _ROW - 2 * gap,
            facecolor=colour,
            edgecolor=INK,
            linewidth=edge,
            linestyle=line,
        )
    )
    ink = "white" if _luminance(colour) < _MIDDLE else "black"
    centre = left + _COLUMN / 2
    axes.text(centre, top + 0.38 * _ROW, number(value), ha="center", va="center", size=11, color=ink)
    axes.text(centre, top + 0.74 * _ROW, span(low, high), ha="center", va="center", size=7.5, color=ink)


def _label_width(names: Sequence[str]) -> float:
    return _LABEL_CHARACTER * max(len(line) for name in names for line in name.splitlines()) + 0.12


def cross_figure(matrix: Matrix) -> str:
    """A heat map: framed what was trained on, framed with dashes the method trained on at another quality."""
    names = [row if len(row) < _LONG_ROW else re.sub(r" (?=\(|at )|(?<=,) ", "\n", row) for row in matrix.rows]
    label = _label_width(names)
    width, height = label + _COLUMN * len(matrix.columns) + 0.06, _TWO_HEADS + _ROW * len(names) + 0.06
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-label, width - label), ylim=(height - _TWO_HEADS, -_TWO_HEADS))
        axes.axis("off")
        _two_heads(axes, matrix)
        for row, name in enumerate(names):
            axes.text(-0.1, (row + 0.5) * _ROW, name, ha="right", va="center", linespacing=1.1)
        for (row, column), entry in matrix.entries.items():
            _heat(axes, row, column, entry[:3], entry.seen)
    return svg_of(figure, f"cross {matrix.name} {matrix.title}", _cross_words(matrix))


def _two_heads(axes: Axes, matrix: Matrix) -> None:
    """The columns' heads, and above them, over a line, what several have in common."""
    for column, head in enumerate(matrix.columns):
        centre = (column + 0.5) * _COLUMN
        axes.text(centre, -0.07, _wrapped(head.name), ha="center", va="bottom", fontsize=8.5, linespacing=1.1)
    column = 0
    for name, members in groupby(head.group for head in matrix.columns):
        end = column + len(list(members))
        left, right = column * _COLUMN + 0.05, end * _COLUMN - 0.05
        axes.plot([left, right], [-0.47, -0.47], color=FAINT, linewidth=0.7)
        axes.text((left + right) / 2, -0.52, name, ha="center", va="bottom", weight="bold")
        column = end


def _cross_words(matrix: Matrix) -> str:
    rows = []
    for row, name in enumerate(matrix.rows):
        entries = ((head, matrix.entries.get((row, column))) for column, head in enumerate(matrix.columns))
        said = ", ".join(f"{head.name} ({head.group}) {number(entry.value)}" for head, entry in entries if entry)
        rows.append(f"{name}: {said}")
    return f"{matrix.title}. {'; '.join(rows)}."


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance of an sRGB colour, as the Web Content Accessibility Guidelines define it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _matrix_words(players: Sequence[Player], cells: Sequence[Cell]) -> str:
    def told(player: Player, cell: Cell) -> str:
        found = player.cells[cell]
        return f"{cell.method} {number(found.value) if found else NOT_SCORED}"

    rows = (f"{player.name}: " + ", ".join(told(player, cell) for cell in cells) for player in players)
    return f"Video-level AUC at {cells[0].compression}. " + "; ".join(rows) + "."


def roc_figure(lines: Sequence[Line], order: Sequence[str]) -> str:
    """Mean ROC curves, one a player; `order` holds all players' names, so that colours stay theirs."""
    with rc_context(STYLE):
        figure, axes = _square("real videos called fake", "fake videos called fake")
        axes.plot([0, 1], [0, 1], color=_DIAGONAL, linewidth=0.8)
        for line in lines:
            place = order.index(line.player)
            axes.plot(
                line.fpr,
                line.tpr,
                label=_wrapped(line.player),
                color=COLOURS[place % len(COLOURS)],
                linestyle=DASHES[place % len(DASHES)],
                linewidth=1.7,
                clip_on=False,
            )
        ticks = {0: "0", 0.25: "0.25", 0.5: "0.5", 0.75: "0.75", 1: "1"}
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.legend(loc="lower right", frameon=False, fontsize=8, handlelength=2.6)
    kinds = {True: "methods trained on", False: "methods not trained on", None: "all methods"}
    words = (
        f"ROC curves at {lines[0].compression}, {kinds[lines[0].seen]}: {', '.join(line.player for line in lines)}."
    )
    return svg_of(figure, f"roc {lines[0].training} {lines[0].compression} {lines[0].seen}", words)


def reliability_figure(before: Sequence[ReliabilityBin], after: Sequence[ReliabilityBin]) -> str:
    """What was true of scores against what they said, raw and calibrated; a dot's area is the weight of its bin."""
    with rc_context(STYLE):
        figure, axes = _square("score of videos", "fakes among them")
        _reliability(axes, {"raw": before, "calibrated": after})
        axes.legend(loc="upper left", frameon=False, fontsize=8, handlelength=2.6)
    words = "; ".join(f"said {number(one.score)}, true {number(one.fakes)}, {one.n} videos" for one in after)
    return svg_of(figure, "reliability", f"Reliability of calibrated scores: {words}.")


def player_reliability_figure(player: str, bins: Sequence[ReliabilityBin]) -> str:
    """What was true of a player's scores of videos against what they said; a dot's area is the weight of its bin."""
    with rc_context(STYLE):
        figure, axes = _square("score of videos", "fakes among them, classes weighted alike")
        _reliability(axes, {player: bins})
    words = "; ".join(f"said {one.score:.2f}, true {one.fakes:.2f}, {one.n} videos" for one in bins)
    return svg_of(figure, f"reliability {player}", f"Reliability of {player}: {words}.")


def _reliability(axes: Axes, of_each: Mapping[str, Sequence[ReliabilityBin]]) -> None:
    axes.plot([0, 1], [0, 1], color=_DIAGONAL, linewidth=0.8)
    for (name, bins), colour, dashes in zip(of_each.items(), COLOURS, DASHES, strict=False):
        said, true = [one.score for one in bins], [one.fakes for one in bins]
        axes.plot(said, true, label=name, color=colour, linestyle=dashes, linewidth=1.7, clip_on=False)
        sizes = [8 + 160 * one.share for one in bins]
        axes.scatter(said, true, s=sizes, color=colour, alpha=0.7, linewidths=0, clip_on=False, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1))


def tippett_figure(player: str, curves: Tippett, bounds: tuple[float, float] | None) -> str:
    """The share of real and of fake videos with at least a likelihood ratio; the bounds, if any, as upright lines."""
    decades = curves.llrs / np.log(10)
    reach = max(1.0, float(np.ceil(np.abs(decades).max())))
    with rc_context(STYLE):
        figure, axes = _square("likelihood ratio, power of ten", "videos with at least that")
        axes.axvline(0, color=_DIAGONAL, linewidth=0.8)
        for place, (name, shares) in enumerate((("real", curves.real), ("fake", curves.fake))):
            x, y = [-reach, *decades, reach], [1, *shares, 0]
            axes.step(x, y, where="pre", label=name, color=COLOURS[place], linestyle=DASHES[place], linewidth=1.7)
        for bound in bounds or ():
            axes.axvline(bound / np.log(10), color=FAINT, linewidth=0.9, linestyle=DASHES[2])
        axes.set(xlim=(-reach, reach), ylim=(0, 1))
        axes.legend(loc="lower left", frameon=False, fontsize=8, handlelength=2.6)
    misled = (
        float((curves.real[curves.llrs > 0]).max(initial=0)),
        1 - float(curves.fake[curves.llrs > 0].max(initial=0)),
    )
    words = (
        f"Tippett plot of {player}: {misled[0]:.2f} of the real videos have a likelihood ratio above 1, "
        f"{misled[1]:.2f} of the fakes one of 1 or below."
    )
    return svg_of(figure, f"tippett {player}", words)


def _square(across: str, up: str) -> tuple[Figure, Axes]:
    """An empty plot, with what its two axes show."""
    figure = Figure(figsize=(3.15, 3.05))
    axes = figure.add_axes((0.175, 0.15, 0.79, 0.82))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.tick_params(labelsize=8, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e9ed", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def standalone(svg: str) -> str:
    """An SVG element of these figures as a file of its own."""
    return '<?xml version="1.0" encoding="utf-8"?>\n' + svg + "\n"


def _wrapped(name: str) -> str:
    """A long name over several lines: NeuralTextures between its words, a player's settings below it."""
    if len(name) < _LONG:
        return name
    name, *settings = name.split(" (", 1)
    lines = [re.sub(r"(?<=[a-z])(?=[A-Z])", "\n", name)]
    return "\n".join(lines + [line for words in settings for line in textwrap.wrap(f"({words}", _SETTINGS)])
