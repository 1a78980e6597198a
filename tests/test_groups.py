"""Groups of videos, pairs of detectors, classes, the files of results: worked by hand."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from dfgame.cli import main
from dfgame.config import EvaluateConfig, SettingError
from dfgame.evaluate import evaluate_runs
from dfgame.leaderboard import COLUMNS, append
from dfgame.metrics import difference_interval, share_interval
from dfgame.outcomes import Account
from dfgame.records import UserError
from dfgame.report.files import write_report
from dfgame.report.schema import schema
from dfgame.rows import asked_rows
from synthetic_runs import made_up_scorer, manifest_rows, read_run, video_rows, write_rows, write_run
from test_subjects import small_rows, video_scores, written

CONFIG = EvaluateConfig(replicates=100, threshold=0.5)
SCHEMA_FILE = Path(__file__).parents[1] / "docs" / "results.schema.json"


def with_columns(path, rows, **columns):
    """A manifest that says more of its rows."""
    table = pq.read_table(write_rows(path, rows))
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)
    return path


def test_groups_worked_by_hand(tmp_path):
    """Light: real 0.1 0.4, fake 0.9 0.5, no error. Dark: real 0.2 0.7, fake 0.3 0.6, two pairs of four, an error each.

    The skin of one more fake is not known: that is a group of its own, in which there are no real ones.
    """
    rows = small_rows()
    rows += video_rows("more.mp4", 2, "fake", "FaceSwap", "c23", "more", None)
    videos = list(dict.fromkeys(row["video"] for row in rows))
    skin = dict(zip(videos, ["light"] * 4 + ["dark"] * 4 + [None], strict=True))
    path = with_columns(tmp_path / "m.parquet", rows, skin=[skin[row["video"]] for row in rows])
    scores = dict(zip(videos, (0.1, 0.9, 0.4, 0.5, 0.2, 0.3, 0.7, 0.6, 0.8), strict=True))
    found = evaluate_runs(
        [written(tmp_path / "theirs.csv", scores)], path, tmp_path / "out", replace(CONFIG, by=("skin",))
    )
    groups = {group.value: group for group in found.groups}
    assert set(groups) == {"light", "dark", "not known"}
    light, dark, unknown = (groups[name] for name in ("light", "dark", "not known"))
    assert (light.auc, light.real_called_fake, light.fake_called_real) == (1.0, 0.0, 0.0)
    assert (dark.auc, dark.real_called_fake, dark.fake_called_real) == (0.5, 0.5, 0.5)
    assert (unknown.auc, unknown.n_real, unknown.n_fake) == (None, 0, 1) and "no real ones" in unknown.undefined
    assert unknown.fake_called_real == 0.0 and unknown.real_called_fake is None
    gaps = {gap.measure: gap for gap in found.gaps}
    assert (gaps["auc"].best, gaps["auc"].worst, gaps["auc"].gap) == ("light", "dark", 0.5)
    assert (gaps["real_called_fake"].worst, gaps["real_called_fake"].gap) == ("dark", 0.5)
    assert (gaps["fake_called_real"].worst, gaps["fake_called_real"].gap) == ("dark", 0.5)
    assert all(gap.low is None and gap.high is None for gap in gaps.values())
    assert set(gaps["auc"].few) == set(gaps["real_called_fake"].few) == {"light", "dark"}
    assert set(gaps["fake_called_real"].few) == {"light", "dark", "not known"}
    assert all("no interval on fewer than 20 people" in group.undefined for group in groups.values())


def test_groups_of_enough_people_have_intervals(tmp_path):
    """Of 40 people, 20 in a group, each with a real video and three fakes: people count, not videos."""
    rows = manifest_rows(people=40, compressions=("c23",))
    half = [("f", "m")[row["identity"] >= "020"] for row in rows]
    path = with_columns(tmp_path / "m.parquet", rows, half=half)
    config = replace(CONFIG, by=("half",))
    run = write_run(tmp_path / "run", "none")
    found = evaluate_runs([run], path, tmp_path / "out", config, made_up_scorer(), read_run)
    for group in found.groups:
        assert (group.n_real, group.n_fake, group.undefined) == (20, 60, "")
        assert group.real_called_fake is not None and group.fake_called_real is not None
        exact = binomtest(round(20 * group.real_called_fake), 20).proportion_ci(method="exact")
        assert group.real_called_fake_interval == pytest.approx((exact.low, exact.high))
        assert group.fake_called_real_interval == share_interval(group.fake_called_real, 20)
    assert len(found.gaps) == 3
    for gap in found.gaps:
        best, worst = (next(one for one in found.groups if one.value == name) for name in (gap.best, gap.worst))
        (value, ends), (other, others) = (
            (getattr(one, gap.measure), getattr(one, f"{gap.measure}_interval"))
            for one in ((best, worst) if gap.measure == "auc" else (worst, best))
        )
        assert gap.gap == pytest.approx(value - other) and gap.few == ()
        assert (gap.low, gap.high) == pytest.approx(difference_interval(value, ends, other, others))


@pytest.mark.parametrize("key", ["identity", "video"])
def test_columns_of_a_file_beside_the_manifest(tmp_path, key, capsys):
    """Light and dark as above; of the last two videos the file says nothing, or nothing of skin."""
    rows = small_rows()
    names = list(dict.fromkeys(row[key] for row in rows))
    lines = [f"{name},{skin},x" for name, skin in zip(names, ["light"] * 4 + ["dark"] * 2 + [""], strict=False)]
    said = tmp_path / "people.csv"
    said.write_text("\n".join([f"{key},skin,more", *lines, f"nobody{key},dark,x"]), encoding="utf-8-sig")
    path, file = write_rows(tmp_path / "m.parquet", rows), written(tmp_path / "theirs.csv", video_scores(rows))
    config = replace(CONFIG, by=("skin", "method"), attributes=said)
    found = evaluate_runs([file], path, tmp_path / "out", config)
    groups = {group.value: (group.n_real, group.n_fake, group.auc) for group in found.groups if group.column == "skin"}
    assert groups == {"light": (2, 2, 1.0), "dark": (1, 1, 1.0), "not known": (1, 1, 0.0)}
    assert f"people.csv: says nothing of 1 of 8 ({key})" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,skin\na,light\n", "has neither a column identity nor a column video"),
        ("identity,skin\ntest000,light\ntest000,dark\n", "line 3: test000 is there twice"),
        ("identity,skin\nnobody,light\n", "no identity in it is in a manifest"),
        ("identity,age\ntest000,30\n", "people.csv: has no column skin"),
        ("dataset,identity,skin\nAnother,test000,light\n", "no identity in it"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_columns_that_cannot_be_used_is_refused(tmp_path, text, problem):
    rows = small_rows()
    said = tmp_path / "people.csv"
    if text is not None:
        said.write_text(text)
    path, file = write_rows(tmp_path / "m.parquet", rows), written(tmp_path / "theirs.csv", video_scores(rows))
    with pytest.raises(UserError, match=problem):
        evaluate_runs([file], path, tmp_path / "out", replace(CONFIG, by=("skin",), attributes=said))


def test_people_of_several_data_sets_are_told_apart_in_such_a_file(tmp_path):
    paths = [write_rows(tmp_path / name / "m.parquet", small_rows(dataset=name)) for name in ("One", "Two")]
    said = tmp_path / "people.csv"
    config = replace(CONFIG, by=("skin",), attributes=said)
    said.write_text("identity,skin\ntest000,light\n")
    with pytest.raises(UserError, match="has no column dataset, and there are 2 data sets"):
        asked_rows(paths, config)
    said.write_text("dataset,identity,skin\nOne,test000,light\nTwo,test000,dark\n")
    table = asked_rows(paths, config).table
    found = {(row["dataset"], row["skin"]) for row in table.to_pylist() if row["identity"] == "test000"}
    assert found == {("One", "light"), ("Two", "dark")}


def test_a_file_of_columns_needs_columns_to_measure_by():
    with pytest.raises(SettingError, match="--attributes: changes nothing here, it needs --by"):
        EvaluateConfig(attributes=Path("people.csv"))


def test_a_column_that_is_not_there_is_refused(tmp_path):
    path = with_columns(tmp_path / "m.parquet", small_rows(), skin=["x"] * 16)
    file = written(tmp_path / "theirs.csv", video_scores(small_rows()))
    with pytest.raises(UserError) as error:
        evaluate_runs([file], path, tmp_path / "out", replace(CONFIG, by=("age",)))
    assert "no column age" in error.value.problem and "skin" in error.value.remedy


def test_a_column_of_too_many_values_is_refused(tmp_path):
    rows = manifest_rows(people=24, frames=1)
    path = with_columns(tmp_path / "m.parquet", rows, age=[20 + int(row["identity"]) for row in rows])
    run = write_run(tmp_path / "run", "none")
    with pytest.raises(UserError, match="--by age: 24 different values"):
        evaluate_runs([run], path, tmp_path / "out", replace(CONFIG, by=("age",)), never, read_run)


def never(*_):
    raise AssertionError("scored")


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "is a folder"), (b"detector,auc\n", "no leaderboard of this version"), (b"\xff\n", "no leaderboard")],
)
def test_a_leaderboard_that_cannot_be_appended_to_is_told_before_scoring(tmp_path, capsys, content, problem):
    board = tmp_path / "board.csv"
    if content is None:
        board.mkdir()
    else:
        board.write_bytes(content)
    path = write_rows(tmp_path / "m.parquet", small_rows())
    file, out = written(tmp_path / "theirs.csv", video_scores(small_rows())), tmp_path / "out"
    for place, why in ((board, problem), (path / "board.csv", "cannot write there")):
        with pytest.raises(SystemExit) as end:
            main(["evaluate", str(path), str(file), "--out", str(out), "--leaderboard", str(place)])
        assert end.value.code == 2 and why in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("unit", ["video", "path"])
def test_the_group_of_a_video_is_that_of_most_of_its_frames(tmp_path, unit):
    """Of three frames the first is frontal, the others are not; by the scores of videos, or of first crops alone."""
    rows = small_rows(frames=3)
    pose = ["frontal" if row["frame"] == 0 else "profile" for row in rows]
    path = with_columns(tmp_path / "m.parquet", rows, pose=pose)
    scores = dict(zip((row[unit] for row in rows[::3]), video_scores(rows).values(), strict=True))
    found = evaluate_runs(
        [written(tmp_path / "theirs.csv", scores)], path, tmp_path / "out", replace(CONFIG, by=("pose",))
    )
    assert [(group.value, group.n_real, group.n_fake, group.auc) for group in found.groups] == [
        ("profile", 4, 4, 0.75)
    ]


def test_pairs_on_the_videos_that_both_scored(tmp_path):
    """The first says 0.75; the second, on the seven videos that it scored, 0.5 of 3 x 4 pairs by hand."""
    rows = small_rows()
    first = video_scores(rows)
    second = video_scores(rows, real=(0.1, 0.4, 0.2, 0.7), fake=(0.3, 0.15, 0.45, 0.5))
    del second[next(iter(second))]  # the real one of 0.1
    files = [written(tmp_path / "first.csv", first), written(tmp_path / "second.csv", second)]
    found = evaluate_runs(files, write_rows(tmp_path / "m.parquet", rows), tmp_path / "out", CONFIG)
    assert found.card["level"]["reported"] == ["video"]
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.n_real, pair.n_fake, pair.missing) == ("first", "second", 3, 4, 1)
    real, fake = (0.4, 0.2, 0.7), (0.9, 0.5, 0.3, 0.6)
    expected = np.mean([r < f for r, f in product(real, fake)])
    other = np.mean([r < f for r, f in product(real, (0.3, 0.15, 0.45, 0.5))])
    assert pair.first_auc == pytest.approx(expected) and pair.second_auc == pytest.approx(other)
    assert pair.difference == pytest.approx(expected - other)
    assert pair.low is not None and pair.high is not None and pair.p is not None and pair.difference is not None
    assert pair.low <= pair.difference <= pair.high
    assert 0 < pair.p <= 1


def test_the_same_scores_twice_differ_by_nothing(tmp_path):
    rows = small_rows()
    files = [written(tmp_path / f"{name}.csv", video_scores(rows)) for name in "ab"]
    (pair,) = evaluate_runs(files, write_rows(tmp_path / "m.parquet", rows), tmp_path / "out", CONFIG).pairs
    assert (pair.difference, pair.low, pair.high, pair.p) == (0.0, 0.0, 0.0, 1.0)


def test_all_right_against_all_wrong_is_told_without_an_interval(tmp_path):
    rows = small_rows()
    perfect = {row["video"]: float(row["label"] == "fake") for row in rows}
    inverted = {name: 1 - score for name, score in perfect.items()}
    files = [written(tmp_path / f"{number}.csv", scores) for number, scores in enumerate((perfect, inverted))]
    (pair,) = evaluate_runs(files, write_rows(tmp_path / "m.parquet", rows), tmp_path / "out", CONFIG).pairs
    assert (pair.first_auc, pair.second_auc, pair.difference) == (1.0, 0.0, 1.0)
    assert (pair.low, pair.high, pair.p) == (None, None, None)


def test_five_classes_worked_by_hand(tmp_path):
    """Of two frames a video, real ones are called real once and, less surely, Deepfakes; the fakes FaceSwap always."""
    rows = small_rows()
    path = write_rows(tmp_path / "m.parquet", rows)

    def scorer(run, table, folder, config):
        classes = []
        for row in table.to_pylist():
            likely = [0.8, 0.2, 0, 0, 0] if row["frame"] == 0 else [0.4, 0.6, 0, 0, 0]
            classes.append(likely if row["label"] == "real" else [0.1, 0, 0, 0.9, 0])
        table = table.append_column("p_fake", pa.array([1 - one[0] for one in classes]))
        return table.append_column("classes", pa.array(classes, pa.list_(pa.float64())))

    run = write_run(tmp_path / "run", "none")
    for _ in range(2):  # the second time from what was kept
        found = evaluate_runs([run], path, tmp_path / "out", CONFIG, scorer, read_run)
        by_level = {one.level: one for one in found.confusions}
        assert by_level["frame"].classes == ("real", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
        assert by_level["frame"].counts == ((4, 4, 0, 0, 0), (0,) * 5, (0,) * 5, (0, 0, 0, 8, 0), (0,) * 5)
        assert (by_level["frame"].accuracy, by_level["frame"].balanced_accuracy) == (0.75, 0.75)
        assert by_level["video"].counts == ((4, 0, 0, 0, 0), (0,) * 5, (0,) * 5, (0, 0, 0, 4, 0), (0,) * 5)
        assert by_level["video"].accuracy == 1.0


def test_a_frame_without_a_number_is_not_scored(tmp_path):
    """Of two frames a video, one is not a number: it is no vote for real, and it is counted."""
    rows = small_rows()
    path, run = write_rows(tmp_path / "m.parquet", rows), write_run(tmp_path / "run", "none")
    for row in rows:
        crop = tmp_path / row["path"]
        crop.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(crop), np.zeros((8, 8, 3), np.uint8))

    def scorer(run, table, folder, config):
        classes = []
        for row in table.to_pylist():
            named = [0.9, 0.1, 0, 0, 0] if row["label"] == "real" else [0.1, 0, 0, 0.9, 0]
            classes.append(named if row["frame"] == 0 else [np.nan] * 5)
        table = table.append_column("p_fake", pa.array([1 - one[0] for one in classes]))
        return table.append_column("classes", pa.array(classes, pa.list_(pa.float64())))

    for _ in range(2):  # the second time from what was kept
        found = evaluate_runs([run], path, tmp_path / "out", CONFIG, scorer, read_run)
        for one in found.confusions:
            assert one.accuracy == 1.0 and np.sum(one.counts) == 8
        (crops,) = (one for one in found.accounting if one.unit == "crop")
        assert (crops.inputs, crops.scored, crops.not_scored) == (16, 8, 8)


def test_faces_of_a_video_are_a_level_where_there_are_several(tmp_path):
    """A fake video of two faces, one of which is real: 0.9 and 0.1."""
    rows = small_rows()
    for row in rows:
        row["track"] = row["frame"]
    scores = {row["path"]: (0.9 if row["label"] == "fake" and row["track"] else 0.1) for row in rows}
    found = evaluate_runs(
        [written(tmp_path / "t.csv", scores)], write_rows(tmp_path / "m.parquet", rows), tmp_path / "out", CONFIG
    )
    aucs = {result.level: (result.auc, result.n_real, result.n_fake) for result in found.results}
    assert aucs == {"frame": (0.75, 8, 8), "track": (0.75, 8, 8), "video": (1.0, 4, 4)}


def test_the_options_of_the_command_line_do_what_they_say(tmp_path, capsys):
    """Crops of scores 0.1 0.4 0.2 0.7 (real) and 0.9 0.5 0.3 0.6 (fake); the other frame's is 0.05 less.

    With the higher of two frames the AUC is 0.75, and at 0.45 one of each four is wrong. The women are the first two
    of each four, who are told apart without a mistake. A ninth video has small faces.
    """
    rows = small_rows()
    means = video_scores(rows)
    scores = {row["path"]: means[row["video"]] - 0.05 * row["frame"] for row in rows}
    small = video_rows("small.mp4", 2, "fake", "FaceSwap", "c23", "small", None)
    rows = [*({**row, "right": 50.0} for row in rows), *small]
    scores |= {row["path"]: 0.0 for row in small}
    sex = ["f" if row["identity"][-3:] in ("000", "001", "004", "005") else "m" for row in rows]
    path = with_columns(tmp_path / "m.parquet", rows, sex=sex)
    board, out = tmp_path / "board.csv", tmp_path / "out"
    words = ["--by", "sex", "--leaderboard", board, "--pooling", "top-1", "--min-face", 20, "--threshold", 0.45]
    for new in (2, 0):
        with pytest.raises(SystemExit) as end:
            main([str(w) for w in ("evaluate", path, written(tmp_path / "t.csv", scores), "--out", out, *words)])
        assert end.value.code == 0 and f"{new} new lines" in capsys.readouterr().err
    found = json.loads((out / "results.json").read_text())
    (result,) = [one for one in found["results"] if one["level"] == "video"]
    assert (result["auc"], result["accuracy"], result["pooling"], result["frames"]) == (0.75, 0.75, "top-1", "2")
    assert (result["threshold"], result["threshold_from"]) == (0.45, "given")
    errors = {one["value"]: (one["real_called_fake"], one["fake_called_real"]) for one in found["groups"]}
    assert errors == {"f": (0, 0), "m": (0.5, 0.5)}
    assert [(one["inputs"], one["too_small"]) for one in found["accounting"]] == [(18, 2), (9, 1)]
    with board.open(newline="") as file:
        assert [(line["level"], line["pooling"]) for line in csv.DictReader(file)] == [
            ("frame", "none"),
            ("video", "top-1"),
        ]


def test_inputs_that_do_not_add_up_are_an_error():
    with pytest.raises(ValueError, match="not the sum"):
        Account("run", "video", 5, 3, 1, 0, 0, 0, 0)


@pytest.fixture
def evaluation(tmp_path):
    rows = manifest_rows(people=6)
    path = with_columns(tmp_path / "m.parquet", rows, sex=[("f", "m")[int(row["identity"]) % 2] for row in rows])
    runs = [write_run(tmp_path / name, name) for name in ("none", "generator")]
    config = replace(CONFIG, by=("sex",))
    return evaluate_runs(runs, path, tmp_path / "out", config, made_up_scorer(), read_run)


def test_results_are_as_their_published_schema_says(evaluation, tmp_path):
    write_report(tmp_path / "out", evaluation)
    found = json.loads((tmp_path / "out/results.json").read_text())
    published = json.loads(SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(found, published, jsonschema.Draft202012Validator)
    assert found["pairs"] and found["groups"] and found["gaps"] and found["accounting"]
    for name, value in (("schema_version", 2), ("pairs", [{}]), ("split", None)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(found | {name: value}, published, jsonschema.Draft202012Validator)


def test_the_published_schema_is_that_of_the_code():
    """`python -m dfgame.report.schema > docs/results.schema.json` writes it anew."""
    assert json.loads(SCHEMA_FILE.read_text()) == schema()


def test_a_leaderboard_grows_and_never_says_a_thing_twice(evaluation, tmp_path):
    board = tmp_path / "board.csv"
    assert append(board, evaluation) == len(evaluation.results)
    before = board.read_bytes()
    assert append(board, evaluation) == 0 and board.read_bytes() == before
    shifted = replace(evaluation, results=[replace(evaluation.results[0], auc=0.123), *evaluation.results[1:]])
    assert append(board, shifted) == 1
    assert board.read_bytes().startswith(before)
    with board.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert float(lines[0]["auc"]) == evaluation.results[0].auc and lines[-1]["auc"] == "0.123"


def test_those_who_append_at_the_same_time_lose_nothing(evaluation, tmp_path):
    board = tmp_path / "board.csv"
    first = evaluation.results[0]
    several = [replace(evaluation, results=[replace(first, auc=number / 100)]) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(append, [board] * 40, several)) == 40
    with board.open(newline="") as file:
        assert sorted(float(line["auc"]) for line in csv.DictReader(file)) == [number / 100 for number in range(40)]


def test_a_leaderboard_of_other_columns_is_left_alone(evaluation, tmp_path):
    board = tmp_path / "board.csv"
    board.write_text("detector,auc\nmine,1\n")
    with pytest.raises(UserError, match="no leaderboard of this version"):
        append(board, evaluation)
    assert board.read_text() == "detector,auc\nmine,1\n"
