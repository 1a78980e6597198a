"""The sentences of an inspection, against hand-worked cases; what files say is made harmless in them."""

import re
import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfgame.cli.inspect_outputs import _more_would_help
from dfgame.inspection.written import csv_text
from dfgame.records import (
    ErrorRates,
    Evidence,
    FaceScore,
    FileVerdict,
    Kind,
    MediaFacts,
    Model,
    Probe,
    TrackScore,
    Verdict,
)
from dfgame.report.evidence_words import map_words, stability_words
from dfgame.report.inspection_words import (
    NO_SIGN,
    about,
    caveats,
    clock,
    is_few,
    length_words,
    percent,
    rarer,
    rates_words,
    span_words,
    summary_lines,
    track_sentence,
    verdict_sentence,
)
from dfgame.report.media_words import place_words, provenance_words, size_words
from dfgame.report.plain import plain

FRAMES = tuple(FaceScore(4.0 + number, 0.8, (0.0, 0.0, 9.0, 9.0), 100 + 25 * number) for number in range(8))


def track(number: int, verdict: Verdict = "real", p_fake: float = 0.1, **fields) -> TrackScore:
    return TrackScore(number, p_fake, 4.2, 11.9, FRAMES, verdict, **fields)


def said(verdict: Verdict, *tracks: TrackScore, kind: Kind = "video", **fields) -> FileVerdict:
    p_fake = max((one.p_fake for one in tracks), default=None)
    return FileVerdict("clip.mp4", "ab" * 32, kind, verdict, p_fake, tracks, Model("m", "1", "cd" * 32), **fields)


def test_what_a_verdict_rests_on_are_the_frames_that_count():
    frames = tuple(replace(frame, counts=place < 2) for place, frame in enumerate(FRAMES))
    aside = replace(track(1, interval=(0.05, 0.9)), frames=frames)
    assert track_sentence(aside, "video").endswith("from 2 frames.")
    assert is_few(aside, "video") and not is_few(track(1), "video")
    assert verdict_sentence(said("real", replace(aside, fake_from=0.5))).startswith("These 2 frames show no sign")
    assert csv_text([said("real", aside)], "faces").splitlines()[1].split(",")[8] == "2"
    more = said("inconclusive", aside, frames=8, facts=MediaFacts(1, "mp4", "h264", "yuv420p", 8, 8, 99, 4.0, 25.0, 1))
    assert _more_would_help(more) and not _more_would_help(replace(more, tracks=(track(1),)))


FAKE = [track(number, "fake", 0.7 + number / 50) for number in range(8)]


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (said("fake", FAKE[2], track(1)), "Face 3, seen between 0:04 and 0:11, is likely forged."),
        (said("fake", FAKE[0]), "The face seen between 0:04 and 0:11 is likely forged."),
        (
            said("fake", FAKE[2], track(1), FAKE[3]),
            "Face 3 (between 0:04 and 0:11) and face 4 (between 0:04 and 0:11) are likely forged.",
        ),
        (
            said("fake", *FAKE[:4], track(9)),
            "4 of 5 faces are likely forged, most clearly face 4, between 0:04 and 0:11.",
        ),
        (said("fake", FAKE[0], kind="picture"), "The face in this picture is likely forged."),
        (said("fake", FAKE[2], track(1), kind="picture"), "Face 3 in this picture is likely forged."),
        (said("real", track(1)), NO_SIGN),
        (
            said("inconclusive", track(1), reasons=("The faces are too small.",)),
            "Nothing can be concluded: the faces are too small.",
        ),
        (
            said("inconclusive", track(1), reasons=("it is hard (95% interval 60% to 70%; chance is 50%)",)),
            "Nothing can be concluded about the face: it is hard (95% interval 60% to 70%; chance is 50%).",
        ),
        (
            said("real", track(1, interval=(0.001, 0.95), fake_from=0.64)),
            "These 8 frames show no sign of forgery, but they are too few or too unlike to rule one out: more frames "
            "could put the score anywhere from under 1% to 95%.",
        ),
        (
            said("real", track(1), track(2, interval=(0.05, 0.7), fake_from=0.64)),
            "The 8 frames of face 3 show no sign of forgery, but they are too few or too unlike to rule one out: more "
            "frames could put the score anywhere from 5% to 70%.",
        ),
        (said("real", track(1, interval=(0.001, 0.63), fake_from=0.64)), NO_SIGN),
        (
            said("inconclusive", track(1), reasons=("H.264 at CRF 45 hides all.",)),
            "Nothing can be concluded: H.264 at CRF 45 hides all.",
        ),
        (said("no face"), "No face was found, so nothing can be said: only faces are judged."),
    ],
)
def test_the_verdict_is_one_sentence(verdict, sentence):
    assert verdict_sentence(verdict) == sentence


