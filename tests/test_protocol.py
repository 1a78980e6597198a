"""Protocols: files that are read or refused, rows that are chosen, nothing of a test set in training."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dfgame.cli import app, main
from dfgame.config import EvaluateConfig, SettingError, TrainConfig
from dfgame.evaluate import evaluate_runs
from dfgame.manifest import SCHEMA, read_manifest, write_manifest
from dfgame.protocol import SHIPPED, Selection, absent, check_protocol, read_protocol, rows, shipped
from dfgame.records import METHODS, UserError
from dfgame.report.card import card_facts
from dfgame.report.files import write_report
from dfgame.rows import asked_rows, training_rows
from dfgame.score import run_info
from dfgame.train import train_run
from synthetic_runs import SMALL, made_up_scorer, manifest_rows, video_rows, write_rows, write_run
from synthetic_runs import read_run as read_settings

NAMES = ["ff-c23", "ff-deepfakes", "ff-face2face", "ff-faceswap", "ff-neuraltextures", "ff-to-dfd-celebdf"]
FF, MINI, DFD, CELEB = "FaceForensics++", "mini FaceForensics++", "DeepFakeDetection", "Celeb-DF-v2"


def set_of(dataset: str, methods, compressions, splits, people: int = 2) -> list[dict]:
    """Rows of a data set: a real video a person, quality and split, and a fake a method."""
    found = []
    for split in splits:
        for number in range(people):
            person, other = f"{split}{number}", f"{split}{number ^ 1}"
            for quality in compressions:
                for method in ("original", *methods):
                    fake = method != "original"
                    video = f"{dataset}/{method}/{quality}/{person}.mp4"
                    facts = ("fake" if fake else "real", method, quality, person, other if fake else None)
                    found += video_rows(video, 2, *facts, split, dataset)
    for row in found:
        row["path"] = f"{row['video']}/{row['frame']}.png"
        row["sha256"] = hashlib.sha256(row["video"].encode()).hexdigest()
    return found


def everything(faceforensics: str = FF) -> list[dict]:
    """A manifest of all data sets together."""
    splits, qualities = ("train", "val", "test"), ("raw", "c23", "c40")
    return [
        *set_of(faceforensics, (*METHODS, "FaceShifter"), qualities, splits),
        *set_of(DFD, (DFD,), qualities, ("test",)),
        *set_of("Celeb-DF-v1", ("Celeb-synthesis",), ("unknown",), ("train", "test")),
        *set_of(CELEB, ("Celeb-synthesis",), ("unknown",), ("train", "test")),
        *set_of("DFDC", ("DFDC",), ("unknown",), splits),
        *set_of("a folder", ("unknown",), ("unknown",), (None,)),
    ]


def table_of(listed: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(listed, SCHEMA)


def people_of(table: pa.Table) -> set[tuple[str, str]]:
    return {(row["dataset"], row[side]) for row in table.to_pylist() for side in ("identity", "source") if row[side]}


def test_the_shipped_ones_are_those_that_the_help_names(capsys):
    assert shipped() == NAMES
    for verb in ("train", "evaluate"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        words = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert "dfgame/protocols" in words and all(name in words for name in NAMES)


@pytest.mark.parametrize("faceforensics", [FF, MINI])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_test_set_is_in_training(name, faceforensics):
    protocol, table = read_protocol(name), table_of(everything(faceforensics))
    check_protocol(protocol, table)
    learned = [rows(table, part) for part in (protocol.train, protocol.val)]
    for part in (protocol.train, protocol.val, *protocol.tests):
        assert not absent(table, part)
    for test in protocol.tests:
        tested = rows(table, test)
        assert set(tested["label"].to_pylist()) == {"real", "fake"}
        for earlier in learned:
            for column in ("video", "path", "sha256"):
                assert not set(tested[column].to_pylist()) & set(earlier[column].to_pylist())
            assert not people_of(tested) & people_of(earlier)


@pytest.mark.parametrize("smuggled", ["path", "content", "source", "validation"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_smuggled_into_training_is_refused(name, smuggled):
    protocol, listed = read_protocol(name), everything()
    tested = rows(table_of(listed), protocol.tests[0]).to_pylist()[0]
    victim = dict(next(row for row in listed if row["dataset"] == FF and row["split"] == "train" and row["source"]))
    victim |= {"method": protocol.train.methods[0], "compression": "c23"}
    if smuggled == "path":
        victim["video"], expected = tested["video"], f"videos ({tested['video']})"
    elif smuggled == "content":
        victim["sha256"], expected = tested["sha256"], f"copies of videos ({tested['video']})"
        victim["video"] += " again"
    else:
        of_split = "val" if smuggled == "validation" or name == "ff-to-dfd-celebdf" else "test"
        victim["source"], expected = f"{of_split}0", f"people ({FF} {of_split}0)"
    with pytest.raises(UserError, match=f"protocol {name}: ") as error:
        check_protocol(protocol, table_of([*listed, victim]))
    assert error.value.problem.endswith(f" shares {expected} with train")


def test_a_test_set_must_also_be_new_to_the_choice_of_the_checkpoint(tmp_path):
    listed = everything()
    victim = dict(next(row for row in listed if (row["dataset"], row["split"]) == (FF, "val")))
    victim |= {"identity": "test0", "compression": "c23"}
    with pytest.raises(UserError, match=r"test c23 shares people .* with val"):
        check_protocol(read_protocol("ff-c23"), table_of([*listed, victim]))


def test_a_person_is_one_only_within_a_data_set():
    """000 of one data set is not 000 of another."""
    listed = [*set_of(FF, METHODS, ("c23",), ("train", "val")), *set_of(DFD, (DFD,), ("c23",), ("test",))]
    listed += set_of(CELEB, ("Celeb-synthesis",), ("unknown",), ("test",))
    for row in listed:
        if row["dataset"] != FF:
            row |= {"identity": "train0", "source": None}
    check_protocol(read_protocol("ff-to-dfd-celebdf"), table_of(listed))


def write_protocol(folder: Path, text: str = "", **changes: str) -> Path:
    """A protocol of one's own on the data set `made`: FaceSwap at c23, tested at c40."""
    parts = {
        "top": 'title = "one"\nsource = "none"',
        "train": '[train]\ndatasets = ["made"]\nmethods = ["FaceSwap"]\ncompressions = ["c23"]',
        "val": '[val]\nmethods = ["FaceSwap"]\ncompressions = ["c23"]',
        "test": '[[test]]\nname = "c40"\nmethods = ["FaceSwap"]\ncompressions = ["c40"]',
    }
    path = folder / "own.toml"
    path.write_text(text or "\n".join((parts | changes).values()))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"top": 'title = "a"'}, "source: must be there, as text"),
        ({"top": 'title = "a"\nsource = "b"\nauthor = "c"'}, "author: no such key; there are: source, test, title"),
        ({"train": '[train]\nmethod = ["FaceSwap"]'}, "train.method: no such key; there are: compressions, datasets"),
        ({"train": "[train]\nframes = 3"}, "train.frames: no such key"),
        ({"train": ""}, "train: must be there, as a section of its own"),
        ({"val": '[val]\nsplit = "dev"'}, "val.split: must be one of train, val, test, all"),
        ({"val": '[val]\nmethods = "FaceSwap"'}, "val.methods: must be a list of names"),
        ({"val": '[val]\ncompressions = ["hq"]'}, "val.compressions: hq is none: raw, c23, c40, unknown"),
        ({"test": ""}, "test: must be there at least once"),
        ({"test": "[[test]]"}, "test 1.name: must be there, as text"),
        ({"test": '[[test]]\nname = "a"\n[[test]]\nname = "a"'}, "test: each needs a name of its own"),
        ({"test": '[[test]]\nname = "a"\nframes = 0'}, "test 1.frames: must be a number from 1"),
        ({"test": '[[test]]\nname = "a"\nframes = true'}, "test 1.frames: must be a number from 1"),
        ({"test": "[[test]"}, "not a TOML file"),
    ],
)
def test_a_file_that_is_no_protocol_is_refused_by_file_and_key(changes, said, tmp_path):
    path = write_protocol(tmp_path, **changes)
    with pytest.raises(UserError) as error:
        read_protocol(str(path))
    assert error.value.problem.startswith(f"{path}: {said}")
    assert "\n" not in error.value.problem


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match="--protocol ff: there is none") as error:
        read_protocol("ff")
    assert all(name in error.value.remedy for name in NAMES)


