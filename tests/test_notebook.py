"""What a notebook shows of a verdict."""

from dataclasses import replace

import pytest

from dfgame.records import FaceScore, FileVerdict, Model, TrackScore
from dfgame.report.notebook import MOST_FACES, ShownVerdict, verdict_html
from pages import Page


def track(number: int, p_fake: float, times: tuple[float, ...] = (0.0, 1.0, 2.0)) -> TrackScore:
    frames = tuple(FaceScore(time, p_fake, (0.0, 0.0, 9.0, 9.0)) for time in times)
    return TrackScore(number, p_fake, times[0], times[-1], frames, "fake" if p_fake > 0.5 else "real", (0.1, 0.9))


def said(*tracks: TrackScore, file: str = "clip.mp4") -> FileVerdict:
    p_fake = max((one.p_fake for one in tracks), default=None)
    verdict = "no face" if p_fake is None else "fake" if p_fake > 0.5 else "real"
    return FileVerdict(file, "0" * 64, "video", verdict, p_fake, tracks, Model("a", "1", "f" * 64))


def test_frames_that_do_not_count_are_hollow():
    one = track(0, 0.1)
    aside = replace(one, frames=(*one.frames[:2], replace(one.frames[2], p_fake=0.9, counts=False)))
    marks = [values for tag, values in Page(verdict_html(said(aside))).tags if tag == "circle"]
    assert [mark.get("fill") for mark in marks] == [None, None, "none"]
    assert "from 2 frames" in verdict_html(said(aside))


def test_each_face_has_a_mark_for_each_of_its_frames_higher_where_likelier_forged():
    page = Page(verdict_html(said(track(0, 0.9), track(1, 0.1, (2.0, 4.0)))))
    marks = [values for tag, values in page.tags if tag == "circle"]
    assert len(marks) == 5
    assert all(float(mark["cy"]) < 17 for mark in marks[:3]) and all(float(mark["cy"]) > 17 for mark in marks[3:])
    assert float(marks[3]["cx"]) == pytest.approx(float(marks[2]["cx"])) == pytest.approx(280)
    assert "likely forged" in page.text


def test_a_hostile_name_stays_text():
    page = Page(verdict_html(said(track(0, 0.9), file="<script>alert(1)</script>\u202e.mp4")))
    assert "script" not in [tag for tag, _ in page.tags]
    assert "\u202e" not in page.text


def test_of_many_faces_the_most_suspicious_are_shown_and_the_others_counted():
    page = Page(verdict_html(said(*(track(number, number / 40) for number in range(30)))))
    assert sum(tag == "svg" for tag, _ in page.tags) == MOST_FACES
    assert "18 more faces are not shown." in page.text and "Face 30," in page.text and "Face 1," not in page.text


def test_without_a_face_there_is_a_sentence():
    page = Page(verdict_html(said()))
    assert "No face was found" in page.text


def test_a_shown_verdict_is_the_verdict():
    plain = said(track(0, 0.9))
    shown = ShownVerdict.of(plain)
    assert isinstance(shown, FileVerdict) and shown.tracks == plain.tracks and shown.p_fake == plain.p_fake
    assert shown._repr_html_() == verdict_html(plain)
    assert str(shown).splitlines()[0] == "clip.mp4: The face seen between 0.00 and 2.00 s is likely forged."
