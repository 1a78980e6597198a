"""A matrix as a table that can go into a paper: LaTeX with booktabs, and Markdown."""

import re
from itertools import groupby

from dfgame.report.cross import Entry, Matrix
from dfgame.report.plain import plain
from dfgame.report.words import number, span

NOTHING = "–"
_MOST_COLUMNS = 4
"""That fit on a page of LaTeX in the size of the text."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # a row's first words would be the length that \\ takes
    "]": "{]}",
    "*": "{*}",
    "–": "--",
} | {character: f"\\{character}" for character in "&%$#_{}"}
_LATEX_MARKS = {"seen": r"\textbf{%s}", "other quality": r"\textit{%s}", "unseen": "%s"}
_MARKDOWN_MARKS = {"seen": "**%s**", "other quality": "*%s*", "unseen": "%s"}
_MARKS_WORDS = "bold: method and quality trained on; italic: method trained on, at another quality"


def latex_escaped(text: str) -> str:
    """`text` so that LaTeX prints it as it is; what cannot be seen is written as an escape."""
    return "".join(_LATEX.get(character, character) for character in plain(text))


def markdown_escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is, in a table's cell, too."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", r"\\\1", plain(text))


def latex_table(matrix: Matrix) -> str:
    r"""The matrix as a `table`, an interval below each number; needs \usepackage{booktabs,graphicx}.

    One of more columns than fit on a page is scaled to the width of the text.
    """
    columns = len(matrix.columns)
    groups, rules = _latex_groups(matrix)
    heads = " & ".join(latex_escaped(head.name) for head in matrix.columns)
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_escaped(matrix.title)} ({_MARKS_WORDS}).}}",
        *([r"\resizebox{\textwidth}{!}{%"] if columns > _MOST_COLUMNS else []),
        rf"\begin{{tabular}}{{l{'c' * columns}}}",
        r"\toprule",
        rf" & {groups} \\",
        rules,
        rf"{latex_escaped(matrix.corner)} & {heads} \\",
        r"\midrule",
    ]
    for row, name in enumerate(matrix.rows):
        entries = [matrix.entries.get((row, column)) for column in range(columns)]
        values = " & ".join(_LATEX_MARKS[entry.seen] % number(entry.value) if entry else "--" for entry in entries)
        below = " & ".join(rf"{{\scriptsize {latex_escaped(_span(entry))}}}" if entry else "" for entry in entries)
        lines += [rf"{latex_escaped(name)} & {values} \\", rf" & {below} \\"]
    end = r"\end{tabular}}" if columns > _MOST_COLUMNS else r"\end{tabular}"
    return "\n".join([*lines, r"\bottomrule", end, r"\end{table}", ""])


def _latex_groups(matrix: Matrix) -> tuple[str, str]:
    """The heads that columns share, and the rules below them."""
    heads, rules, column = [], [], 2
    for name, members in groupby(head.group for head in matrix.columns):
        size = len(list(members))
        heads.append(rf"\multicolumn{{{size}}}{{c}}{{{latex_escaped(name)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + size - 1}}}")
        column += size
    return " & ".join(heads), "".join(rules)


def markdown_table(matrix: Matrix) -> str:
    """The matrix as a table of GitHub's Markdown, below the words that say what it shows."""
    heads = [markdown_escaped(f"{head.name}, {head.group}") for head in matrix.columns]
    lines = [
        f"{markdown_escaped(matrix.title)} ({_MARKS_WORDS}).",
        "",
        _markdown_row([markdown_escaped(matrix.corner), *heads]),
        _markdown_row(["---", *["---:"] * len(heads)]),
    ]
    for row, name in enumerate(matrix.rows):
        entries = (matrix.entries.get((row, column)) for column in range(len(heads)))
        cells = [f"{_MARKDOWN_MARKS[e.seen] % number(e.value)} {_span(e)}" if e else NOTHING for e in entries]
        lines.append(_markdown_row([markdown_escaped(name), *cells]))
    return "\n".join([*lines, ""])


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _span(entry: Entry) -> str:
    return span(entry.low, entry.high)