def test_what_a_selection_chooses(tmp_path):
    table = table_of(everything())
    chosen = rows(table, Selection("", "test", (CELEB, DFD), (DFD,), ("c23", "unknown"))).to_pylist()
    assert {(r["dataset"], r["method"], r["compression"]) for r in chosen} == {
        (DFD, DFD, "c23"),
        (DFD, "original", "c23"),
        (CELEB, "original", "unknown"),
    }
    assert rows(table, Selection("", "all")).num_rows == table.num_rows
    assert rows(table, Selection("", "all", frames=1)).num_rows == table.num_rows / 2
    assert rows(table, Selection("", "val", (CELEB,), frames=1)).num_rows == 0
    assert absent(table, Selection("", "val", (CELEB,))) == [f"nothing of {CELEB} in the split val"]
    assert absent(table, Selection("", "all", (FF, "mine"), ("Deepfakes", "DFDC"), ("c23",))) == [
        f"no DFDC of {FF} or mine"
    ]
    assert absent(table, Selection("", "all", (FF,), ("DFDC",), ("c10",))) == [f"no c10 of {FF}"]


@pytest.mark.parametrize(
    ("make", "flag"),
    [
        (lambda: TrainConfig(protocol="ff-c23", methods=("FaceSwap",)), "--methods"),
        (lambda: TrainConfig(protocol="ff-c23", compressions=("c23",)), "--compressions"),
        (lambda: TrainConfig(protocol="ff-c23", datasets=(FF,)), "--datasets"),
        (lambda: EvaluateConfig(protocol="ff-c23", methods=("FaceSwap",)), "--methods"),
        (lambda: EvaluateConfig(protocol="ff-c23", compressions=("c23",)), "--compressions"),
        (lambda: EvaluateConfig(protocol="ff-c23", datasets=(FF,)), "--datasets"),
        (lambda: EvaluateConfig(protocol="ff-c23", split="val"), "--split"),
    ],
)
def test_a_protocol_leaves_no_other_choice(make, flag):
    with pytest.raises(SettingError, match=f"{flag}: changes nothing here, it needs no --protocol"):
        make()


