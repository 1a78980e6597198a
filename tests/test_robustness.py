"""Videos made worse: each transformation by an independent formula, the job on a whole video, the two adversaries."""

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter
from sklearn.metrics import roc_auc_score

from boxes import TINY, trained_a_little
from conftest import moving, orl_face
from dfgame.boxed import Ensemble
from dfgame.config import DetectorConfig, RobustnessConfig, SettingError
from dfgame.explain.scoring import TwoSided
from dfgame.faces.crop import crop_face
from dfgame.files import sha256
from dfgame.manifest import read_manifest
from dfgame.media import H264Clip, MediaError, read_frames, scaled, through_h264, write_video
from dfgame.models import probabilities
from dfgame.records import Face
from dfgame.report.robustness import half_words
from dfgame.robustness.attack import LEAST_SIGMA, LimitedBlur, attack, attacked
from dfgame.robustness.curves import Measured, Robustness, ScoredVideo, measured
from dfgame.robustness.job import Cutting, VideoJob, make_worse
from dfgame.robustness.points import KINDS, NOTHING, Point, points_of
from dfgame.robustness.source import Source
from dfgame.robustness.subjects import Subject
from dfgame.robustness.transform import jpeg, seed_of, shifted, transformed

FACE = Face(
    (40.0, 50.0, 140.0, 180.0), ((70.0, 90.0), (110.0, 90.0), (90.0, 120.0), (75.0, 150.0), (105.0, 150.0)), 0.9
)
CUTTING = Cutting("none", 1.3, 64)


def grey(level: int, side: int = 200):
    return np.full((side, side, 3), level, np.uint8)


