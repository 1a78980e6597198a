"""The analyst's report: self-contained, stable, careful, and usable by everybody."""

import random
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dfgame.report.inspection import InspectionContext, render_inspection
from dfgame.report.stability import score_y
from dfgame.report.timeline import HEIGHT, MARGIN
from inspection_examples import ABOUT, CASES, DETECTOR, FACTS, evidence, example, jpeg, track, verdict
from pages import Page


@pytest.fixture(params=CASES)
def page(request) -> Page:
    said, found, thumbnails = CASES[request.param]
    return Page(render_inspection(said, found, thumbnails, ABOUT))


def test_nothing_runs_and_nothing_comes_from_elsewhere(page):
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "form", "object", "base")]
    policy = page.all("meta")[2]["content"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,", "data:image/jpeg;base64,"))


def test_it_can_be_used_without_sight_mouse_or_colour(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(image["alt"] for image in page.all("img"))
    for figure in page.all("svg"):
        assert figure.get("aria-hidden") == "true" or (figure["role"] and figure["aria-label"])
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in page.tags if tag in ("a", "use")}
    assert targets <= set(ids)
    for mark in page.all("use"):
        assert mark.get("class") in (None, mark["href"].removeprefix("#mark-")), "colour and shape must agree"


def test_prose_has_no_more_digits_than_the_evidence_bears(page):
    assert "probability of fake" not in page.prose.lower()
    without_times = re.sub(r"(between \d\.\d\d and|at) \d\.\d\d s", "", page.prose)
    assert re.findall(r"\d\.\d{2,}", without_times) == []
    assert re.findall(r"\b(?:0|100)%", page.prose) == []


def turned_round(values):
    return dict(reversed(list(values.items())))


@pytest.mark.parametrize("case", CASES)
def test_the_same_bytes_whatever_the_order(case):
    said, found, thumbnails = CASES[case]
    once = render_inspection(said, found, thumbnails, ABOUT)
    backwards = InspectionContext(turned_round(DETECTOR), turned_round(ABOUT.versions), ABOUT.command)
    turned = replace(said, settings=turned_round(said.settings))
    assert render_inspection(turned, found[::-1], turned_round(thumbnails), backwards) == once


def test_the_order_of_a_report():
    text = render_inspection(*example(), ABOUT)
    titles = re.findall(r'<h2 id="(\w+)"', text)
    assert titles == ["when", "people", "reading", "limits", "method", "file", "again"]
    assert text.index("<h1>Face 3, seen between 4.00 and 6.00 s, is likely forged.</h1>") < text.index("<h2")
    people = re.findall(r'<section class="person (\w+)" id="person-(\d)"', text)
    assert people == [("fake", "2"), ("inconclusive", "3"), ("real", "1")]


def test_each_person_has_verdict_likelihood_interval_reasons_and_rates():
    text = Page(render_inspection(*example(), ABOUT)).prose
    assert "70%, about 2 in 3 (95% interval 60% to 90%)" in text
    assert text.count("3 of 34 real videos were called forged (9%)") == 2
    assert "How often the detector errs on faces like this one is not known" in text
    assert "It is 30 pixels wide." in text and "No verdict rests on this number:" in text
    assert "moves the score three times as much as elsewhere" in text
    assert "A blur of 0.6 pixels is enough to turn this finding" in text


def test_a_moment_that_was_only_looked_at_has_a_map_and_claims_no_stability():
    said, found, thumbnails = example()
    light = replace(found[1], amplified=b"", probes=(), turning_blur=None)
    text = render_inspection(said, [found[0], light], thumbnails, ABOUT)
    name = f"moment-{light.track}-{light.frame}"
    (article,) = re.findall(rf'(?s)<article class="moment" id="{name}".*?</article>', text)
    assert re.findall(r'<img id="([a-z0-9-]+)"', article) == [f"{name}-crop", f"{name}-heat"]
    assert "moves the score three times as much as elsewhere" in article
    assert "turn" not in article and "How stable the scores of these moments are was not measured." in text


def test_marks_stand_where_time_and_score_say():
    said, found, thumbnails = example()
    text = render_inspection(said, found, thumbnails, ABOUT)
    for one in said.tracks:
        (lane,) = re.findall(rf'(?s)<svg class="lane"[^>]*aria-label="Face {one.id + 1},.*?</svg>', text)
        marks = re.findall(r'<use class="(\w+)" href="#mark-\1" x="([\d.]+)%" y="([\d.]+)"><title>(.*?)</title>', lane)
        assert len(marks) == len(one.frames)
        for (shape, x, y, title), frame in zip(marks, one.frames, strict=True):
            assert float(x) == pytest.approx(100 * frame.time / 23.0, abs=0.01)
            assert float(y) == pytest.approx(MARGIN + (1 - frame.p_fake) * (HEIGHT - 2 * MARGIN), abs=0.06)
            expected = "fake" if frame.p_fake >= 0.64 else "real" if frame.p_fake <= 0.18 else "inconclusive"
            assert shape == expected
            assert title.startswith(f"0:{frame.time:04.1f}, frame {frame.frame}: {100 * frame.p_fake:.0f}%")
        linked = set(map(int, re.findall(rf'<a href="#moment-{one.id}-(\d+)" aria-label', lane)))
        assert linked == {frame for owner, frame in thumbnails if owner == one.id}


def test_what_is_said_of_frames_is_by_the_limits_for_the_face():
    one = track(1, "inconclusive", [0.77, 0.83], fake_from=0.81, real_up_to=0.05, reasons=("it is doubtful",))
    said = verdict("inconclusive", one, reasons=one.reasons)
    found = [evidence(one, 0)]
    text = render_inspection(said, found, {(1, 25): jpeg(1)}, ABOUT)
    assert re.findall(r'<use class="(\w+)" href="#mark-\w+" x="[\d.]+%"', text) == ["inconclusive", "fake"]
    assert "77%, inconclusive" in text and "77%, likely forged" not in text
    for bound, limit in (("fake", 0.81), ("real", 0.05)):
        (lane,) = re.findall(rf'<line class="bound {bound}" x1="0" x2="100%" y1="([\d.]+)"', text)
        assert float(lane) == pytest.approx(MARGIN + (1 - limit) * (HEIGHT - 2 * MARGIN), abs=0.06)
        charts = re.findall(rf'<line class="bound {bound}" x1="34" x2="[\d.]+" y1="([\d.]+)"', text)
        assert len(charts) == 3 and set(map(float, charts)) == {score_y(limit)}
    assert "counts as likely forged from 81%, and shows no sign of forgery up to 5%." in Page(text).prose


def test_frames_that_do_not_count_are_shown_and_say_so():
    one = track(1, "real", [0.1, 0.95, 0.12, 0.14])
    frames = [replace(frame, counts=place != 1) for place, frame in enumerate(one.frames)]
    one = replace(one, frames=tuple(frames), p_fake=0.12)
    text = render_inspection(verdict("real", one), [], {(1, 50): jpeg(1)}, ABOUT)
    assert re.findall(r'<use class="(\w+)" href="#mark-\w+" x="[\d.]+%"', text) == [
        "real",
        "inconclusive",
        "real",
        "real",
    ]
    assert "frame 50: 95% (turned to a side: does not count), inconclusive" in text
    assert "95%, inconclusive; turned to a side, it does not count" in text and "95%, likely forged" not in text
    assert "From 3 frames" in Page(text).prose


def test_a_frame_that_does_not_count_says_so_beside_its_heat_map():
    one = track(1, "real", [0.1, 0.95, 0.12, 0.14])
    one = replace(one, frames=tuple(replace(frame, counts=place != 1) for place, frame in enumerate(one.frames)))
    looked = replace(evidence(one, 1), probes=())
    text = render_inspection(verdict("real", one), [looked], {(1, 50): jpeg(1)}, ABOUT)
    (title,) = re.findall(r'<h4 id="moment-1-50-title">(.*?)</h4>', text)
    assert title.endswith("95%, inconclusive; turned to a side, it does not count")


def test_marks_of_many_frames_are_of_those_that_count():
    one = track(0, "real", [0.05, 0.97] * 600)
    one = replace(one, frames=tuple(replace(frame, counts=frame.p_fake < 0.5) for frame in one.frames))
    text = render_inspection(verdict("real", one, facts=replace(FACTS, duration=1200.0)), [], {}, ABOUT)
    titles = re.findall(r"<title>([^<]*6 frames[^<]*)</title>", text)
    assert titles and all(
        "6 frames (3 turned to a side: not counted): mean 5%, from 5% to 5%, no sign of forgery" in one
        for one in titles
    )


def test_a_long_film_stays_small_and_hides_no_extreme():
    rng = random.Random(0)
    people = [track(number, "real", [0.1 + 0.05 * rng.random() for _ in range(3000)]) for number in range(20)]
    frames = list(people[0].frames)
    frames[1500] = replace(frames[1500], p_fake=0.95)
    people[0] = replace(people[0], frames=tuple(frames))
    said = verdict("real", *people, facts=replace(FACTS, duration=3600.0))
    text = render_inspection(said, [], {(0, frames[1500].frame): jpeg(1), (0, frames[7].frame): jpeg(2)}, ABOUT)
    lanes = re.findall(r'(?s)<svg class="lane"[^>]*role="group".*?</svg>', text)
    assert len(lanes) == 20 and max(lane.count("<use") for lane in lanes) <= 204
    assert sum(map(len, lanes)) < 1_500_000
    assert text.count("<img ") == 2
    assert f"frame {frames[1500].frame}: 95%, likely forged" in lanes[0]
    highest = max(frame.p_fake for frame in people[5].frames)
    tops = [float(y) for y in re.findall(r'<line class="whisker[^>]* y1="([\d.]+)"', lanes[5])]
    assert min(tops) == pytest.approx(MARGIN + (1 - highest) * (HEIGHT - 2 * MARGIN), abs=0.06)


def test_evidence_of_strangers_and_pictures_of_no_kind_are_refused():
    said, found, thumbnails = example()
    with pytest.raises(ValueError, match=r"\(9, 25\)"):
        render_inspection(said, [replace(found[0], track=9, frame=25)], {}, ABOUT)
    with pytest.raises(ValueError, match="more than one"):
        render_inspection(said, [found[0], found[0]], {}, ABOUT)
    with pytest.raises(ValueError, match="neither PNG nor JPEG"):
        render_inspection(said, found, thumbnails | {(1, 25): b"<svg onload='alert(1)'>"}, ABOUT)
    with pytest.raises(ValueError, match="JSON"):
        render_inspection(replace(said, p_fake=float("nan")), [], {}, ABOUT)


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_and_marks_stand_out_in_light_dark_and_print():
    (style,) = re.findall(r"(?s)<style>(.*?)</style>", render_inspection(*example(), ABOUT))
    schemes: dict[str, dict[str, str]] = {"light": {}, "dark": {}, "print": {}}
    for media, block in re.findall(r"(?s)(@media [^{]*\{\s*)?:root \{(.*?)\}", style):
        name = "dark" if "dark" in media else "print" if "print" in media else "light"
        schemes[name] |= dict(re.findall(r"--([\w-]+): (#\w{6}|#\w{3});", block))
    for scheme in schemes.values():
        for ink in ("ink", "faint", "accent", "fake", "real", "unsure"):
            for ground in ("paper", "card"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
        for mark in ("fake", "real", "unsure"):
            assert contrast(scheme[mark], scheme["zone"]) >= 3


def test_no_torch_is_loaded():
    code = "import sys, dfgame.report.inspection, dfgame.report.inspection_words; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