def test_a_protocol_is_trained_and_validated_on(crops, tmp_path):
    path = write_protocol(tmp_path)
    config = replace(SMALL, protocol=str(path))
    record = train_run(crops, tmp_path / "run", config)
    assert record == json.loads((tmp_path / "run/run.json").read_text())
    assert record["data"]["trained_on"] == {
        "datasets": ["made"],
        "methods": ["FaceSwap", "original"],
        "compressions": ["c23"],
    }
    text = path.read_text()
    kept = record["protocol"]
    assert (kept["name"], kept["title"], kept["text"]) == ("own", "one", text)
    assert kept["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    by_hand = train_run(crops, tmp_path / "hand", replace(SMALL, methods=("FaceSwap",), compressions=("c23",)))
    assert record["history"] == by_hand["history"] and by_hand["protocol"] is None
    info = run_info(tmp_path / "run")
    assert (info["methods"], info["compressions"], info["validated"]) == (["FaceSwap"], ["c23"], True)
    write_protocol(tmp_path, val='[val]\nmethods = ["FaceSwap"]\ncompressions = ["c40"]')
    with pytest.raises(UserError, match="was begun with another text of"):
        train_run(crops, tmp_path / "run", replace(config, resume=True))
    other = train_run(crops, tmp_path / "other", config)
    assert other["history"][0]["val_loss"] != record["history"][0]["val_loss"]
    assert other["history"][0]["detector/loss"] == record["history"][0]["detector/loss"]
    with pytest.raises(UserError, match=f"--protocol ff-c23: .*nothing of {FF.replace('+', '[+]')} or mini"):
        train_run(crops, tmp_path / "third", replace(SMALL, protocol="ff-c23"))


def test_a_choice_of_data_sets_is_trained_on(crops, tmp_path):
    listed = read_manifest(crops).to_pylist()
    listed += [row | {"dataset": "copy", "video": f"copy/{row['video']}"} for row in listed]
    path = crops.parent / "two.parquet"
    write_manifest(path, table_of(listed), {})
    chosen = training_rows(path, replace(SMALL, datasets=("made",)))
    assert chosen.facts["trained_on"]["datasets"] == ["made"]
    both = training_rows(path, SMALL)
    assert both.facts["trained_on"]["datasets"] == ["copy", "made"]
    assert both.facts["train"] == {name: 2 * value for name, value in chosen.facts["train"].items()}
    one = train_run(path, tmp_path / "one", replace(SMALL, datasets=("made",)))
    assert one["history"] != train_run(path, tmp_path / "both", SMALL)["history"]
    with pytest.raises(UserError, match="--datasets DFDC: not in") as error:
        training_rows(path, replace(SMALL, datasets=("DFDC",)))
    assert error.value.remedy == "it has: copy, made"
    asked = asked_rows(path, EvaluateConfig(datasets=("copy",)))
    assert set(asked.table["dataset"].to_pylist()) == {"copy"}


def test_real_rows_of_a_data_set_without_chosen_fakes_do_not_teach_which_data_set_is_real(crops, capsys):
    listed = read_manifest(crops).to_pylist()
    more = [row | {"dataset": "more", "video": f"more/{row['video']}"} for row in listed if row["label"] == "real"]
    path = crops.parent / "more.parquet"
    write_manifest(path, table_of([*listed, *more]), {})
    chosen = training_rows(path, replace(SMALL, methods=("Deepfakes",)))
    assert set(chosen.train["dataset"].to_pylist()) == {"made"} == set(chosen.val["dataset"].to_pylist())
    assert "real crops of more are left out, of which no fakes were chosen" in capsys.readouterr().err
    asked_for = training_rows(path, replace(SMALL, methods=("Deepfakes",), datasets=("made", "more")))
    assert set(asked_for.train["dataset"].to_pylist()) == {"made", "more"}


def trained_by(name: str | Path):
    """A reader of runs that says they were trained by this protocol."""

    def read_run(run):
        facts = read_protocol(str(name)).facts
        return read_settings(run) | {"protocol": facts, "methods": facts["train"]["methods"], "compressions": ["c23"]}

    return read_run


def run_of(folder: Path, protocol: str | Path) -> Path:
    return write_run(folder, "none", methods=(), compressions=(), protocol=str(protocol))


def test_each_test_set_is_measured(tmp_path):
    """FF++ at two qualities: two test sets, whose numbers are those of the qualities without a protocol."""
    path = write_rows(tmp_path / "manifest.parquet", everything())
    run = run_of(tmp_path / "run", "ff-c23")
    config = EvaluateConfig(replicates=100, protocol="ff-c23")
    found = evaluate_runs([run], path, tmp_path / "out", config, made_up_scorer(), trained_by("ff-c23"))
    cells = {(r.test_method, r.test_compression, r.n_real, r.n_fake) for r in found.results if r.level == "video"}
    assert cells == {(method, quality, 2, 2) for method in METHODS for quality in ("c23", "c40")}
    assert {r.train_method for r in found.results} == {"Deepfakes+Face2Face+FaceSwap+NeuralTextures"}
    plain = EvaluateConfig(replicates=100, datasets=(FF,), methods=METHODS, compressions=("c23", "c40"))
    same = evaluate_runs([run], path, tmp_path / "plain", plain, made_up_scorer(), trained_by("ff-c23"))
    of_validation = ("threshold", "accuracy", "balanced_accuracy", "cllr", "llr_low", "llr_high", "undefined")
    fitted: dict[str, Any] = dict.fromkeys(of_validation)
    assert [replace(one, **fitted) for one in same.results] == [replace(one, **fitted) for one in found.results]
    header, *lines = (tmp_path / "out/scores/run.videos.csv").read_text().splitlines()
    assert header == "video,label,method,compression,p_fake,llr,test"
    assert len(lines) == 2 * 2 * 5 and {line.rpartition(",")[2] for line in lines} == {"c23", "c40"}
    card = found.card
    assert card["protocol"]["name"] == "ff-c23" and card["not_done"] == []
    assert [test["name"] for test in card["tests"]] == ["c23", "c40"]


def test_a_test_set_that_is_not_there_is_not_done(tmp_path, monkeypatch, capsys):
    listed = [row for row in everything() if row["dataset"] != CELEB]
    path, run, out = write_rows(tmp_path / "m.parquet", listed), run_of(tmp_path / "run", "ff-c23"), tmp_path / "out"
    monkeypatch.setattr("dfgame.score.score_run", made_up_scorer())
    monkeypatch.setattr("dfgame.score.run_info", trained_by("ff-to-dfd-celebdf"))
    words = ["evaluate", str(path), str(run), "--out", str(out), "--protocol", "ff-to-dfd-celebdf"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--replicates", "100"])
    said = capsys.readouterr()
    reason = f"nothing of {CELEB} in the split test"
    assert end.value.code == 1
    assert f"not done: test {CELEB}: {reason}" in said.err and "not done" in said.out
    assert json.loads((out / "card.json").read_text())["not_done"] == [{"test": CELEB, "reason": reason}]
    assert f"Not done: the test {CELEB}" in (out / "report.html").read_text()
    assert {row["test_method"] for row in json.loads((out / "results.json").read_text())["results"]} == {DFD}
    command = json.loads((out / "settings.json").read_text())["command"].split()
    assert app.parse_args(command[1:])[1].arguments["settings"].protocol == "ff-to-dfd-celebdf"
    with pytest.raises(UserError, match="none of the tests"):
        asked_rows(
            write_rows(tmp_path / "c.parquet", set_of("DFDC", ("DFDC",), ("unknown",), ("test",))),
            EvaluateConfig(protocol="ff-c23"),
        )


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (trained_by("ff-deepfakes"), "run: was trained by another protocol, ff-deepfakes, not by ff-c23"),
        (read_settings, "run: was trained without --protocol ff-c23"),
    ],
)
def test_a_run_of_another_protocol_is_refused_or_marked(tmp_path, reader, said):
    path, run = write_rows(tmp_path / "manifest.parquet", everything()), write_run(tmp_path / "run", "none")
    config = EvaluateConfig(replicates=100, protocol="ff-c23")
    with pytest.raises(UserError) as error:
        evaluate_runs([run], path, tmp_path / "out", config, made_up_scorer(), reader)
    assert error.value.problem == said and "--allow-mismatch" in error.value.remedy
    config = replace(config, allow_mismatch=True)
    found = evaluate_runs([run], path, tmp_path / "out", config, made_up_scorer(), reader)
    assert said in found.card["warnings"]


