"""Evidence is checked on detectors whose answer is known by construction."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from conftest import orl_face
from dfgame.boxed import BoxedDetector, Calibration, Ensemble, Facts, Thresholds
from dfgame.checkpoint import new_detector
from dfgame.config import DetectorConfig
from dfgame.explain import Moment, amplified, evidence, heat_map, heat_picture, weightiest
from dfgame.explain.deletion import elsewhere, hottest, without
from dfgame.explain.probes import CRFS, SCALES, SIGMAS, blurred, compressed
from dfgame.explain.scoring import AsOne, images_of, raw_of
from dfgame.media import scaled
from dfgame.records import CropRule, FaceScore, TrackScore, Verdict

SIDE, INPUT = 96, 64
SQUARE = slice(40, 56), slice(8, 24)
"""Rows and columns of the detector's image at which `Looking` looks."""
CROP_SQUARE = slice(60, 84), slice(12, 36)
"""The same in the crop."""


class Looking(nn.Module):
    """Says fake where one square holds fine structure: the mean square of the differences of neighbours in it."""

    def __init__(self, gain: float, offset: float) -> None:
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.tensor(gain)), offset

    def forward(self, images: Tensor) -> Tensor:
        inside = images[:, :, *SQUARE]
        rough = inside.diff(dim=2).square().mean(dim=(1, 2, 3)) + inside.diff(dim=3).square().mean(dim=(1, 2, 3))
        fake = self.gain * (rough - self.offset)
        return torch.stack([torch.zeros_like(fake), fake], dim=1)[:, None]


class LookingForFace2Face(Looking):
    """The same with five classes: what `Looking` calls fake it calls Face2Face, nothing any other method's."""

    def forward(self, images: Tensor) -> Tensor:
        real, fake = super().forward(images).unbind(dim=2)
        others = torch.full_like(real, -5.0)
        return torch.stack([real, others, fake, others, others], dim=2)


