"""Runs side by side, against records written in the test and an evaluation's own numbers."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dfgame import __version__
from dfgame.cli import main
from dfgame.compare import ALL_HARDEST, SEEN, UNSEEN, Compared, _Measured, compare_runs
from dfgame.config import AdversaryConfig, EvaluateConfig, OptimizerConfig, TrainConfig, to_dict
from dfgame.evaluate import evaluate_runs
from dfgame.metrics import fewest_of_a_class, paired_interval
from dfgame.records import UserError
from dfgame.report.comparison import MOST_EPOCHS, render_comparison, sections
from dfgame.score import run_info
from dfgame.summary import Cell, Evaluation
from pages import Page
from synthetic_runs import manifest_rows, write_rows

VAL = {"plain": [0.6, 0.75, 0.7], "game": [0.55, 0.8]}


def write_record(folder: Path, config: TrainConfig, val: list[float], **more: Any) -> Path:
    """A run's folder as training leaves it, but for what its weights are."""
    folder.mkdir(parents=True)
    history = [
        {"epoch": number, "detector/loss": 1 / number, "val_auc": auc, "val_loss": 0.5}
        for number, auc in enumerate(val, 1)
    ]
    record = {
        "version": __version__,
        "settings": to_dict(config),
        "versions": {},
        "data": {
            "manifest": "crops/manifest.parquet",
            "manifest_sha256": "0123456789abcdef",
            "train": {"crops": 1200, "videos": 300, "identities": 100},
            "trained_on": {"datasets": ["made"], "methods": ["Deepfakes", "original"], "compressions": ["c23"]},
        },
        "protocol": None,
        "history": history,
        "best_epoch": int(np.argmax(val)) + 1,
    }
    (folder / "run.json").write_text(json.dumps(record | more))
    for name in ("best", "last"):
        (folder / f"{name}.safetensors").write_bytes(f"{folder.name} {name}".encode())
    return folder


def plain_config(**settings: Any) -> TrainConfig:
    fixed: dict[str, Any] = {
        "game": "none",
        "methods": ("Deepfakes",),
        "compressions": ("c23",),
        "epochs": 3,
        "epoch_pairs": 64,
        "batch_size": 16,
    }
    return TrainConfig(**{**fixed, **settings})


def made_up(run: Path, table: pa.Table, folder: Path, config: EvaluateConfig) -> pa.Table:
    """Scores of which the game's are a little better than the others'."""
    rng = np.random.default_rng(zlib.crc32(run.name.encode()))
    ahead = 1.5 if run.name == "game" else 0.7
    values = []
    for row in table.select(["video", "label"]).to_pylist():
        of_video = np.random.default_rng(zlib.crc32(row["video"].encode())).normal()
        values.append(of_video + ahead * (row["label"] == "fake") + 0.3 * rng.normal())
    return table.append_column("p_fake", pa.array(1 / (1 + np.exp(-np.array(values)))))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[list[Path], Path, Evaluation]:
    """Three runs, the third trained on another method, and an evaluation of them."""
    folder = tmp_path_factory.mktemp("compare")
    game = plain_config(
        game="gradient", adversary=AdversaryConfig(share=0.5), optimizer=OptimizerConfig(lr=1e-4), seed=7, workers=3
    )
    runs = [
        write_record(folder / "plain", plain_config(), VAL["plain"], images_per_second=6.0, waited_for_data=0.125),
        write_record(folder / "game", game, VAL["game"]),
        write_record(folder / "elsewhere", plain_config(methods=("FaceSwap",)), [0.5]),
    ]
    manifest = write_rows(folder / "manifest.parquet", manifest_rows(people=8, frames=2))
    config = EvaluateConfig(replicates=100, allow_mismatch=True)
    return runs, folder / "out", evaluate_runs(runs, manifest, folder / "out", config, made_up, run_info)


@pytest.fixture
def compared(made) -> Compared:
    runs, out, evaluation = made
    (out / "results.json").write_text(json.dumps({"results": [row_of(result) for result in evaluation.results]}))
    return compare_runs(runs, out)