def test_protocols_that_train_alike_share_their_runs(tmp_path):
    """What a run was trained and validated on counts, not the file's name."""
    path, run = write_rows(tmp_path / "manifest.parquet", everything()), run_of(tmp_path / "run", "ff-c23")
    config = EvaluateConfig(replicates=100, protocol="ff-to-dfd-celebdf")
    found = evaluate_runs([run], path, tmp_path / "out", config, made_up_scorer(), trained_by("ff-c23"))
    cells = {(r.test_method, r.test_compression) for r in found.results}
    assert cells == {(DFD, "c23"), ("Celeb-synthesis", "unknown")}
    assert not any(found.runs[0].training.saw(method) for method, _ in cells)


def test_frames_of_each_test_set(tmp_path):
    """Two test sets of the same videos, of 1 and of 3 of 5 frames: two cells, told apart by the sets' names."""
    tests = "\n".join(f'[[test]]\nname = "frames {n}"\ncompressions = ["c40"]\nframes = {n}' for n in (1, 3))
    protocol = write_protocol(tmp_path, train="[train]", val="[val]", test=tests)
    path = write_rows(tmp_path / "manifest.parquet", manifest_rows(people=4, frames=5))
    config = EvaluateConfig(replicates=100, protocol=str(protocol))
    run, listed = run_of(tmp_path / "run", protocol), read_manifest(path).to_pylist()
    listed += [row | {"split": "val", "identity": "901", "video": f"v/{row['video']}"} for row in listed[-5:]]
    path = write_rows(path, listed)
    found = evaluate_runs([run], path, tmp_path / "out", config, made_up_scorer(), trained_by(protocol))
    sizes = {(r.test_method, r.n_fake) for r in found.results if r.level == "frame"}
    methods = ("Deepfakes", "FaceSwap", "NeuralTextures")
    assert sizes == {(f"{method} of frames {n}", 4 * n) for method in methods for n in (1, 3)}
    assert [(test["frames"], test["most"]) for test in found.card["tests"]] == [(1, 1), (3, 3)]
    with pytest.raises(UserError, match="--frames 2: changes nothing, the protocol own says how many"):
        asked_rows(path, replace(config, frames=2))