def boxed(*members: nn.Module) -> BoxedDetector:
    facts = Facts(
        "known",
        "1",
        DetectorConfig(pretrained=False),
        INPUT,
        CropRule(1.3, "none", SIDE, 0.6),
        Calibration(1.0, 0.0),
        Thresholds(fake=0.6, real=0.4),
        {},
    )
    return BoxedDetector(facts, "0" * 64, Ensemble(list(members)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def crop():
    """A face with grain all over."""
    face = cv2.resize(orl_face(3), (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    grain = np.random.default_rng(0).normal(0, 14, face.shape)
    return np.clip(face + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def looking():
    return boxed(Looking(1500.0, 0.004), Looking(1200.0, 0.004))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return boxed(*(new_detector(DetectorConfig(pretrained=False)).eval() for _ in range(2)))


def test_the_map_is_hottest_where_the_detector_looks(looking, crop):
    heat = heat_map(looking, crop)
    assert heat.shape == (SIDE, SIDE) and heat.dtype == np.float32
    assert heat.max() == 1 and heat.min() >= 0
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert CROP_SQUARE[0].start <= row < CROP_SQUARE[0].stop
    assert CROP_SQUARE[1].start <= column < CROP_SQUARE[1].stop
    # 5% of the crop are four fifths of the square; the map's smoothing rounds its corners.
    assert hottest(heat, 0.05)[CROP_SQUARE].sum() > 0.8 * round(0.05 * SIDE * SIDE)


def test_without_the_hottest_region_the_score_moves_most(looking, crop):
    (found,) = evidence(looking, [Moment(0, 0, 0.0, crop)])
    assert found.p_fake > 0.6
    assert found.hot_change > 2 * found.random_change > 0
    by_hand = raw_of(looking, [crop, without(crop, hottest(heat_map(looking, crop)))])
    odds = np.log(by_hand / (1 - by_hand))
    assert found.hot_change == pytest.approx(abs(odds[1] - odds[0]), rel=1e-4)


def test_a_detector_that_looks_at_nothing_has_a_flat_map_and_firm_scores(crop):
    blind = boxed(Looking(0.0, 0.0))
    assert not heat_map(blind, crop).any()
    (found,) = evidence(blind, [Moment(0, 0, 0.0, crop)])
    assert found.hot_change == found.random_change == 0
    assert found.turning_blur is None
    assert {probe.p_fake for probe in found.probes} == {found.p_fake}


def test_the_map_does_not_depend_on_inference_mode(looking, crop):
    with torch.inference_mode():
        inside = heat_map(looking, crop)
    assert np.array_equal(inside, heat_map(looking, crop))


def test_the_log_odds_are_those_of_the_ensemble(network, crop):
    images = images_of(network, [crop, crop[:, ::-1]])
    raw = network.probabilities(images)
    odds = AsOne(network).log_odds(images).detach()
    assert torch.allclose(odds, torch.log(raw / (1 - raw)), atol=1e-4)


def test_the_log_odds_of_a_detector_that_is_sure_are_finite(crop):
    sure = boxed(Looking(3e6, 0.0))
    assert float(sure.probabilities(images_of(sure, [crop]))) == 1
    assert 1e3 < float(AsOne(sure).log_odds(images_of(sure, [crop])).detach()) < float("inf")
    assert heat_map(sure, crop).max() == 1


def test_evidence_is_the_same_on_every_call_and_leaves_the_detector_as_it_was(network, crop):
    moments = [Moment(1, 7, 0.28, crop), Moment(2, 9, 0.36, np.ascontiguousarray(crop[:, ::-1]))]
    before = {name: value.clone() for name, value in network.ensemble.state_dict().items()}
    first = evidence(network, moments)
    assert first == evidence(network, moments)
    assert all(torch.equal(value, before[name]) for name, value in network.ensemble.state_dict().items())
    assert all(not module.training for member in network.ensemble.members for module in member.modules())
    assert all(parameter.requires_grad for parameter in network.ensemble.parameters())
    assert [(one.track, one.frame, one.time) for one in first] == [(1, 7, 0.28), (2, 9, 0.36)]
    assert first[0].p_fake == pytest.approx(network.calibrated(raw_of(network, [crop])[0]), abs=1e-6)


def test_pictures_are_pngs_of_the_crops_size(looking, crop):
    (found,) = evidence(looking, [Moment(0, 0, 0.0, crop)])
    decoded = [
        cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
        for png in (found.crop, found.amplified, found.heat)
    ]
    assert all(picture is not None and picture.shape == crop.shape for picture in decoded)
    assert np.array_equal(np.asarray(decoded[0]), crop)
    assert np.array_equal(np.asarray(decoded[1]), amplified(crop))
    assert np.array_equal(np.asarray(decoded[2]), heat_picture(crop, heat_map(looking, crop)))


def test_the_picture_of_a_cold_map_is_the_grey_crop(crop):
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    shown = heat_picture(crop, np.zeros((SIDE, SIDE), np.float32))
    assert all(np.array_equal(shown[:, :, colour], grey) for colour in range(3))
    hot = np.zeros((SIDE, SIDE), np.float32)
    hot[10:20, 10:20] = 1
    differs = (heat_picture(crop, hot) != shown).any(axis=2)
    assert differs[10:20, 10:20].all() and differs.sum() == 100


def test_amplifying_shows_a_faint_seam_and_leaves_a_plain_area_plain():
    plain = np.full((SIDE, SIDE, 3), 120, np.uint8)
    assert np.ptp(amplified(plain)) == 0
    seam = plain.copy()
    seam[:, 48] += 4
    shown = amplified(seam).astype(int)
    assert shown[48, 48].min() - shown[48, 10].max() > 2 * 4
    tinted = plain.copy()
    tinted[40:56, 40:56, 0] += 6
    change = amplified(tinted).astype(int)
    assert change[48, 48, 0] - change[48, 48, 2] >= 10
    assert np.array_equal(amplified(seam), amplified(seam.copy()))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 2.4, 3.0, 4.0])
def test_the_uniform_blur_is_a_gaussian(crop, sigma):
    expected = gaussian_filter(crop.astype(np.float64), (sigma, sigma, 0), mode="mirror", truncate=6)
    # A window of three sigmas leaves 0.3% of the weight out, rounding half a grey level.
    assert np.abs(blurred(crop, sigma) - expected).max() < 1.2


def test_no_blur_is_no_change(crop):
    assert np.array_equal(blurred(crop, 0), crop)
    assert np.array_equal(blurred(crop, 0.05), crop)


def test_probes_are_the_scores_of_altered_crops(network, crop):
    (found,) = evidence(network, [Moment(0, 0, 0.0, crop)])
    kinds = [(probe.kind, probe.strength) for probe in found.probes if probe.kind != "adversary"]
    ways = {"blur": (blurred, SIGMAS), "h264": (compressed, CRFS), "scale": (scaled, SCALES)}
    assert kinds == [(kind, value) for kind, (_, values) in ways.items() for value in values]
    for probe in found.probes:
        if probe.kind != "adversary":
            alone = raw_of(network, [ways[probe.kind][0](crop, probe.strength)])[0]
            assert probe.p_fake == pytest.approx(network.calibrated(alone), abs=1e-5)


def test_the_adversary_makes_a_fake_of_any_method_look_real(crop):
    """Of five classes all but the first are fake: to call a fake another fake is no escape."""
    detector = boxed(LookingForFace2Face(1500.0, 0.004))
    (found,) = evidence(detector, [Moment(0, 0, 0.0, crop)])
    (adversary,) = [probe for probe in found.probes if probe.kind == "adversary"]
    assert found.p_fake > 0.5 > adversary.p_fake


def test_the_adversary_speaks_against_the_answer(looking, crop):
    (found,) = evidence(looking, [Moment(0, 0, 0.0, crop)])
    (adversary,) = [probe for probe in found.probes if probe.kind == "adversary"]
    assert adversary.strength == SIDE / INPUT
    assert adversary.p_fake < found.p_fake


def test_odd_crops_are_compressed_and_scaled_to_their_own_size(crop):
    odd = np.ascontiguousarray(crop[:91, :91])
    assert compressed(odd, 23).shape == scaled(odd, 1 / 3).shape == odd.shape
    error = [np.abs(compressed(odd, crf).astype(float) - odd).mean() for crf in CRFS]
    assert error == sorted(error) and error[0] > 0
    error = [np.abs(scaled(odd, share).astype(float) - odd).mean() for share in SCALES]
    assert error == sorted(error) and error[0] > 0


@pytest.mark.parametrize("offset", [0.0005, 0.002, 0.004, 0.008])
def test_the_turning_blur_is_that_of_brute_force(crop, offset):
    detector = boxed(Looking(1500.0, offset))
    own, turns = verdict_of(detector, crop), None
    for tenths in range(1, 41):
        if turns is None and verdict_of(detector, blurred(crop, tenths / 10)) != own:
            turns = tenths / 10
    (found,) = evidence(detector, [Moment(0, 0, 0.0, crop)])
    assert own == "fake" and turns is not None
    assert found.turning_blur == turns


def verdict_of(detector: BoxedDetector, crop: np.ndarray) -> Verdict:
    return detector.verdict(detector.calibrated(raw_of(detector, [crop])[0]))


def test_turning_blurs_of_several_frames_do_not_mix(crop):
    detector = boxed(Looking(1500.0, 0.002))
    smooth = blurred(crop, 0.8)
    both = evidence(detector, [Moment(0, 0, 0.0, crop), Moment(0, 1, 0.1, smooth)])
    alone = [evidence(detector, [Moment(0, 0, 0.0, one)])[0].turning_blur for one in (crop, smooth)]
    assert [one.turning_blur for one in both] == alone


def test_the_turning_blur_is_by_the_limits_for_the_face(crop):
    detector, limits = boxed(Looking(1500.0, 0.002)), Thresholds(0.97, 0.2)
    strict = replace(detector, facts=replace(detector.facts, thresholds=limits))
    (found,) = evidence(detector, [Moment(0, 0, 0.0, crop, limits)])
    (expected,) = evidence(strict, [Moment(0, 0, 0.0, crop)])
    assert found.turning_blur == expected.turning_blur
    assert found.turning_blur != evidence(detector, [Moment(0, 0, 0.0, crop)])[0].turning_blur


def test_a_region_elsewhere_is_of_the_same_size():
    region = np.zeros((50, 50), bool)
    region[10:20, 5:30] = True
    moved = elsewhere(region, 8, seed=3)
    assert [one.sum() for one in moved] == [250] * 8
    assert len({one.tobytes() for one in moved}) > 6
    assert all(np.array_equal(a, b) for a, b in zip(moved, elsewhere(region, 8, seed=3), strict=True))


def test_nothing_of_a_region_is_left_when_it_is_taken_away(crop):
    region = np.zeros((SIDE, SIDE), bool)
    region[30:60, 30:60] = True
    other = crop.copy()
    other[region] = 255 - other[region]
    assert np.array_equal(without(crop, region), without(other, region))
    assert np.array_equal(without(crop, region)[~region], crop[~region])


def track(scores: list[float], verdict: Verdict) -> TrackScore:
    frames = tuple(FaceScore(float(time), score, (0.0, 0.0, 1.0, 1.0)) for time, score in enumerate(scores))
    return TrackScore(0, 0.5, 0.0, float(len(scores) - 1), frames, verdict)


def test_the_weightiest_frames_speak_for_the_verdict_and_lie_apart():
    scores = [0.1, 0.2, 0.9, 0.95, 0.92, 0.3, 0.2, 0.8, 0.7, 0.1, 0.0]
    assert weightiest(track(scores, "fake"), 1) == (3,)
    assert weightiest(track(scores, "fake"), 2) == (3, 7)
    assert weightiest(track(scores, "real"), 1) == (10,)
    assert weightiest(track(scores, "real"), 2) == (0, 10)


def test_frames_that_do_not_count_weigh_nothing():
    one = track([0.9, 0.2, 0.7], "fake")
    aside = replace(one, frames=(replace(one.frames[0], counts=False), *one.frames[1:]))
    assert weightiest(aside, 1) == (2,) and weightiest(aside, 3) == (1, 2)


def test_there_are_never_more_frames_than_there_are():
    assert weightiest(track([0.5, 0.6], "fake"), 4) == (0, 1)
    assert weightiest(track([0.5], "inconclusive"), 4) == (0,)
    assert weightiest(track([0.5, 0.6], "fake"), 0) == ()
    assert len(weightiest(track([0.5] * 9, "fake"), 4)) == 4