def row_of(result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in result.__dataclass_fields__}


def test_settings_that_differ_go_by_their_flags(made):
    compared = compare_runs(made[0][:2])
    assert set(compared.differing) == {"game", "blur.constraint", "adversary.share", "optimizer.lr", "seed", "workers"}
    differing = sections(compared)[0]
    said = {row.what: row.values for row in differing.rows}
    assert said["--optimizer.lr"] == ("0.0005", "0.0001")
    assert said["--game"] == ("none", "gradient")
    assert compare_runs(made[0][::2]).differing == ("methods",)
    assert [run.name for run in compare_runs([made[0][0].parent]).runs] == ["elsewhere", "game", "plain"]


def test_what_runs_did_is_what_their_records_say(made):
    plain, game = compare_runs(made[0][:2]).runs
    assert [entry["val_auc"] for entry in plain.epochs] == VAL["plain"]
    assert (plain.best_epoch, game.best_epoch) == (2, 2)
    assert plain.rounds == 3 * (64 // 8) and game.rounds == 2 * (64 // 8)
    assert plain.seconds == pytest.approx(3 * 8 * 16 / 6.0) and game.seconds is None
    assert plain.checkpoints == ("best", "last")
    said = {row.what: row.values for section in sections(compare_runs(made[0][:2])) for row in section.rows}
    assert said["1"] == ("0.600", "0.550") and said["3"] == ("0.700", "–")
    assert said["detector/loss"] == ("0.333", "0.500")
    assert said["epochs"] == ("3 of 3, 24 rounds", "2 of 3, 16 rounds")
    assert said["images/s"] == ("6.0", "–") and said["waiting for data"] == ("12.5%", "–")
    assert said["methods"] == ("Deepfakes", "Deepfakes")


def test_the_generators_weights_are_no_checkpoint(made, tmp_path):
    run = write_record(tmp_path / "generator", plain_config(), [0.5])
    (run / "adversary.safetensors").touch()
    assert compare_runs([run, made[0][0]]).runs[0].checkpoints == ("best", "last")


def test_results_are_the_evaluations(made, compared):
    evaluation = made[2]
    for run, player in zip(compared.runs, evaluation.players, strict=True):
        assert player.unseen is not None and player.hardest is not None
        for subject, theirs in ((UNSEEN, player.unseen), (ALL_HARDEST, player.hardest)):
            ours = run.tested[subject]
            assert ours.auc == pytest.approx(theirs.value)
            assert ours.interval == pytest.approx((theirs.low, theirs.high))
        seen = [value.value for cell, value in player.cells.items() if cell.method == player.training.methods[0]]
        assert run.tested[SEEN].auc == pytest.approx(np.mean(seen)) and run.tested[SEEN].cells == 2


def test_results_are_found_by_the_run_whatever_its_training_is_called(made, compared):
    """Beside a training on all of another manifest, one on all of its own goes by the methods' names."""
    runs, out, evaluation = made
    rows = [row_of(result) | {"train_method": "by another name"} for result in evaluation.results]
    (out / "results.json").write_text(json.dumps({"results": rows}))
    assert [run.tested for run in compare_runs(runs, out).runs] == [run.tested for run in compared.runs]
    assert all(run.tested for run in compared.runs)


def test_a_method_of_which_it_is_not_known_whether_it_was_trained_on_is_in_no_mean():
    cells = [Cell("Deepfakes", "c23"), Cell("FaceSwap", "c23"), Cell("unknown of A", "c40")]
    seen = dict(zip(cells, (True, False, None), strict=True))
    found = _Measured(dict.fromkeys(cells, 0.5), seen, {}).subjects()
    assert found == {SEEN: (cells[0],), UNSEEN: (cells[1],), ALL_HARDEST: (cells[2],)}


def test_differences_are_paired_and_only_over_the_same_cells(made, compared):
    evaluation = made[2]
    first, game, elsewhere = (run.tested for run in compared.runs)
    plain_run, game_run = evaluation.runs[:2]
    cells = [cell for cell in plain_run.cells if cell.method != "Deepfakes"]
    draws = np.mean([game_run.cells[cell].replicates - plain_run.cells[cell].replicates for cell in cells], axis=0)
    assert game[UNSEEN].ahead == pytest.approx(game[UNSEEN].auc - first[UNSEEN].auc)
    people = min(fewest_of_a_class(game_run.cells[cell].labels, game_run.cells[cell].people) for cell in cells)
    low, high = paired_interval(game[UNSEEN].ahead, draws, people)
    assert game[UNSEEN].ahead_interval == pytest.approx((low, high))
    assert high - low < game[UNSEEN].interval[1] - game[UNSEEN].interval[0]
    assert first[UNSEEN].ahead is None
    assert elsewhere[UNSEEN].ahead is None and elsewhere[SEEN].ahead is None
    assert elsewhere[ALL_HARDEST].ahead is not None


def test_runs_that_an_evaluation_lacks_have_no_results(made, compared, tmp_path):
    runs, out, _ = made
    stranger = write_record(tmp_path / "stranger", plain_config(), [0.5])
    assert [bool(run.tested) for run in compare_runs([stranger, runs[0]], out).runs] == [False, True]
    with pytest.raises(UserError, match="has none of these"):
        compare_runs([stranger, write_record(tmp_path / "other", plain_config(), [0.5])], out)
    with pytest.raises(UserError, match="not the folder of an evaluation"):
        compare_runs(runs, tmp_path)


def test_wrong_use_is_refused(made, tmp_path):
    run = made[0][0]
    with pytest.raises(UserError, match="at least two"):
        compare_runs([run])
    with pytest.raises(UserError, match="named twice"):
        compare_runs([run, run.parent / "." / run.name])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"{tmp_path / 'empty'}: not a run"):
        compare_runs([run, tmp_path / "empty"])


