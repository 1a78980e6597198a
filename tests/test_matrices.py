"""Matrices of what was trained on and what is tested: their numbers, their marks, tables that any name survives."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from markdown_it import MarkdownIt

from dfgame.config import EvaluateConfig
from dfgame.evaluate import evaluate_runs
from dfgame.report.cross import Matrix, cross_matrices
from dfgame.report.figures import cross_figure
from dfgame.report.matrices import write_matrices
from dfgame.report.page import render_page
from dfgame.report.paper_tables import latex_escaped, latex_table, markdown_escaped, markdown_table
from dfgame.summary import Evaluation
from pages import Page
from synthetic_runs import METHODS, made_up_scorer, manifest_rows, read_run, write_rows, write_run

TRAININGS = [(("FaceSwap",), ("c40",)), (("Deepfakes",), ("c23",)), (("FaceSwap",), ("c23",))]
HOSTILE = r"a_b & 50% | *c* <b> $d$ [e](f) \g {h} #1 ~i ^j `k` &lt; ![l] **"


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory) -> Evaluation:
    folder = tmp_path_factory.mktemp("evaluation")
    manifest = write_rows(folder / "manifest.parquet", manifest_rows(people=10, frames=2))
    runs = []
    for methods, compressions in TRAININGS:
        for game in ("none", "generator"):
            for seed in (0, 1):
                name = f"{methods[0]}-{compressions[0]}-{game}-{seed}"
                run = write_run(folder / name, game, seed, methods=methods, compressions=compressions)
                runs.append(run)
    return evaluate_runs(
        runs, manifest, folder / "out", EvaluateConfig(replicates=100), made_up_scorer(seed_spread=0.3), read_run
    )


def _results(evaluation: Evaluation, **of) -> list[float]:
    """The video-level AUCs of the rows of results.json that are so."""
    rows = [row for row in evaluation.results if row.level == "video"]
    return [row.auc for row in rows if all(getattr(row, name) == value for name, value in of.items())]


def test_a_players_matrix_has_the_means_of_its_results(evaluation):
    *forgeries, _ = cross_matrices(evaluation)
    assert [matrix.name for matrix in forgeries] == ["forgeries-1-none", "forgeries-2-generator"]
    for matrix, game in zip(forgeries, ("none", "generator"), strict=True):
        assert matrix.rows == ("Deepfakes at c23", "FaceSwap at c23", "FaceSwap at c40")
        assert [tuple(column) for column in matrix.columns] == [(c, m) for c in ("c23", "c40") for m in METHODS]
        for (row, column), entry in matrix.entries.items():
            method, quality = matrix.rows[row].split(" at ")
            head = matrix.columns[column]
            aucs = _results(
                evaluation,
                game=game,
                train_method=method,
                train_compression=quality,
                test_method=head.name,
                test_compression=head.group,
            )
            assert len(aucs) == 2 and entry.value == pytest.approx(np.mean(aucs))
            assert entry.low is not None and entry.high is not None and entry.low <= entry.value <= entry.high
        assert len(matrix.entries) == 3 * 6


def test_marks_say_what_was_trained_on(evaluation):
    matrix = cross_matrices(evaluation)[0]
    marks = {
        (matrix.rows[row], *matrix.columns[column]): entry.seen for (row, column), entry in matrix.entries.items()
    }
    assert marks["FaceSwap at c40", "c40", "FaceSwap"] == "seen"
    assert marks["FaceSwap at c40", "c23", "FaceSwap"] == "other quality"
    assert marks["FaceSwap at c40", "c40", "Deepfakes"] == "unseen"
    assert sum(mark == "seen" for mark in marks.values()) == len(matrix.rows)


def test_the_matrix_over_qualities_counts_each_training_once(evaluation):
    *_, qualities = cross_matrices(evaluation)
    assert qualities.rows == ("none, c23", "none, c40", "generator, c23", "generator, c40")
    assert [column.name for column in qualities.columns] == ["c23", "c40", "c23", "c40"]
    trained = {"game": "generator", "train_compression": "c23", "test_compression": "c40"}
    seen = [
        np.mean(_results(evaluation, **trained, train_method=method, test_method=method))
        for method in ("Deepfakes", "FaceSwap")
    ]
    unseen = [
        np.mean([_results(evaluation, **trained, train_method=method, test_method=t) for t in METHODS if t != method])
        for method in ("Deepfakes", "FaceSwap")
    ]
    assert qualities.entries[2, 1].value == pytest.approx(np.mean(seen))
    assert qualities.entries[2, 3].value == pytest.approx(np.mean(unseen))
    assert [qualities.entries[2, column].seen for column in range(4)] == ["seen", "other quality", "unseen", "unseen"]


def test_a_mean_over_one_method_is_that_methods_estimate(evaluation):
    """Intervals included: at c40 one method was trained on, and it is one cell of the player's."""
    *_, qualities = cross_matrices(evaluation)
    player = next(p for p in evaluation.players if p.training.compressions == ("c40",) and p.name == "none")
    for column, quality in enumerate(("c23", "c40")):
        own = next(v for cell, v in player.cells.items() if tuple(cell) == ("FaceSwap", quality))
        entry = qualities.entries[1, column]
        assert (entry.value, entry.low, entry.high) == pytest.approx((own.value, own.low, own.high))