def test_every_shipped_file_says_where_it_is_from():
    for path in SHIPPED.glob("*.toml"):
        protocol = read_protocol(str(path))
        assert protocol.name in NAMES and len(protocol.title) > 20 and len(protocol.source) > 20


def test_from_extraction_to_the_card(manifest, tmp_path):
    """On real crops of two of the four methods: what is there is measured, the rest is named, the crops are known."""
    config = replace(SMALL, protocol="ff-deepfakes")
    run, out = tmp_path / "run", tmp_path / "out"
    record = train_run(manifest, run, config)
    found = evaluate_runs([run], manifest, out, EvaluateConfig(replicates=100, protocol="ff-deepfakes", workers=0))
    assert {r.test_method for r in found.results} == {"Deepfakes", "FaceSwap"}
    assert [run_.training.saw("FaceSwap") for run_ in found.runs] == [False]
    card = found.card
    where = f"of {FF} or {MINI} in the split test"
    assert card["not_done"] == [
        {"test": method, "reason": f"no {method} {where}"} for method in ("Face2Face", "NeuralTextures")
    ]
    assert card["extraction"]["detector"] == record["data"]["made_by"]["detector"]
    assert card["extraction"]["margin"] == 1.3 and card["warnings"] == []
    assert {(g["test"], g["method"], g["found"], g["with_crops"], g["failed"]) for g in card["videos"]} == {
        (test, method, 2, 2, 0) for test in ("Deepfakes", "FaceSwap") for method in (test, "original")
    }
    facts = dict(card_facts(card))
    assert facts["videos"] == "6 found, 6 with crops, 0 failed"
    assert facts["frames"].startswith("all crops of a video, 8; 4 of 4 videos had fewer than 270; extracted: 270 of")
    assert facts["checkpoint"].startswith("best (highest validation AUC of frames): run epoch 1; never")
    page = write_report(out, found).read_text()
    assert f"the test sets of the protocol ff-deepfakes in {FF}" in page