def test_the_page_has_it_all_and_needs_nothing(compared):
    text = render_comparison(compared)
    page = Page(text)
    assert text == render_comparison(compared)
    assert not page.all("script") and not page.all("link") and len(page.all("svg")) == 1
    assert [attributes for _, attributes in page.tags if {"src", "href"} & set(attributes)] == []
    for section in sections(compared):
        assert section.title in page.text
        for row in section.rows:
            assert all(value in page.text for value in row.values)
    words = page.all("svg")[0]["aria-label"]
    assert "plain: 0.600, 0.750, 0.700" in words and "game: 0.550, 0.800" in words


def test_names_cannot_smuggle_markup_in(made, tmp_path):
    hostile = write_record(tmp_path / "<b>x $y$\u202e", plain_config(), [0.5, 0.6])
    text = render_comparison(compare_runs([made[0][0], hostile]))
    assert "<b>x" not in text and "\u202e" not in text
    assert "&lt;b&gt;x $y$\\u202e" in text


def test_long_runs_are_told_in_few_rows(made, tmp_path):
    long = write_record(tmp_path / "long", plain_config(epochs=100), list(np.linspace(0.5, 1, 100)))
    compared = compare_runs([made[0][0], long])
    rows = next(section for section in sections(compared) if "after epoch" in section.title).rows
    assert len(rows) == MOST_EPOCHS and rows[0].what == "1" and rows[-1].what == "100"
    assert len(json.loads(json.dumps(compared.to_dict()))["runs"][1]["epochs"]) == 100


def test_the_command(made, compared, tmp_path, capsys):
    runs, out, _ = made
    files = ["--json", str(tmp_path / "a" / "c.json"), "--html", str(tmp_path / "c.html")]
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, runs[:2]), "--evaluation", str(out), *files])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "--optimizer.lr" in printed and "0.750" in printed
    kept = json.loads((tmp_path / "a" / "c.json").read_text())
    assert kept["runs"][1]["tested"][UNSEEN]["auc"] == compared.runs[1].tested[UNSEEN].auc
    assert (tmp_path / "c.html").read_text().startswith("<!doctype html>")
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(runs[0])])
    assert ended.value.code == 2 and "at least two" in capsys.readouterr().err
