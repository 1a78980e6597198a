"""What scores amount to: which face decides, how sure a mean is, and when nothing is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from boxes import BRIGHTNESS, FACTS
from dfgame.boxed import Calibration, Condition, Thresholds
from dfgame.faces.sample import Sample
from dfgame.inspection.conditions import apart
from dfgame.inspection.intervals import mean_interval
from dfgame.inspection.judge import ScoredFace, judged
from dfgame.inspection.pipeline import with_threshold
from dfgame.records import ErrorRates, Face, FileVerdict, Kind

BOX = (10.0, 20.0, 70.0, 90.0)
"""60 pixels wide."""


def judge(tracks, looked_at=24, main=(), kind: Kind = "video", detector=BRIGHTNESS, detail=-1.0) -> FileVerdict:
    """The verdict on made-up tracks with these raw scores."""
    faces = {
        number: [ScoredFace(frame, frame / 2, Face(BOX, (), 0.9), detail, raw) for frame, raw in enumerate(scores)]
        for number, scores in enumerate(tracks)
    }
    sample = Sample("0" * 64, kind, None, looked_at, tuple(main), None)
    return judged(Path("any"), sample, faces, detector, 0.2, {"frames": looked_at})


@pytest.mark.parametrize(
    ("tracks", "main", "kind", "verdict", "p_fake"),
    [
        ([[0.9, 0.9], [0.2, 0.2, 0.2]], [1], "video", "real", 0.2),  # the more suspicious one is seen too briefly
        ([[0.8] * 3, [0.2] * 9], [1], "video", "fake", 0.8),
        ([[0.9], [0.8], [0.7], [0.1]], [0, 1, 2], "video", "inconclusive", 0.8),  # short shots of who knows whom
        ([[0.5] * 3, [0.2] * 9], [1], "video", "inconclusive", 0.5),
        ([[0.4], [0.6]], [1], "picture", "inconclusive", 0.6),
        ([[0.9], [0.1]], [1], "picture", "fake", 0.9),
        ([], [], "video", "no face", None),
    ],
)
def test_which_face_decides(tracks, main, kind, verdict, p_fake):
    said = judge(tracks, main=main, kind=kind)
    assert (said.verdict, said.p_fake) == (verdict, p_fake and pytest.approx(p_fake))
    for track, scores in zip(said.tracks, tracks, strict=True):
        assert track.p_fake == pytest.approx(np.mean(scores)) and track.width == 60
        assert [face.p_fake for face in track.frames] == pytest.approx(scores)
        assert (track.first_time, track.last_time) == (0.0, (len(scores) - 1) / 2)
        assert track.verdict != "inconclusive" or track.reasons


def test_every_track_says_why_it_is_inconclusive():
    short, middling, clear = judge([[0.9, 0.9], [0.5] * 4, [0.9] * 4]).tracks
    assert short.verdict == "inconclusive" and "2 of the 24 frames" in short.reasons[0]
    assert "0.500 lies between 0.250" in middling.reasons[0] and "0.750" in middling.reasons[0]
    assert clear.verdict == "fake" and clear.reasons == ()


def test_a_picture_has_no_interval_and_says_why():
    said = judge([[0.9]], looked_at=1, kind="picture")
    assert said.interval is None and said.tracks[0].interval is None
    assert said.verdict == "fake" and "a single picture" in said.reasons[0]


def test_the_mean_is_taken_before_the_calibration():
    steep = replace(BRIGHTNESS, facts=replace(FACTS, calibration=Calibration(2.0, 0.0)))
    said = judge([[0.1, 0.9, 0.8]], detector=steep)
    # Raw mean 0.6: odds of 1.5, squared 2.25, a probability of 2.25 / 3.25. The mean of calibrated frames is 0.647.
    assert said.p_fake == pytest.approx(2.25 / 3.25)
    odds = [r / (1 - r) for r in mean_interval([0.1, 0.9, 0.8]) or ()]
    assert said.interval == pytest.approx([one**2 / (1 + one**2) for one in odds])


def condition(widths, details, auc):
    rates = ErrorRates("faces of a kind", 40, 0.05, 80, 0.1, sum(auc) / 2)
    return Condition(widths, details, rates, auc)


def with_conditions(*conditions):
    return replace(BRIGHTNESS, facts=replace(FACTS, conditions=conditions))


def test_rates_of_faces_like_it_stand_beside_a_verdict():
    good = condition((40.0, 80.0), (-2.0, None), (0.8, 0.9))
    said = judge([[0.9] * 5], detector=with_conditions(good))
    assert said.verdict == "fake" and said.tracks[0].rates == good.rates and said.reasons == ()
    assert (said.tracks[0].fake_from, said.tracks[0].real_up_to) == (0.75, 0.25)  # as the detector has for all


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([condition((40.0, 80.0), (-2.0, None), (0.749, 0.9))], "40 real and 80 fake validation videos"),
        ([condition((61.0, 80.0), (-2.0, None), (0.9, 0.95))], "60 pixels wide, smaller than any face"),
        ([condition((40.0, 80.0), (-0.9, None), (0.9, 0.95))], "more blurred or compressed"),
        ([condition((40.0, 50.0), (-2.0, None), (0.9, 0.95))], "too few faces like it"),
    ],
)
def test_faces_that_the_detector_cannot_tell_are_left_open(conditions, words):
    said = judge([[0.9] * 5], detector=with_conditions(*conditions))
    assert said.verdict == "inconclusive" and words in said.reasons[0]
    assert said.p_fake == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("scores", "details", "verdict", "p_fake", "words"),
    [
        ((0.2, 0.24), (-1.0, -9.0), "real", 0.2, ["face 2: it is more blurred or compressed"]),
        ((0.2, 0.1), (-1.0, -9.0), "real", 0.2, ["face 2: it is more blurred or compressed"]),
        ((0.2, 0.9), (-1.0, -9.0), "real", 0.2, ["face 2: it is more blurred or compressed"]),
        ((0.9, 0.95), (-1.0, -9.0), "fake", 0.9, ["face 2: it is more blurred or compressed"]),
        ((0.2, 0.5), (-1.0, -1.0), "inconclusive", 0.5, ["face 2: its score 0.500 lies between"]),
        ((0.2, 0.15), (-1.0, -0.3), "inconclusive", 0.15, ["face 2: its score 0.150 is one that too many fakes"]),
        ((0.2, 0.9), (-9.0, -9.0), "inconclusive", 0.9, ["face 2: it is more blurred", "face 1: it is more blurred"]),
    ],
)
def test_a_face_that_cannot_be_judged_decides_nothing_beside_others(scores, details, verdict, p_fake, words):
    """Whatever its score, which means nothing; a score that leaves another face open leaves the file open."""
    kinds = [condition((40.0, 80.0), (-2.0, -0.5), (0.8, 0.9)), condition((40.0, 80.0), (-0.5, None), (0.8, 0.9))]
    detector = with_conditions(kinds[0], replace(kinds[1], limits=Thresholds(fake=0.9, real=0.1)))
    faces = {
        number: [ScoredFace(frame, frame / 2, Face(BOX, (), 0.9), detail, score) for frame in range(5)]
        for number, (score, detail) in enumerate(zip(scores, details, strict=True))
    }
    said = judged(Path("any"), Sample("0" * 64, "video", None, 5, (0, 1), None), faces, detector, 0.2, {})
    assert (said.verdict, said.p_fake) == (verdict, pytest.approx(p_fake))
    assert len(said.reasons) == len(words)
    for reason, begun in zip(said.reasons, words, strict=True):
        assert reason.startswith(begun)


POINTS = {
    side: ((20.0, 50.0), (60.0, 50.0), (nose, 65.0), (25.0, 80.0), (55.0, 80.0))
    for side, nose in (("ahead", 40.0), ("away", 90.0))
}


def test_a_face_that_is_turned_away_is_left_open_and_decides_nothing_beside_others():
    def seen(score, off):
        points = ((20.0, 50.0), (60.0, 50.0), (40.0 + 40 * off, 65.0), (25.0, 80.0), (55.0, 80.0))
        return [ScoredFace(frame, frame / 2, Face(BOX, points, 0.9), -1.0, score) for frame in range(5)]

    def said(max_turn=0.2, **faces):
        tracks, sample = dict(enumerate(faces.values())), Sample("0" * 64, "video", None, 5, (0,), None)
        detector = with_conditions(condition((40.0, 80.0), (-2.0, None), (0.8, 0.9)))
        return judged(Path("any"), sample, tracks, detector, max_turn, {})

    ahead = said(ahead=seen(0.9, 0.19))
    assert ahead.verdict == "fake" and ahead.tracks[0].rates
    for off in (0.21, -3.0):
        assert said(0.0, away=seen(0.9, off)).verdict == "fake"
        alone = said(away=seen(0.9, off))
        assert alone.verdict == "inconclusive" and alone.p_fake == pytest.approx(0.9)
        assert alone.tracks[0].rates is None
        assert len(alone.reasons) == 1 and alone.reasons[0].startswith("it is turned to a side")
        beside = said(ahead=seen(0.1, 0.0), away=seen(0.9, off))
        assert beside.verdict == "real" and beside.reasons[0].startswith("face 2: it is turned to a side")
    for ahead, verdict in ((3, "fake"), (2, "inconclusive")):
        assert said(at_times=seen(0.9, 0.0)[:ahead] + seen(0.9, 3.0)[ahead:]).verdict == verdict


def test_a_face_that_is_turned_away_at_times_is_judged_by_its_other_frames():
    def seen(*frames):
        return [
            ScoredFace(number, number / 2, Face(BOX, POINTS[side], 0.9), detail, score)
            for number, (score, side, detail) in enumerate(frames)
        ]

    def said(max_turn, *frames):
        sample = Sample("0" * 64, "video", None, len(frames), (0,), None)
        detector = with_conditions(condition((40.0, 80.0), (-2.0, None), (0.8, 0.9)))
        return judged(Path("any"), sample, {0: seen(*frames)}, detector, max_turn, {})

    ahead = [(0.1, "ahead", -1.0), (0.2, "ahead", -1.0), (0.15, "ahead", -1.0)]
    away = [(0.9, "away", -9.0)] * 3
    (track,) = (found := said(0.2, *ahead, *away)).tracks
    assert found.verdict == "real" and found.p_fake == pytest.approx(0.15) and track.rates
    assert track.interval == pytest.approx(mean_interval([0.1, 0.2, 0.15]))
    assert [frame.counts for frame in track.frames] == [True] * 3 + [False] * 3
    assert [frame.p_fake for frame in track.judged_by] == pytest.approx([0.1, 0.2, 0.15])
    assert found.reasons == ("in 3 of its 6 frames it is turned to a side: these do not count",)
    every = said(0.0, *ahead, *away)
    assert every.p_fake == pytest.approx(0.525) and len(every.tracks[0].judged_by) == 6
    mostly = said(0.2, *ahead, *away, *away[:1])
    assert mostly.verdict == "inconclusive" and mostly.p_fake == pytest.approx((0.45 + 3.6) / 7)
    assert len(mostly.tracks[0].judged_by) == 7 and mostly.reasons[0].startswith("it is turned to a side")
    few = said(0.2, *ahead[:2], *away[:2])
    assert few.verdict == "inconclusive" and few.reasons[0].startswith(
        "it is seen from the front in 2 of the 4 frames"
    )


def test_frames_aside_count_nowhere_in_a_file_of_several_faces():
    def seen(*frames):
        return [
            ScoredFace(number, number / 2, Face(BOX, POINTS[side], 0.9), detail, score)
            for number, (score, side, detail) in enumerate(frames)
        ]

    def said(*tracks, looked_at=8):
        sample = Sample("0" * 64, "video", None, looked_at, tuple(range(len(tracks))), None)
        detector = with_conditions(condition((40.0, 80.0), (-2.0, None), (0.8, 0.9)))
        return judged(Path("any"), sample, dict(enumerate(tracks)), detector, 0.2, {})

    ahead, away = (0.1, "ahead", -1.0), (0.9, "away", -9.0)
    short = said(seen(ahead, ahead, away, away), seen(ahead, ahead, away, away))
    assert short.verdict == "inconclusive" and short.p_fake == pytest.approx(0.1)
    assert short.reasons[0].startswith("no face is seen from the front in enough of the 8 frames")
    # Its frames aside have little detail: by all six it could not be judged, and would decide nothing.
    forged = (0.9, "ahead", -1.0)
    assert said(seen(forged, forged, forged, away, away, away), seen(*[ahead] * 5)).verdict == "fake"
    beside = said(seen(forged, forged, away, away), seen(*[ahead] * 5))
    assert beside.verdict == "real" and beside.reasons[0].startswith("face 1: it is seen from the front in 2 of the 8")


def test_a_face_seen_too_briefly_is_named_in_the_reasons():
    detector = with_conditions(condition((40.0, 80.0), (-2.0, None), (0.8, 0.9)))
    faces = {
        number: [ScoredFace(frame, frame / 2, Face(BOX, (), 0.9), -1.0, score) for frame in range(count)]
        for number, (score, count) in enumerate([(0.05, 12), (0.95, 1)])
    }
    said = judged(Path("any"), Sample("0" * 64, "video", None, 12, (0,), None), faces, detector, 0.2, {})
    assert said.verdict == "real"
    assert len(said.reasons) == 1 and said.reasons[0].startswith("face 2: it is seen in 1 of the 12 frames")


@given(st.lists(st.floats(0, 1), min_size=2, max_size=3, unique=True))
def test_different_numbers_are_written_differently_and_truly(values):
    shown = apart(*values)
    assert len(set(shown)) == len(values)
    assert [float(one) for one in shown] == pytest.approx(values, abs=0.0005001)
    assert sorted(shown, key=float) == [one for _, one in sorted(zip(values, shown, strict=True))]


def test_a_threshold_that_somebody_chose_has_no_error_rates_of_others():
    good = condition((40.0, 80.0), (-2.0, None), (0.8, 0.9))
    detector = with_conditions(replace(good, limits=Thresholds(0.9, 0.1)))
    (track,) = judge([[0.85] * 5], detector=with_threshold(detector, 0.3)).tracks
    assert (track.verdict, track.fake_from, track.real_up_to) == ("fake", 0.3, 0.1)
    assert track.rates == replace(good.rates, real_called_fake=None, fake_called_real=None)


@pytest.mark.parametrize(
    ("score", "verdict", "words"),
    [
        (0.80, "inconclusive", "too many real faces like it had in validation (faces of a kind)"),
        (0.95, "fake", ""),
        (0.20, "inconclusive", "too many fakes like it had"),
        (0.05, "real", ""),
        (0.50, "inconclusive", "lies between 0.100, up to which a face counts as real, and 0.900,"),
    ],
)
def test_a_score_that_is_clear_in_general_may_be_doubtful_among_faces_like_it(score, verdict, words):
    limits = Thresholds(fake=0.9, real=0.1)
    detector = with_conditions(replace(condition((40.0, 80.0), (-2.0, None), (0.8, 0.9)), limits=limits))
    said = judge([[score] * 5], detector=detector)
    assert said.verdict == verdict and len(said.reasons) == bool(words)
    assert all(words in reason for reason in said.reasons)
    assert (said.tracks[0].fake_from, said.tracks[0].real_up_to) == (0.9, 0.1)
    again = judge([[score] * 5], detector=with_threshold(detector, 0.7))
    assert again.verdict == ("fake" if score >= 0.7 else verdict) and again.tracks[0].real_up_to == 0.1


def correlated(rng, series, frames, correlation, middle, spread):
    """Scores of frames whose log-odds are a first-order autoregression, (series, frames), and their true mean."""
    odds = np.empty((series, frames))
    odds[:, 0] = rng.normal(size=series)
    for frame in range(1, frames):
        odds[:, frame] = correlation * odds[:, frame - 1] + np.sqrt(1 - correlation**2) * rng.normal(size=series)
    truth = expit(middle + spread * rng.normal(size=200_000)).mean()
    return expit(middle + spread * odds), truth


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5, 0.7])
@pytest.mark.parametrize(("middle", "spread"), [(0.0, 1.0), (-2.0, 2.0), (3.0, 1.5)])
def test_an_interval_holds_the_truth_about_as_often_as_it_says(correlation, middle, spread):
    for frames in (12, 24, 60):
        scores, truth = correlated(np.random.default_rng(frames), 1500, frames, correlation, middle, spread)
        found = [mean_interval(row) for row in scores]
        held = np.mean([one is not None and one[0] <= truth <= one[1] for one in found])
        assert 0.88 <= held <= 0.995, (frames, held)


def test_an_interval_grows_with_correlation_and_shrinks_with_frames():
    def width(frames, correlation):
        scores, _ = correlated(np.random.default_rng(0), 200, frames, correlation, 0.0, 1.0)
        return np.median([high - low for low, high in (mean_interval(row) or (0, 0) for row in scores)])

    assert width(24, 0.0) < width(24, 0.5) < width(24, 0.8)
    assert width(96, 0.5) < width(24, 0.5) < width(12, 0.5)


def test_intervals_of_few_or_equal_frames():
    assert mean_interval([0.2, 0.3]) is None
    assert mean_interval([0.4] * 6) == pytest.approx((0.4, 0.4))
    low, high = mean_interval([0.0, 1.0, 0.0, 1.0]) or (0, 0)
    assert 0 <= low < 0.5 < high <= 1
