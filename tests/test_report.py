"""The page and the files beside it: complete, self-contained, stable, and careful with claims."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from io import StringIO
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import auc as area

from dfgame.config import EvaluateConfig
from dfgame.evaluate import evaluate_runs
from dfgame.report.figures import COLOURS, matrix_figure
from dfgame.report.files import write_report
from dfgame.report.page import PNG_SIGNATURE, Picture, render_page
from dfgame.report.terminal import terminal_tables
from dfgame.report.words import counted, findings, listed, notes
from dfgame.summary import Comparison, Evaluation
from pages import Page
from synthetic_runs import METHODS, made_up_scorer, manifest_rows, read_run, write_rows, write_run

PICTURE = Picture("clean & adversarial", PNG_SIGNATURE + b"made up")


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory) -> Evaluation:
    folder = tmp_path_factory.mktemp("evaluation")
    manifest = write_rows(folder / "manifest.parquet", manifest_rows())
    runs = [write_run(folder / f"{game}-{seed}", game, seed) for game in ("none", "generator") for seed in (0, 1)]
    config = EvaluateConfig(replicates=200)
    return evaluate_runs(runs, manifest, folder / "out", config, made_up_scorer(), read_run)


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_page_needs_nothing_from_elsewhere(evaluation):
    text = render_page(evaluation, [PICTURE])
    page = Page(text)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), value
        assert not [name for name in attributes if name.startswith("on")]
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text


def test_the_page_is_accessible(evaluation):
    page = Page(render_page(evaluation, [PICTURE]))
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(image["alt"] for image in page.all("img"))
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in page.all("svg"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_stands_out_in_light_and_dark(evaluation):
    schemes = re.findall(r":root \{(.*?)\}", render_page(evaluation), re.DOTALL)[:2]
    assert "color-scheme: light dark" in schemes[0]
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6});", scheme))
        for ink in ("ink", "faint", "accent"):
            for ground in ("paper", "card", "stripe"):
                assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert _contrast(colours["ink"], colours["note"]) >= 4.5
    assert all(_contrast(colour, "#ffffff") >= 1.9 for colour in COLOURS)


def test_numbers_in_the_matrix_stand_out(evaluation):
    """Each AUC and each interval, printed on the colour of its cell."""
    figure = matrix_figure(evaluation.players, "c23")
    cells = re.findall(r"<path [^>]*?fill: (#\w{6})", figure)
    numbers = re.findall(r'<text style="[^"]*?(?:fill: (#\w{6}))?"[^>]*>(0\.\d+|1\.0+)', figure)
    assert len(cells) == len(evaluation.players) * len(METHODS)
    assert len(numbers) == 2 * len(cells)
    for index, ground in enumerate(cells):
        for ink, _ in numbers[2 * index : 2 * index + 2]:
            assert _contrast(ground, ink or "#000000") >= 4.5


def test_the_same_numbers_give_the_same_bytes(evaluation, tmp_path):
    for name in ("a", "b"):
        write_report(tmp_path / name, evaluation, [PICTURE])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_every_number_of_the_records_is_on_the_page_and_in_the_files(evaluation, tmp_path):
    page = write_report(tmp_path, evaluation).read_text()
    records = json.loads((tmp_path / "results.json").read_text())["results"]
    assert records == [asdict(result) for result in evaluation.results]
    rows = read_csv(tmp_path / "results.csv")
    assert [list(row) for row in rows] == [list(record) for record in records]
    for row, record in zip(rows, records, strict=True):
        typed = {name: type(record[name])(value) if value else record[name] for name, value in row.items()}
        assert typed == record and all(bool(row[name]) == (record[name] not in (None, "")) for name in row)
        for name in ("auc", "ap", "eer", "accuracy"):
            assert f">{record[name]:.3f}</td>" in page
        assert f">{record['auc_low']:.3f}–{record['auc_high']:.3f}</td>" in page


def test_figures_come_with_their_numbers(evaluation, tmp_path):
    write_report(tmp_path, evaluation)
    matrix = read_csv(tmp_path / "figure_auc.csv")
    assert len(matrix) == 2 * 2 * len(METHODS)
    for row in matrix:
        assert row["methods"] == ("seen" if row["test_method"] == "Deepfakes" else "unseen")
        assert float(row["lowest_seed"]) <= float(row["auc"]) <= float(row["highest_seed"])
    records = [result for result in evaluation.results if result.level == "video"]
    curves = read_csv(tmp_path / "curves.csv")
    for record in records:
        points = [
            (float(row["fpr"]), float(row["tpr"]))
            for row in curves
            if (row["game"], row["test_method"], row["test_compression"], row["seed"])
            == (record.game, record.test_method, record.test_compression, str(record.seed))
        ]
        assert area(*zip(*points, strict=True)) == pytest.approx(record.auc)
    lines = read_csv(tmp_path / "figure_roc.csv")
    drawn = {(row["game"], row["test_compression"], row["methods"]) for row in lines}
    assert drawn == {(g, c, m) for g in ("none", "generator") for c in ("c23", "c40") for m in ("seen", "unseen")}
    unseen = [
        r.auc for r in records if r.game == "none" and r.test_compression == "c40" and r.test_method != "Deepfakes"
    ]
    points = [
        (float(row["fpr"]), float(row["tpr"]))
        for row in lines
        if (row["game"], row["test_compression"], row["methods"]) == ("none", "c40", "unseen")
    ]
    assert area(*zip(*points, strict=True)) == pytest.approx(np.mean(unseen))


def test_the_data_set_goes_by_its_own_name(evaluation):
    text = render_page(evaluation)
    assert "Made-up Faces" in text
    assert "FaceForensics" not in text


def test_names_cannot_smuggle_markup_in(evaluation):
    hostile = {**evaluation.settings, "datasets": ["<script>alert(1)</script>"]}
    players = [replace(player, name="<b>none</b> $x$") for player in evaluation.players]
    text = render_page(replace(evaluation, settings=hostile, players=players, lines=[]))
    page = Page(text)
    assert not page.all("script")
    assert "<b>none" not in text
    assert "&lt;b&gt;none&lt;/b&gt; $x$" in text


def test_pictures_must_be_png(evaluation):
    with pytest.raises(ValueError, match="not a PNG"):
        render_page(evaluation, [Picture("a picture", b"GIF89a")])
    page = Page(render_page(evaluation, [PICTURE]))
    assert page.all("img")[0]["alt"] == "clean & adversarial"


def _finding(evaluation: Evaluation, **changes) -> str:
    comparison: Comparison = replace(evaluation.comparisons[0], **changes)
    return findings(replace(evaluation, comparisons=[comparison]))[0]


def test_findings_claim_no_more_than_the_evidence(evaluation):
    rivals = (("none", -0.01, 0.2), ("other", 0.1, 0.2))
    best = {"best": "generator", "rivals": rivals}
    assert "generator did best" in _finding(evaluation, **best, verdict="supported")
    for verdict, reason in (
        ("within the intervals", "its lead over none is within the intervals"),
        ("too few people", "only 12 people"),
        ("seeds overlap", "the seeds of another player reach as high"),
    ):
        sentence = _finding(evaluation, **best, verdict=verdict, fewest_people=12)
        assert reason in sentence
        assert "did best" not in sentence
    alone = _finding(evaluation, **best, verdict="alone", fewest_people=2)
    assert "no other player" in alone
    assert "only 2 people of a class" in alone
    assert "only" not in _finding(evaluation, **best, verdict="alone", fewest_people=200)


def test_one_seed_is_said_to_be_one(evaluation):
    one = replace(evaluation.comparisons[0].estimate, by_seed=(0.9,))
    assert "not yet for the games" in _finding(evaluation, verdict="supported", estimate=one)
    assert "not yet for the games" not in _finding(evaluation, verdict="supported")


def test_notes_warn_before_the_numbers(evaluation):
    settings = {
        **evaluation.settings,
        "split": "train",
        "other_manifest": ["plain"],
        "undefined": [{"run": "plain", "method": "FaceSwap", "compression": "c40", "reason": "no fake ones"}],
    }
    text = render_page(replace(evaluation, settings=settings))
    for words in (
        "which training has used",
        "Trained on another manifest: plain",
        "plain on FaceSwap at c40 (no fake",
    ):
        assert words in text
        assert words not in render_page(evaluation)
        assert text.index(words) < text.index("Who detects what")


@pytest.mark.parametrize(("split", "words"), [("test", "the test split of"), ("all", "every split of")])
def test_the_lead_names_the_split(evaluation, split, words):
    lead = render_page(replace(evaluation, settings={**evaluation.settings, "split": split}))
    assert f"{words} Made-up Faces" in lead
    assert "the all split" not in lead


def test_rows_that_no_run_was_trained_on_carry_no_warning(evaluation):
    names = [run["run"] for run in evaluation.settings["runs"]]
    settings = {**evaluation.settings, "split": "all", "other_manifest": names}
    used = "every split, which training has used"
    assert used not in render_page(replace(evaluation, settings=settings))
    settings["other_manifest"] = names[1:]
    assert used in render_page(replace(evaluation, settings=settings))
    runs = [replace(run, training=replace(run.training, known=False)) for run in evaluation.runs]
    unknown = replace(evaluation, runs=runs, settings=settings | {"other_manifest": []})
    assert used not in " ".join(notes(unknown))


def test_terminal_tables_fit_and_say_seen(evaluation):
    out = StringIO()
    console = Console(file=out, width=80)
    for table in terminal_tables(evaluation):
        console.print(table)
    text = out.getvalue()
    assert "…" not in text
    for method in METHODS:
        assert method in text
    heads = [line.split() for line in text.splitlines() if "seen" in line]
    assert [word for word in heads[0] if word.endswith("seen")] == ["seen", "unseen", "unseen"]
    for player in evaluation.players:
        for estimate in (*player.cells.values(), player.unseen, player.hardest):
            assert estimate is not None and estimate.low is not None and estimate.high is not None
            assert f"{estimate.value:.3f}" in text
            assert f"{estimate.low:.3f}–{estimate.high:.3f}" in text
            assert f"[{min(estimate.by_seed):.3f}–{max(estimate.by_seed):.3f}]" in text


def test_words():
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [counted(1, "seed"), counted(2000, "seed"), counted(2, "person", "people")] == [
        "1 seed",
        "2,000 seeds",
        "2 people",
    ]


def test_reports_and_metrics_never_load_torch():
    code = "import sys, dfgame.report, dfgame.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
