"""How all figures are drawn: colours, line styles, and SVG whose bytes depend on the numbers alone."""

import html
import io
import re
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#7A5C00", "#333333", "#56B4E9", "#E69F00")
"""Okabe and Ito's palette, which colour-blind readers can tell apart; the pale ones darkened for white paper."""
DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
"""A second mark of a line beside its colour."""
INK, FAINT = "#1a1f27", "#5b6470"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}


def svg_of(figure: Figure, name: str, words: str) -> str:
    """The figure as an SVG element with a description: no date, no random ids, the page's fonts."""
    text = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    body = text.getvalue()[text.getvalue().index("<svg") :]
    body = re.sub(r"<(metadata|style).*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*; ?", "", body)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"<!--.*?-->\n?", "", body, flags=re.DOTALL)
    described = html.escape(words)
    return body.replace("<svg", f'<svg role="img" aria-label="{described}"', 1)