def test_one_training_makes_no_matrix(evaluation):
    training = evaluation.players[0].training
    one = [player for player in evaluation.players if player.training == training]
    runs = [run for run in evaluation.runs if run.training == training]
    assert cross_matrices(replace(evaluation, players=one, runs=runs)) == []


def test_a_figure_tells_and_frames_every_number(evaluation):
    for matrix in cross_matrices(evaluation):
        figure = cross_figure(matrix)
        assert figure == cross_figure(matrix)
        words = re.findall(r'aria-label="([^"]*)"', figure)[0]
        assert all(f"{entry.value:.3f}" in words for entry in matrix.entries.values())
        frames = re.findall(r"stroke-width: (1\.6|1\.1)", figure)
        marks = [entry.seen for entry in matrix.entries.values()]
        assert frames.count("1.6") == marks.count("seen") and frames.count("1.1") == marks.count("other quality")


def _hostile(evaluation: Evaluation) -> Matrix:
    matrix = cross_matrices(evaluation)[0]
    columns = (matrix.columns[0]._replace(name=HOSTILE), *matrix.columns[1:])
    return replace(matrix, title=HOSTILE, corner=HOSTILE, rows=(HOSTILE, *matrix.rows[1:]), columns=columns)


def _cells(line: str) -> list[str]:
    """The words of each cell of a rendered Markdown table's row."""
    return re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)


def test_markdown_shows_names_as_they_are(evaluation):
    html = MarkdownIt("commonmark").enable("table").render(markdown_table(_hostile(evaluation)))
    page = Page(html)
    assert not page.all("b") and not page.all("a") and not page.all("img") and not page.all("code")
    assert page.text.count(HOSTILE) == 4
    rows = html.split("<tr>")[1:]
    assert len(rows) == 4 and all(len(_cells(row.replace("\n", ""))) == 7 for row in rows)
    assert [row.count("<strong>") for row in rows] == [0, 1, 1, 1]


def test_latex_prints_names_as_they_are():
    assert latex_escaped("a_b & 50% | #1") == r"a\_b \& 50\% \textbar{} \#1"
    assert latex_escaped(r"\x{y}$z$") == r"\textbackslash{}x\{y\}\$z\$"
    assert latex_escaped("~^<>") == r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
    assert latex_escaped("[2pt]*") == "{[}2pt{]}{*}"
    assert latex_escaped("a\nb\u202e") == r"a\textbackslash{}nb\textbackslash{}u202e"
    assert markdown_escaped("a\nb | c") == "a\\\\nb \\| c"


def test_a_latex_table_is_whole(evaluation):
    text = latex_table(_hostile(evaluation))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    heads, values = rows[:2], rows[2:]
    assert len(values) == 2 * 3
    assert len(re.findall(r"(?<!\\)&", heads[0])) == 2 and r"\multicolumn{3}{c}{c40}" in heads[0]
    assert r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}" in text
    assert all(len(re.findall(r"(?<!\\)&", row)) == 6 for row in (heads[1], *values))
    assert text.count(r"\textbf") == text.count(r"\textit") == 3
    unescaped = re.sub(r"\\[{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_sets_the_tables(evaluation, tmp_path):
    tables = [latex_table(matrix) for matrix in (*cross_matrices(evaluation), _hostile(evaluation))]
    head = [r"\documentclass{article}", r"\usepackage{booktabs,graphicx}", r"\begin{document}"]
    (tmp_path / "paper.tex").write_text("\n".join([*head, *tables, r"\end{document}"]))
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0 and (tmp_path / "paper.pdf").stat().st_size > 10_000, said.stdout[-2000:]


def test_files_replace_those_of_earlier_players(evaluation, tmp_path):
    (tmp_path / "matrices").mkdir()
    (tmp_path / "matrices" / "forgeries-9-gone.svg").touch()
    (tmp_path / "matrices" / "mine.txt").touch()
    write_matrices(tmp_path, evaluation)
    made = ["forgeries-1-none", "forgeries-2-generator", "qualities"]
    expected = {f"{name}.{kind}" for name in made for kind in ("svg", "tex", "md")} | {"mine.txt"}
    assert {path.name for path in (tmp_path / "matrices").iterdir()} == expected


def test_the_page_shows_them(evaluation):
    page = Page(render_page(evaluation))
    shown = [figure["aria-label"] for figure in page.all("svg")]
    assert sum("mean over 2 seeds" in words for words in shown) == 2
    assert sum("trainings and 2 seeds" in words for words in shown) == 1
    assert any(attributes.get("id") == "cross" for attributes in page.all("h2"))