def ssim(one, other) -> float:
    """Structural similarity in windows of 7 pixels (Wang et al., 2004), of the brightness."""
    a, b = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float) for image in (one, other))
    mean_a, mean_b = uniform_filter(a, 7), uniform_filter(b, 7)
    var_a, var_b = uniform_filter(a * a, 7) - mean_a**2, uniform_filter(b * b, 7) - mean_b**2
    both = uniform_filter(a * b, 7) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top, bottom = (2 * mean_a * mean_b + c1) * (2 * both + c2), (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float((top / bottom).mean())


class TestFrames:
    def test_nothing_is_nothing(self):
        image = orl_face(1)
        assert transformed(image, NOTHING, (0,)) is image

    def test_blur_is_scipys(self):
        image = orl_face(1)
        for sigma in (0.5, 1.0, 2.0, 4.0):
            ours = transformed(image, Point("blur", sigma), (0,)).astype(float)
            theirs = gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="mirror", truncate=6)
            assert np.abs(ours - theirs).max() < 2 and np.abs(ours - image).mean() > 0.3

    def test_jpeg_is_pillows(self):
        image, errors = orl_face(2), []
        for quality in (90, 50, 10):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            theirs = np.asarray(Image.open(file)).astype(float)
            assert np.abs(jpeg(image, quality) - theirs).mean() < 0.5
            errors.append(np.abs(theirs - image).mean())
        assert errors == sorted(errors) and errors[0] < errors[2] / 2

    def test_scale_is_the_mean_of_areas_enlarged(self):
        image = orl_face(3)
        height, width = (side // 4 * 4 for side in image.shape[:2])
        image = image[:height, :width]
        means = (
            image.reshape(height // 4, 4, width // 4, 4, 3).astype(float).mean(axis=(1, 3)).round().astype(np.uint8)
        )
        theirs = cv2.resize(means, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
        ours = transformed(image, Point("scale", 0.25), (0,))
        assert np.abs(ours - theirs).max() <= 2
        assert scaled(image, 0.001).shape == image.shape

    def test_noise_has_its_deviation_and_one_field(self):
        fields = [transformed(grey(128), Point("noise", s), (0, 1, 2)).astype(float) - 128 for s in (2.0, 16.0)]
        for field, wanted in zip(fields, (2.0, 16.0), strict=True):
            assert field.std() == pytest.approx((wanted**2 + 1 / 12) ** 0.5, rel=0.02) and abs(field.mean()) < 0.2
        assert np.corrcoef(fields[0].ravel(), fields[1].ravel())[0, 1] > 0.98
        other = transformed(grey(128), Point("noise", 16.0), (0, 1, 3)).astype(float) - 128
        assert abs(np.corrcoef(fields[1].ravel(), other.ravel())[0, 1]) < 0.02

    def test_brightness_is_added_and_cut_off(self):
        image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
        for levels in (-64.0, 32.0):
            wanted = np.clip(image.astype(int) + int(levels), 0, 255)
            assert np.array_equal(transformed(image, Point("brightness", levels), (0,)), wanted)

    @given(st.floats(0.01, 0.5), st.text(max_size=5))
    def test_a_shift_moves_all_of_a_face_as_far_as_it_says(self, share, name):
        moved = shifted(FACE, share, seed_of(name, 0))
        ways = np.array(moved.points) - np.array(FACE.points)
        corners = (np.array(moved.box) - np.array(FACE.box)).reshape(2, 2)
        assert np.allclose(ways, ways[0]) and np.allclose(corners, ways[0])
        assert np.hypot(*ways[0]) == pytest.approx(100 * share)
        further = np.array(shifted(FACE, 2 * share, seed_of(name, 0)).points) - np.array(FACE.points)
        assert np.allclose(further, 2 * ways)

    def test_videos_are_shifted_in_all_directions(self):
        ways = [np.array(shifted(FACE, 1.0, seed_of(f"{n}.mp4", 0)).box)[:2] - FACE.box[:2] for n in range(400)]
        assert np.abs(np.mean(ways, axis=0)).max() < 10  # of 100


def job_of(file: Path, to: Path, points, frames, around=12, content=None, faces=None) -> VideoJob:
    faces = faces or (FACE,) * len(frames)
    return VideoJob("x/v.mp4", file, content, tuple(frames), faces, (), CUTTING, tuple(points), around, 0, to)


def done(job: VideoJob):
    make_worse(job)
    return np.load(job.to)


class TestWholeVideos:
    @pytest.fixture(scope="class")
    def clip(self, tmp_path_factory):
        """The clip and its frames as a reader sees them."""
        path = tmp_path_factory.mktemp("clip") / "v.mp4"
        write_video(path, list(moving(1, 12)), fps=25, crf=18)
        return path, [frame.image for frame in read_frames(path)]

    def test_crf_is_what_a_file_at_that_crf_shows(self, clip, tmp_path):
        """Of all frames together, in x264 through a file."""
        path, frames = clip
        points = [Point("crf", 23.0), Point("crf", 40.0)]
        crops = done(job_of(path, tmp_path / "c.npy", points, (0, 5, 11)))
        for place, point in enumerate(points):
            write_video(tmp_path / "again.mp4", frames, fps=25, crf=int(point.strength or 0))
            for row, frame in enumerate(read_frames(tmp_path / "again.mp4", {0, 5, 11})):
                assert np.array_equal(crops[place, row], crop_face(frame.image, FACE, 1.3, 64))

    def test_likeness_falls_as_the_crf_rises(self, clip, tmp_path):
        points = [NOTHING, *(Point("crf", crf) for crf in (10.0, 23.0, 33.0, 43.0, 51.0))]
        crops = done(job_of(clip[0], tmp_path / "c.npy", points, (6,)))
        alike = [ssim(crops[0, 0], crop[0]) for crop in crops[1:]]
        assert alike == sorted(alike, reverse=True) and alike[0] > 0.95 and alike[-1] < 0.8

    def test_only_the_frames_around_are_encoded_with_it(self, clip, tmp_path):
        crops = done(job_of(clip[0], tmp_path / "c.npy", [Point("crf", 38.0)], (1, 9), around=1))
        for row, (first, last) in enumerate([(0, 3), (8, 11)]):
            shown = through_h264(clip[1][first:last], 38, "fast")[1]
            assert np.array_equal(crops[0, row], crop_face(shown, FACE, 1.3, 64))

    def test_frames_of_odd_sides_come_back_as_large_as_they_were(self):
        image = orl_face(4)[:101, :93]
        shown = through_h264([image] * 3, 10)
        assert [one.shape for one in shown] == [image.shape] * 3 and ssim(shown[1], image) > 0.9

    def test_an_encoder_keeps_only_a_few_frames(self):
        clip, waiting = H264Clip(30), []
        image = np.zeros((64, 64, 3), np.uint8)
        given = 0
        for number in range(60):
            given += len(clip.add(image + number))
            waiting.append(number + 1 - given)
        assert max(waiting) < 25 and given + len(clip.end()) == 60

    def test_whole_frames_are_transformed_before_the_face_is_cut_out(self, clip, tmp_path):
        """A crop of the scaled frame, of pixels of the frame; and a shifted crop is that of the shifted face."""
        path, frames = clip
        points = [Point("scale", 0.3), Point("shift", 0.2), Point("noise", 9.0)]
        crops = done(job_of(path, tmp_path / "c.npy", points, (4,)))
        assert np.array_equal(crops[0, 0], crop_face(scaled(frames[4], 0.3), FACE, 1.3, 64))
        assert np.array_equal(crops[1, 0], crop_face(frames[4], shifted(FACE, 0.2, seed_of("x/v.mp4", 0)), 1.3, 64))
        noisy = transformed(frames[4], points[2], (*seed_of("x/v.mp4", 0), 4))
        assert np.array_equal(crops[2, 0], crop_face(noisy, FACE, 1.3, 64))

    def test_the_untouched_video_gives_the_manifests_own_crops(self, manifest, mini_ff, tmp_path):
        table, seen = read_manifest(manifest), 0
        for video in table["video"].unique().to_pylist()[::5]:
            rows = [row for row in table.to_pylist() if row["video"] == video]
            faces = tuple(Face((r["left"], r["top"], r["right"], r["bottom"]), (), 1.0) for r in rows)
            file = mini_ff / video.removeprefix(f"{rows[0]['dataset']}/")
            job = job_of(file, tmp_path / "c.npy", [NOTHING], [r["frame"] for r in rows], 12, rows[0]["sha256"], faces)
            for crop, row in zip(done(job)[0], rows, strict=True):
                stored = cv2.imread(str(manifest.parent / row["path"]))
                assert stored is not None and np.array_equal(crop, stored[:, :, ::-1])
                seen += 1
        assert seen > 20

    def test_stored_crops_of_other_shapes_become_squares_of_one_size(self, tmp_path):
        crops = tuple(tmp_path / f"{number}.png" for number in range(2))
        for path, sides in zip(crops, ((80, 100), (120, 120)), strict=True):
            cv2.imwrite(str(path), np.full((*sides, 3), 90, np.uint8))
        job = replace(job_of(tmp_path / "v.mp4", tmp_path / "c.npy", [NOTHING], (0, 1)), file=None, crops=crops)
        assert done(job).shape == (1, 2, 100, 100, 3)

    def test_what_cannot_be_used_is_said(self, clip, tmp_path):
        path, points = clip[0], [NOTHING, Point("crf", 30.0)]
        with pytest.raises(MediaError, match="no such file"):
            done(job_of(tmp_path / "none.mp4", tmp_path / "c.npy", points, (0,)))
        with pytest.raises(MediaError, match="not the file that the crops were cut from"):
            done(job_of(path, tmp_path / "c.npy", points, (0,), content="0" * 64))
        with pytest.raises(MediaError, match="no frame 12"):
            done(job_of(path, tmp_path / "c.npy", points, (3, 12), content=sha256(path)))
        half = tmp_path / "half.mp4"
        half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(MediaError):
            done(job_of(half, tmp_path / "c.npy", points, (11,)))


def subject_of(*members) -> Subject:
    return Subject("tiny", "0" * 64, 64, Ensemble(list(members)))


def loss(subject: Subject, images) -> float:
    """What the adversary raises: the cross-entropy of fake, mean over patches."""
    with torch.inference_mode():
        return -float(TwoSided(subject)(images).log_softmax(dim=2)[:, :, 1].mean())


class TestAdversaries:
    @pytest.fixture(scope="class")
    def subject(self):
        return subject_of(trained_a_little(0), trained_a_little(1))

    @pytest.fixture(scope="class")
    def crops(self):
        return np.stack([cv2.resize(orl_face(n), (96, 96), interpolation=cv2.INTER_AREA) for n in range(1, 7)])

    @pytest.mark.parametrize(
        ("kind", "strengths"), [("additive", (1.0, 2.0, 4.0, 8.0)), ("gradient-blur", (0.75, 1.5, 3.0, 5.0))]
    )
    def test_the_loss_rises_with_the_strength(self, kind, strengths, subject, crops):
        images = subject.images(crops)
        losses = [loss(subject, attack(subject, images, Point(kind, s), 4, 64 / 96)) for s in strengths]
        assert [loss(subject, images), *losses] == sorted([loss(subject, images), *losses])

    def test_more_steps_do_more_than_one(self, subject, crops):
        images, point = subject.images(crops), Point("additive", 4.0)
        assert loss(subject, attack(subject, images, point, 6)) > loss(subject, attack(subject, images, point, 1))

    def test_noise_stays_within_its_bound_in_whole_grey_levels(self, subject, crops):
        images = subject.images(crops)
        change = (attack(subject, images, Point("additive", 3.0), 4) - images) * 255
        assert change.abs().max() == pytest.approx(3, abs=1e-3)
        assert torch.allclose(change, change.round(), atol=1e-3)

    def test_sigma_stays_within_its_bounds_and_moves_one_length(self):
        blur = LimitedBlur(1.5)
        start = blur.start(torch.zeros(1, 3, 8, 8))
        slope = torch.zeros(1, 1, 8, 8)
        slope[..., :4], slope[..., 4:6] = 5.0, -1e-9
        sigma = blur.ascend(start, slope, 0.25).rsqrt()
        middle = (LEAST_SIGMA + 1.5) / 2
        wanted = torch.full((8, 8), middle)
        wanted[:, :4], wanted[:, 4:6] = middle - 0.25, middle + 0.25
        assert torch.allclose(sigma[0, 0], wanted, atol=1e-5)
        far = blur.ascend(start, slope, 9.0).rsqrt()
        assert far.min() == pytest.approx(LEAST_SIGMA) and far.max() == pytest.approx(1.5)

    def test_an_attack_never_makes_a_fake_look_more_fake(self, subject, crops):
        untouched = subject.p_fake(subject.images(crops))
        for point in (Point("additive", 1.0), Point("gradient-blur", 2.0)):
            assert (attacked(subject, crops, point, 2) <= untouched).all()

    def test_all_methods_of_a_detector_with_five_classes_are_fake(self, crops):
        multi = trained_a_little(2, DetectorConfig(backbone=TINY.backbone, pretrained=False, multi=True))
        subject = subject_of(multi)
        images = subject.images(crops)
        with torch.inference_mode():
            fake = 1 - probabilities(multi(images))[:, 0]
            assert torch.allclose(probabilities(TwoSided(subject)(images))[:, 1], fake, atol=1e-6)


def test_points_come_from_weak_to_strong():
    config = RobustnessConfig(only=("jpeg", "crf"), crf=(40, 23, 23), jpeg=(10, 90))
    assert [point.key for point in points_of(config)] == ["none", "crf=23", "crf=40", "jpeg=90", "jpeg=10"]
    assert {point.transformation for point in points_of(RobustnessConfig())} == {"none", *KINDS}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RobustnessConfig(crf=(0,)), "--crf: must be above 0 and below 52"),
        (lambda: RobustnessConfig(scale=(1.0,)), "--scale"),
        (lambda: RobustnessConfig(brightness=(0.0,)), "--brightness"),
        (lambda: RobustnessConfig(gradient_blur=(-1.0,)), "--gradient-blur"),
        (lambda: RobustnessConfig(adversary_steps=0), "--adversary-steps"),
        (lambda: RobustnessConfig(only=("jpeg",), crf=(23,)), "--crf: changes nothing here, it needs --only crf"),
        (lambda: RobustnessConfig(only=("crf",), adversary_steps=2), "--adversary-steps: changes nothing here"),
        (lambda: RobustnessConfig(only=("jpeg",), around=3), "--around: changes nothing here"),
        (lambda: RobustnessConfig(only=("crf",), crf=()), "--only"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, said):
    with pytest.raises(SettingError, match=said):
        make()


class TestCurves:
    VIDEOS = tuple(ScoredVideo(f"{label}{n}", label, f"p{n}") for label in ("real", "fake") for n in range(12))

    def test_the_auc_is_scikit_learns(self):
        scores = {
            video.name: value for video, value in zip(self.VIDEOS, np.random.default_rng(0).random(24), strict=True)
        }
        found = measured("a", NOTHING, self.VIDEOS, scores, 200, 0)
        assert found.auc == pytest.approx(roc_auc_score([0] * 12 + [1] * 12, [scores[v.name] for v in self.VIDEOS]))
        assert (found.n_real, found.n_fake) == (12, 12) and found.low is not None and found.high is not None
        assert found.low < found.auc < found.high

    def test_copies_of_a_persons_videos_make_an_interval_no_narrower(self):
        rng = np.random.default_rng(1)
        values = {video.name: float(rng.normal(video.label == "fake", 1.5)) for video in self.VIDEOS}
        copies = [replace(video, name=f"{video.name} {n}") for video in self.VIDEOS for n in range(6)]
        of_copies = {video.name: values[video.name.split()[0]] for video in copies}
        once, copied = (measured("a", NOTHING, *of, 500, 0) for of in ((self.VIDEOS, values), (copies, of_copies)))
        assert (once.low, once.high) == pytest.approx((copied.low, copied.high))

    def test_one_person_has_no_interval(self):
        alone = [replace(video, person="a") for video in self.VIDEOS]
        found = measured("a", NOTHING, alone, {video.name: n / 24 for n, video in enumerate(alone)}, 100, 0)
        assert found.low is None and found.high is None

    def test_a_curve_has_the_untouched_videos_where_they_belong(self):
        rows = [("none", None, 0.9), ("scale", 0.5, 0.8), ("scale", 0.25, 0.6), ("brightness", -9.0, 0.7)]
        rows += [("brightness", 9.0, 0.65), ("noise", 1.0, 0.9)]
        made = Robustness(tuple(Measured("a", n, s, auc, None, None, 1, 1) for n, s, auc in rows), {}, subjects=("a",))
        assert made.transformations == ["scale", "noise", "brightness"]
        assert [row.strength for row in made.curve("a", "scale")] == [None, 0.5, 0.25]
        assert [row.strength for row in made.curve("a", "brightness")] == [-9.0, None, 9.0]
        assert made.half_lost("a", "scale") == 0.25
        assert made.half_lost("a", "brightness") == -9.0
        assert made.half_lost("a", "noise") is None

    @pytest.mark.parametrize(
        ("auc", "low", "words"),
        [
            (0.9, 0.8, "0.25"),
            (0.9, 0.45, "not told from a coin untouched"),
            (0.9, None, "not told from a coin untouched"),
            (0.5, 0.4, "no better than a coin untouched"),
        ],
    )
    def test_half_of_what_a_coin_does_not_have_cannot_be_lost(self, auc, low, words):
        rows = [("none", None, auc, low), ("scale", 0.5, 0.8, 0.7), ("scale", 0.25, 0.6, 0.5)]
        shown = tuple(Measured("a", name, strength, value, least, 1.0, 9, 9) for name, strength, value, least in rows)
        assert half_words(Robustness(shown, {}, subjects=("a",)), "a", "scale") == words


def test_of_two_data_sets_with_the_same_paths_the_file_is_the_one_that_was_cut_from(tmp_path):
    roots = (tmp_path / "a", tmp_path / "b")
    for root in roots:
        (root / "c23").mkdir(parents=True)
        (root / "c23/000.mp4").write_bytes(root.name.encode())
    source = Source((), roots, tmp_path, None, ())
    for root in roots:
        assert source.file("A/c23/000.mp4", "A", sha256(root / "c23/000.mp4")) == root / "c23/000.mp4"
    assert source.file("A/c23/000.mp4", "A", None) == roots[0] / "c23/000.mp4"
    assert source.file("A/c23/000.mp4", "A", "0" * 64) == roots[0] / "c23/000.mp4", "which is then found to be another"
    assert source.file("A/c40/000.mp4", "A", None) == roots[0] / "c40/000.mp4", "which is not there"