def test_a_verdict_never_hides_its_reasons_a_broken_file_or_a_face_it_does_not_cover():
    one = said("inconclusive", track(1), reasons=("it is small",), error="broke off")
    assert caveats(one) == ["Only a part of the file could be read, and the verdict is on that: broke off."]
    cut = said("inconclusive", track(1), reasons=("it is small; very small", "It is dark"))
    assert caveats(cut) == ["It is dark."]
    open_end = track(1, "fake", 0.9, interval=(0.3, 0.99), fake_from=0.64)
    assert caveats(said("fake", open_end)) == [
        "These 8 frames are too few or too unlike to be sure that it is forged: more frames could put the score "
        "anywhere from 30% to 99%."
    ]
    assert not caveats(said("fake", replace(open_end, interval=(0.65, 0.99))))
    others = [track(number, "inconclusive") for number in (3, 5)]
    assert caveats(said("real", track(1), *others)) == ["Nothing can be concluded about face 4 and face 6."]


def test_a_line_a_face():
    line = track_sentence(track(2, "fake", 0.75, interval=(0.5, 0.9)), "video")
    assert line.startswith("Face 3, between 0:04 and 0:11: likely forged, 75%, about 3 in 4 (95% interval 50% to 90%)")
    assert line.endswith("from 8 frames.")
    where = "Face 3, at 0, 0 to 9, 9: no sign of forgery, 10%, about 1 in 10 (no interval)."
    assert track_sentence(track(2), "picture") == where
    lines = summary_lines(replace(said("real", track(1)), file="a\x1b[2Jb\u202e.mp4"))
    assert lines[0] == rf"a\x1b[2Jb\u202e.mp4: {NO_SIGN}"
    assert len(lines) == 2


def test_a_terminal_gives_reasons_and_rates_once_for_all_faces_of_which_they_hold():
    rates = ErrorRates("faces", 34, 3 / 34, 136, 0.0, 0.97)
    many = [track(number, "inconclusive", reasons=("it is small",), rates=rates) for number in range(5)]
    other = track(7, "inconclusive", reasons=("it is dark",), rates=replace(rates, real_called_fake=None))
    lines = summary_lines(said("inconclusive", *many, other, reasons=("face 8: it is dark",)))
    assert lines[0] == "clip.mp4: Nothing can be concluded: face 8: it is dark." and len(lines) == 10
    assert lines[-3:] == [
        "    5 of 6 faces: it is small.",
        "    5 of 6 faces: of 34 real validation videos of such faces the detector called 3 forged, of 136 forged "
        "ones 0 real.",
        "    Face 8: how often the detector errs on such faces by the given threshold is not known.",
    ]
    single = summary_lines(said("inconclusive", many[0], reasons=("it is small",)))
    assert len(single) == 3 and not [line for line in single[1:] if "small" in line]


@pytest.mark.parametrize(("kind", "frames", "few"), [("picture", 8, True), ("video", 7, True), ("video", 8, False)])
def test_rates_of_whole_videos_are_said_to_be_such_beside_few_frames(kind, frames, few):
    one = replace(track(1, rates=ErrorRates("faces", 34, 3 / 34, 136, 0.0, 0.97)), frames=FRAMES[:frames])
    assert (
        any(
            "of few frames the detector errs more often" in line
            for line in summary_lines(said("real", one, kind=kind))
        )
        == few
    )
    assert any("of few frames" in words for words in rates_words(one.rates, is_few(one, kind))) == few


def test_times_early_in_a_film_are_told_in_hundredths():
    early = replace(track(1), first_time=0.0, last_time=0.44)
    assert span_words(early) == "between 0.00 and 0.44 s" and span_words(track(1)) == "between 0:04 and 0:11"
    assert span_words(replace(early, last_time=0.0)) == "at 0.00 s"
    assert [length_words(seconds) for seconds in (0.08, 9.5, 83.0)] == ["0.08 s", "9.50 s", "1:23"]


@given(st.floats(0, 1))
def test_percentages_and_shares_stay_close_and_never_claim_certainty(share):
    words = percent(share)
    assert words not in ("0%", "100%")
    if words[0].isdigit():
        assert abs(int(words[:-1]) / 100 - share) <= 0.0051
    part, whole = map(int, re.findall(r"\d+", about(share)))
    if about(share).startswith("about"):
        assert abs(part / whole - share) <= 0.051
    else:
        assert abs(part / whole - share) <= 0.0251


