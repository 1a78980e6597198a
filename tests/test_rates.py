"""Error rates by condition: counted by hand, cut where there are enough videos, measured on shrunk faces."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logit
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from conftest import orl_face
from dfgame.boxed import Calibration, Thresholds
from dfgame.calibrate.maps import Choice, ScoredVideos, choose, choose_by_fold, fit, held_out, joined
from dfgame.calibrate.rates import conditions
from dfgame.calibrate.views import band_of, scored_views, shrunk
from dfgame.faces.video import write_png
from dfgame.records import CropRule

SAME = Calibration(slope=1.0, intercept=0.0)
LIMITS = Thresholds(fake=0.7, real=0.3)
CHOICE = Choice(SAME, LIMITS)
BY_FOLD = [CHOICE] * 5


def seen(labels, groups, raw, width=60.0, details=-2.0):
    """Videos of ten people in five folds, a third of them not compressed."""
    count, groups = len(labels), np.asarray(groups)
    widths, details = (np.broadcast_to(one, count) for one in (width, details))
    return ScoredVideos(
        np.asarray(labels), groups, groups % 5, np.arange(count) % 3 > 0, np.asarray(raw), widths, details
    )


def made_up(videos, seed=0, details=None, width=60.0):
    """As many real as fake videos of ten people, some of them alike in score."""
    rng = np.random.default_rng(seed)
    number, effects = np.arange(videos), rng.normal(0, 0.15, 10)
    labels, groups = number % 2, number // 2 % 10
    raw = np.clip(0.3 + 0.4 * labels + effects[groups] + rng.normal(0, 0.2, videos), 0.01, 0.99).round(2)
    return seen(labels, groups, raw, width, rng.uniform(-3, -1, videos) if details is None else details)


def of_scores(real, fake):
    """Faces with these scores, of ten people in turn."""
    numbers = [*range(len(real)), *range(len(fake))]
    return seen([0] * len(real) + [1] * len(fake), np.array(numbers) % 10, [*real, *fake])


def test_rates_are_those_counted_by_hand():
    """One of 30 is called what it is not: less than 5%, so that the thresholds for all are strict enough."""
    real, fake = [0.8, 0.6] + [0.2] * 28, [0.1, 0.4] + [0.9] * 28
    (found,) = conditions(of_scores(real, fake), CHOICE, BY_FOLD)
    assert (found.rates.real, found.rates.fake) == (30, 30)
    assert (found.rates.real_called_fake, found.rates.fake_called_real) == (1 / 30, 1 / 30)
    assert found.limits == LIMITS
    assert found.rates.auc == pytest.approx(roc_auc_score([0] * 30 + [1] * 30, real + fake))
    assert found.auc[0] < found.rates.auc < found.auc[1]
    assert found.widths == (52.0, 80.0) and found.details[1] is None
    assert found.rates.faces == "52 to 80 pixels wide, any amount of detail"


def test_limits_are_stricter_where_faces_need_it_and_rates_are_of_people_held_out():
    """One person's four are at 0.95: of 40 only two may be called fake. By the limits of other people all four are."""
    real = [0.95 if number % 10 == 0 else 0.2 for number in range(40)]
    fake = [0.9] * 40
    (found,) = conditions(of_scores(real, fake), CHOICE, BY_FOLD)
    assert found.limits is not None and found.limits.fake == pytest.approx(0.95)
    assert found.limits.real == LIMITS.real and (SAME(np.array(real)) >= found.limits.fake).sum() == 0
    assert (found.rates.real_called_fake, found.rates.fake_called_real) == (0.1, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_a_video_s_own_people_decides_about_it(seed):
    """Counted video by video: of other people's at most 5% score so high or low, among all and among these."""
    plain, part = made_up(120, seed), made_up(90, seed + 10, details=-2.0)
    _, verdicts = held_out(part, choose_by_fold(plain))
    for number, (raw, fold) in enumerate(zip(part.raw, part.folds, strict=True)):
        others = plain.where(plain.folds != fold)
        p_fake = fit(others.labels, others.raw)
        alike = (others.where(others.compressed), part.where(part.folds != fold))
        real, fake = ([p_fake(one.raw[one.labels == label]) for one in alike] for label in (0, 1))
        p = p_fake(raw)
        said = "inconclusive"
        if p >= 0.5 and all((of >= p).sum() <= int(0.05 * len(of)) for of in real):
            said = "fake"
        elif p <= 0.5 and all((of <= p).sum() <= int(0.05 * len(of)) for of in fake):
            said = "real"
        assert verdicts[number] == said
    (found,) = conditions(part, choose(plain), choose_by_fold(plain))
    assert found.rates.real_called_fake == (verdicts[part.labels == 0] == "fake").mean()
    assert found.rates.fake_called_real == (verdicts[part.labels == 1] == "real").mean()


def test_an_interval_is_over_people_with_all_their_videos():
    """Against people drawn one by one, and symmetric in log-odds, as intervals of AUCs are everywhere."""
    videos = made_up(60)
    (found,) = conditions(videos, CHOICE, BY_FOLD)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(400):
        rows = np.concatenate([np.flatnonzero(videos.groups == person) for person in rng.integers(0, 10, 10)])
        draws.append(roc_auc_score(videos.labels[rows], videos.raw[rows]))
    auc = found.rates.auc
    half = float(student.ppf(0.975, 9) * np.std(draws) / (auc * (1 - auc)))
    assert logit(found.auc) == pytest.approx([logit(auc) - half, logit(auc) + half], abs=0.15 * half)


def test_a_band_is_cut_as_often_as_its_videos_bear():
    for videos, parts in ((30, 0), (60, 1), (100, 2), (200, 3)):
        found = conditions(made_up(videos, details=np.linspace(-3, -1, videos)), CHOICE, BY_FOLD)
        assert len(found) == parts
        assert sum(one.rates.real + one.rates.fake for one in found) == (videos if parts else 0)
        for before, after in pairwise(found):
            assert before.details[1] == after.details[0]
        if parts:
            assert found[0].details[0] == -3.0 and found[-1].details[1] is None


def test_a_condition_needs_both_kinds_and_more_than_one_person():
    videos = made_up(100)
    nothing = np.zeros(100, np.int64)
    assert not conditions(replace(videos, labels=nothing), CHOICE, BY_FOLD)
    assert not conditions(replace(videos, groups=nothing), CHOICE, BY_FOLD)


def test_faces_of_other_widths_are_other_conditions():
    videos = joined([made_up(60, seed, width=width) for seed, width in enumerate((40.0, 200.0, 20.0))])
    found = conditions(videos, CHOICE, BY_FOLD)
    assert [one.widths for one in found] == [(32.0, 52.0), (120.0, None)]
    assert found[1].rates.faces.startswith("120 pixels wide or more")


def test_bands_have_no_gaps():
    assert [band_of(width) for width in (31.9, 32, 51.9, 52, 80, 119.9, 120, 5000)] == [-1, 0, 0, 1, 2, 2, 3, 3]


def test_a_shrunk_crop_is_that_of_a_small_face():
    crop = np.asarray(cv2.resize(orl_face(1, scale=3), (256, 256)), np.uint8)
    small = cv2.resize(crop, (52, 52), interpolation=cv2.INTER_AREA)
    assert (shrunk(crop, 52.0) == cv2.resize(small, (256, 256), interpolation=cv2.INTER_CUBIC)).all()
    assert (shrunk(crop, 300.0) == crop).all()


def test_videos_are_seen_as_they_are_and_in_every_narrower_band(tmp_path):
    rows = []
    for video, width in (("wide", 150.0), ("narrow", 70.0)):
        for frame in range(12):
            path = f"{video}_{frame}.png"
            face = cv2.resize(orl_face(1 + frame, scale=3), (128, 128))
            write_png(tmp_path / path, np.asarray(face, np.uint8))
            place = {"left": 10.0, "top": 10.0, "right": 10.0 + width, "bottom": 10.0 + width}
            rows.append({"path": path, "video": video, "frame": frame} | place)
    rule = CropRule(margin=1.3, alignment="none", size=128, min_score=0.6)

    def brightness(images):
        return images.mean(dim=(1, 2, 3))

    plain, *smaller = scored_views(brightness, pa.Table.from_pylist(rows), tmp_path, rule, 64, 5, 0)
    assert plain.videos == [row["video"] for row in rows] and len(plain.raw) == len(plain.detail) == 24
    assert [sorted(set(view.videos)) for view in smaller] == [["narrow", "wide"], ["wide"], ["wide"]]
    assert [view.videos.count("wide") for view in smaller] == [8, 8, 8]
    assert [sorted(set(view.width.round(6).tolist())) for view in smaller] == [[40.0], [64.0], [96.0]]
    assert smaller[-1].raw == pytest.approx(plain.raw[[0, 2, 3, 5, 6, 8, 9, 11]], abs=0.02)
