"""Reports that are checked against their files: what holds, and everything that may differ."""

from dataclasses import replace

import pytest

from boxes import FACTS, trained_a_little
from conftest import moving
from dfgame.boxed import Condition, Thresholds, save_box
from dfgame.cli import main, verify
from dfgame.media import write_video
from dfgame.records import ErrorRates
from dfgame.report.inspection_data import read_report


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a clip, a box, and the report that the one got with the other."""
    folder = tmp_path_factory.mktemp("verify")
    write_video(folder / "clip.mp4", moving(1, frames=12), fps=25, crf=18)
    save_box(folder / "tiny.safetensors", FACTS, [trained_a_little(0)])
    save_box(folder / "other.safetensors", replace(FACTS, version="4"), [trained_a_little(0)])
    assert reported(folder, folder / "report.html") == 0
    return folder


def reported(folder, page) -> int:
    options = ["--detector", str(folder / "tiny.safetensors"), "--frames", "5", "--threshold", "0.6"]
    return run("inspect", str(folder / "clip.mp4"), *options, "--report", str(page))


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def verified(folder, file="clip.mp4", report="report.html", box="tiny.safetensors") -> int:
    return run("inspect", "--verify", str(folder / report), str(folder / file), "--detector", str(folder / box))


def test_a_report_holds_for_its_file(made, capsys):
    assert verified(made) == 0
    said = capsys.readouterr().out
    assert "DIFFERS" not in said and "5 frames, at most" in said


def test_a_report_is_checked_by_its_own_settings(made, capsys):
    """Those of before a setting was there judge as was judged then."""
    assert verify._as_before({"fake_from": 0.7, "frames": 5}) == {"threshold": 0.7, "frames": 5, "max_turn": 0.0}
    assert verify._as_before({"fake_from": 0.7, "threshold": None, "max_turn": 0.3})["max_turn"] == 0.3
    words = ["--detector", str(made / "tiny.safetensors"), "--max-turn", "0.001", "--report", str(made / "turn.html")]
    assert run("inspect", str(made / "clip.mp4"), *words) == 0
    assert "it is turned to a side" in capsys.readouterr().out
    assert verified(made, report="turn.html") == 0
    assert "the verdict: inconclusive" in capsys.readouterr().out


def test_a_report_by_thresholds_for_faces_like_it_holds(made, capsys):
    """The score is clear by the thresholds for all, and not by those of its kind of faces."""
    rates = ErrorRates("faces of any kind", 40, 0.0, 40, 0.0, 0.9)
    strict = Condition((1.0, None), (-99.0, None), rates, (0.85, 0.95), Thresholds(1.0, 0.0))
    facts = replace(FACTS, thresholds=Thresholds(0.01, 0.0), conditions=(strict,))
    save_box(made / "strict.safetensors", facts, [trained_a_little(0)])
    words = ["--detector", str(made / "strict.safetensors"), "--frames", "5", "--report", str(made / "strict.html")]
    assert run("inspect", str(made / "clip.mp4"), *words) == 0
    assert "too many real faces like it" in capsys.readouterr().out
    sentence = "The limits for faces of its size and detail are said of each."
    assert sentence in (made / "strict.html").read_text() and sentence not in (made / "report.html").read_text()
    assert verified(made, report="strict.html", box="strict.safetensors") == 0
    assert "the verdict: inconclusive" in capsys.readouterr().out


def test_another_file_is_told(made, capsys):
    write_video(made / "later.mp4", moving(2, frames=12), fps=25, crf=18)
    assert verified(made, file="later.mp4") == 1
    said = capsys.readouterr().out
    assert "DIFFERS  the file" in said and "DIFFERS  the scores: not compared" in said


def test_another_detector_is_told(made, capsys):
    assert verified(made, box="other.safetensors") == 1
    assert "name the report's own with --detector" in capsys.readouterr().out


def test_scores_that_were_made_up_are_told(made, monkeypatch, capsys):
    data = read_report(made / "report.html")
    data["verdict"]["tracks"][0]["frames"][0]["p_fake"] += 0.02
    monkeypatch.setattr(verify, "read_report", lambda path: data)
    assert verified(made) == 1
    assert "DIFFERS  the scores: 5 frames, at most 0.02 apart" in capsys.readouterr().out


FORGED = {
    "verdict": lambda said: said | {"verdict": "real" if said["verdict"] != "real" else "fake"},
    "p_fake": lambda said: said | {"p_fake": 1 - said["p_fake"] * 0.9},
    "interval": lambda said: said | {"interval": [0.0, said["interval"][1] / 2]},
    "reasons": lambda said: said | {"reasons": ["it is clearly real"]},
}


@pytest.mark.parametrize("finding", FORGED)
def test_findings_that_were_made_up_are_told(made, finding):
    said = read_report(made / "report.html")["verdict"]
    assert all(check.holds for check in verify._compared(said, said))
    of_file, of_face = FORGED[finding](said), said | {"tracks": [FORGED[finding](said["tracks"][0])]}
    for forged, what in ((of_file, "the verdict"), (of_face, "face 1")):
        (check,) = [check for check in verify._compared(forged, said) if not check.holds]
        assert check.what == what and check.found.startswith(f"{finding} was ")


@pytest.mark.parametrize(("score", "holds"), [("0.41", True), ("0.403", True), ("0.45", False), ("0.450", False)])
def test_sentences_differ_by_the_rounding_of_a_score_at_most(made, score, holds):
    said = read_report(made / "report.html")["verdict"]
    one, other = (said | {"reasons": [f"its score {number} lies between"]} for number in ("0.40", score))
    assert all(check.holds for check in verify._compared(one, other)) == holds


def test_a_headline_that_was_made_up_is_told(made, monkeypatch, capsys):
    data = read_report(made / "report.html")
    for finding in FORGED:
        data["verdict"] = FORGED[finding](data["verdict"])
    monkeypatch.setattr(verify, "read_report", lambda path: data)
    assert verified(made) == 1
    assert "DIFFERS  the verdict: verdict was " in capsys.readouterr().out


def test_a_changed_page_is_one_line(made, capsys):
    page = (made / "report.html").read_text()
    (made / "changed.html").write_text(page.replace("</h1>", " Not at all.</h1>", 1))
    assert verified(made, report="changed.html") == 1
    assert "DIFFERS  the report: " in capsys.readouterr().out
    (made / "page.html").write_text("<!doctype html><p>hello")
    assert verified(made, report="page.html") == 2
    assert "not a report" in capsys.readouterr().err


def test_one_file_at_a_time(made, capsys):
    assert run("inspect", "--verify", str(made / "report.html"), "a.mp4", "b.mp4") == 2
    assert "on one file" in capsys.readouterr().err


def test_the_same_report_is_made_again_byte_for_byte(made):
    (made / "again").mkdir()
    assert reported(made, made / "again" / "report.html") == 0
    assert (made / "again" / "report.html").read_bytes() == (made / "report.html").read_bytes()