@given(st.integers(0, 863_999))
def test_clock_agrees_with_timedelta(tenths):
    whole = str(timedelta(seconds=tenths // 10))
    assert clock(tenths / 10) == re.sub(r"^0:0?", "", whole)
    assert clock(tenths / 10, tenths=True) == f"{clock(tenths / 10)}.{tenths % 10}"


def test_where_forgeries_are_rare_the_same_score_means_less():
    forged, real = 80 * 1, 20 * 99  # of 100 + 9,900 videos: 80% of hits at even odds is a likelihood ratio of 4
    assert rarer(0.8, 0.01) == pytest.approx(forged / (forged + real))
    assert rarer(0.8, 0.5) == pytest.approx(0.8)
    assert (rarer(0.0), rarer(1.0)) == (0, 1)


def test_rates_say_how_many_videos_they_rest_on():
    rates = ErrorRates("48 to 80 pixels wide", 34, 3 / 34, 136, 7 / 136, 0.97)
    first, second = rates_words(rates)
    assert "(48 to 80 pixels wide), by the detector's own thresholds, 3 of 34 real videos were called forged" in first
    assert first.endswith("and 7 of 136 forged videos were called real (5%).")
    assert "97% of cases" in second
    few = rates_words(replace(rates, real=10, real_called_fake=0.0))
    assert "none of 10 real videos was called forged (which is no proof that it does not happen)" in few[0]
    assert few[-1] == "These are few videos: the rates are rough."
    assert "not known" in rates_words(None)[0]


@pytest.mark.parametrize(
    ("hot", "elsewhere", "words", "warns"),
    [
        (1.8, 0.6, "moves the score three times as much as elsewhere", False),
        (-1.8, 0.9, "moves the score twice as much as elsewhere", False),
        (1.0, 0.65, "moves the score one and a half times as much as elsewhere", False),
        (2.0, 0.0, "moves the score more than ten times as much as elsewhere", False),
        (0.65, 0.5, "moves the score only a little more than elsewhere", True),
        (0.5, 0.5, "moves the score no more than elsewhere", True),
        (0.2, 0.9, "moves the score no more than elsewhere", True),
        (0.05, 0.0, "hardly moves the score", True),
    ],
)
def test_a_heat_map_that_shows_nothing_is_a_warning(hot, elsewhere, words, warns):
    sentence, warning = map_words(hot, elsewhere)
    assert words in sentence
    assert warning is warns


ADVERSARY = Probe("adversary", 1.6, 0.4)  # pyright: ignore[reportArgumentType]


def evidence(turning_blur: float | None, *probes: Probe) -> Evidence:
    return Evidence(1, 100, 4.0, 0.9, b"", b"", b"", 1.0, 0.5, probes, turning_blur)


def test_stability_names_the_smallest_change_that_turns_the_finding():
    probes = [Probe("blur", 3, 0.9), Probe("h264", 40, 0.1), Probe("h264", 30, 0.5), Probe("h264", 18, 0.9)]
    words = stability_words(evidence(0.6, *probes, Probe("scale", 0.25, 0.8), Probe("scale", 0.5, 0.7)), 0.6, 0.2)
    assert words == [
        "A blur of 0.6 pixels is enough to turn this finding: it rests on fine structure.",
        "H.264 at CRF 30 turns it.",
        "Scaling to 25% of its size, the strongest tried, does not turn it.",
    ]
    played = Evidence(1, 100, 4.0, 0.9, b"", b"", b"", 1.0, 0.5, (Probe("blur", 4, 0.9), ADVERSARY), None)
    assert "Blurred by up to 1.6 pixels only where" in stability_words(played, 0.6, 0.2)[1]
    assert stability_words(played, 0.6, 0.2)[1].endswith("the frame has 40%: that turns it.")
    assert stability_words(played, 0.3, 0.2)[1].endswith("that does not turn it.")
    assert "(up to 3 pixels) turns" in stability_words(evidence(None, *probes), 0.6, 0.2)[0]
    assert "anybody would see" in stability_words(evidence(2.5), 0.6, 0.2)[0]


def test_provenance_says_who_signed_and_whether_it_holds():
    holds = provenance_words({"present": True, "valid": True, "trusted": True, "signed_by": "A \u202e Newsroom"})
    assert r"A \u202e Newsroom signed them, and the signature holds" in holds and "is on the validator's list" in holds
    assert "in any name" in provenance_words({"valid": True, "trusted": False, "signed_by": "A"})
    assert "does not hold" in provenance_words({"valid": False, "trusted": False, "signed_by": "A"})
    assert provenance_words({"valid": None, "note": "no reader"}).endswith("is not known: no reader.")


def test_a_face_in_a_picture_has_a_place():
    facts = MediaFacts(1, "JPEG", "jpeg", "RGB", 300, 300)
    places = {(10, 10): "upper left", (150, 150): "in the middle", (150, 290): "lower", (299, 150): "right"}
    for (x, y), words in places.items():
        one = replace(track(1), frames=(FaceScore(0, 0.1, (x - 5, y - 5, x + 5, y + 5)),))
        assert place_words(one, facts) == words


def test_sizes():
    assert size_words(12) == "12 bytes"
    assert size_words(3_456_789) == "3.46 MB (3,456,789 bytes)"
    assert size_words(7_200_000_000) == "7.2 GB (7,200,000,000 bytes)"


@given(st.text())
def test_plain_text_is_one_line_without_anything_invisible(text):
    shown = plain(text)
    assert plain(shown) == shown
    shown.encode()
    invisible = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not [char for char in shown if unicodedata.category(char) in invisible and char not in "\u200c\u200d"]
    ordinary = all(unicodedata.category(char)[0] in "LNPS" for char in text)
    assert not ordinary or shown == text


def test_plain_text_shows_what_it_escapes_and_how_much_it_leaves_out():
    assert plain("a\nb\x00\u202egpj.exe\udc80") == r"a\nb\x00\u202egpj.exe\udc80"
    assert plain("x" * 2000, 300) == "x" * 300 + "… (1,700 more characters)"
