"""Detection, tracking and cropping against hand-worked geometry."""

import importlib.util
import weakref
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import frame_of, moving, orl_face
from dfgame.faces.crop import TEMPLATE, align_face, crop_face, crop_square, cutter, similarity
from dfgame.faces.detect import YuFace, default_detector
from dfgame.faces.motion import detours, moved, travel
from dfgame.faces.track import LONGEST_GAP, Sighting, Track, Tracker, interpolate, iou, main_tracks
from dfgame.faces.video import find_faces, follow_faces, is_cut
from dfgame.media import Frame, read_frames, write_video
from dfgame.records import Face, UserError


def face_at(left: float, top: float, width: float = 40, height: float = 40, score: float = 0.9) -> Face:
    points = tuple(
        (left + width * x, top + height * y) for x, y in [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    )
    return Face((left, top, left + width, top + height), points, score)


coordinates = st.floats(-200, 400, allow_nan=False)
sides = st.floats(1, 300, allow_nan=False)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), coordinates, coordinates, sides, sides)
faces = st.builds(lambda box: face_at(box[0], box[1], box[2] - box[0], box[3] - box[1]), boxes)


class TestDetect:
    def test_finds_a_face_where_it_is(self):
        [face] = YuFace()(frame_of((orl_face(1), 50, 40)))
        photograph = (50, 40, 50 + 2 * 92, 40 + 2 * 112)
        assert iou(face.box, photograph) > 0.5
        left_eye, right_eye, nose, *mouth = face.points
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_eye[1] < nose[1] < min(corner[1] for corner in mouth)
        assert 0.6 <= face.score <= 1

    def test_finds_the_same_place_in_a_larger_frame(self):
        """Frames of more than 640 pixels are shrunk for detection; the answer is in the frame's own pixels."""
        small = frame_of((orl_face(1), 50, 40), width=320, height=320)
        large = np.asarray(cv2.resize(small, (1600, 1600), interpolation=cv2.INTER_CUBIC), np.uint8)
        [of_small], [of_large] = YuFace()(small), YuFace()(large)
        left, top, right, bottom = (side / 5 for side in of_large.box)
        assert iou(of_small.box, (left, top, right, bottom)) > 0.8
        tenth_of_the_face = 0.1 * (right - left)
        assert np.allclose(np.array(of_large.points) / 5, of_small.points, atol=tenth_of_the_face)

    def test_sorts_by_score_and_respects_the_least(self):
        image = frame_of((orl_face(1), 10, 10), (orl_face(2, scale=1.2), 260, 40), width=420)
        scores = [face.score for face in YuFace(0.3)(image)]
        assert len(scores) == 2
        assert scores == sorted(scores, reverse=True)
        between = sum(scores) / 2
        assert [face.score for face in YuFace(between)(image)] == scores[:1]

    @pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 5000), (5000, 1), (16, 16)])
    def test_no_face_in_a_picture_of_nothing(self, shape):
        assert YuFace()(np.full((*shape, 3), 128, np.uint8)) == []

    def test_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError, match="yuface") as caught:
            default_detector(0.6)
        assert "3.11" in caught.value.remedy


class TestCrop:
    def test_square_by_hand(self):
        face = Face((10, 20, 50, 100), face_at(0, 0).points, 1.0)
        assert crop_square(face, 1.5) == (30 - 60, 60 - 60, 120)

    @given(faces, st.floats(1, 4))
    def test_square_is_centred_and_holds_the_box(self, face, margin):
        left, top, side = crop_square(face, margin)
        a, b, c, d = face.box
        assert side == pytest.approx(margin * max(c - a, d - b))
        assert (left + side / 2, top + side / 2) == pytest.approx(((a + c) / 2, (b + d) / 2), abs=1e-6)
        assert left <= a + 1e-6 and top <= b + 1e-6 and left + side >= c - 1e-6 and top + side >= d - 1e-6

    @given(faces, st.floats(1, 4), st.integers(16, 64))
    def test_always_the_asked_size_and_only_colours_of_the_frame(self, face, margin, size):
        crop = crop_face(np.full((90, 120, 3), (10, 20, 30), np.uint8), face, margin, size)
        assert crop.shape == (size, size, 3)
        assert (crop == (10, 20, 30)).all()

    def test_pixels_come_from_their_place(self):
        """At the same scale the crop is the frame's own pixels."""
        image = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)
        crop = crop_face(image, Face((40, 30, 60, 50), face_at(0, 0).points, 1.0), 2.0, 40)
        assert np.array_equal(crop, image[20:60, 30:70])

    def test_beyond_the_frame_the_border_is_repeated(self):
        image = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)
        crop = crop_face(image, Face((0, 0, 20, 20), face_at(0, 0).points, 1.0), 2.0, 40)
        assert np.array_equal(crop[10:, 10:], image[:30, :30])
        assert np.array_equal(crop[:10, 10:], np.repeat(image[:1, :30], 10, axis=0))
        assert (crop[:10, :10] == image[0, 0]).all()

    def test_shrinking_averages_areas(self):
        image = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
        crop = crop_face(image, Face((0, 0, 80, 80), face_at(0, 0).points, 1.0), 1.0, 20)
        means = image.reshape(20, 4, 20, 4, 3).mean(axis=(1, 3))
        assert np.abs(crop - means).max() <= 0.5 + 1e-9


class TestAlign:
    @given(st.floats(-180, 180), st.floats(0.2, 5), st.floats(-300, 300), st.floats(-300, 300))
    def test_a_similarity_is_found_again(self, degrees, scale, left, top):
        angle = np.radians(degrees)
        matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        found = similarity(TEMPLATE, TEMPLATE @ matrix.T + [left, top])
        assert np.allclose(found, np.column_stack([matrix, [left, top]]), atol=1e-6)

    @pytest.mark.parametrize("margin", [1.0, 1.5])
    @pytest.mark.parametrize("degrees", [0, 35, -90])
    @pytest.mark.parametrize("scale", [30, 200])
    def test_points_come_to_lie_on_the_template(self, degrees, scale, margin):
        """A white spot at a point of the face, and where it is in the crop."""
        size, angle = 100, np.radians(degrees)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (TEMPLATE - 0.5) @ turn.T + 250
        face = Face((0, 0, 1, 1), tuple((x, y) for x, y in points.tolist()), 1.0)
        for (x, y), wanted in zip(points, ((TEMPLATE - 0.5) / margin + 0.5) * size, strict=True):
            image = np.zeros((500, 500, 3), np.uint8)
            cv2.circle(image, (round(x), round(y)), max(scale // 30, 1), (255, 255, 255), -1)
            light = align_face(image, face, margin, size)[:, :, 0].astype(float)
            rows, columns = np.mgrid[:size, :size]
            centre = (light * columns).sum() / light.sum(), (light * rows).sum() / light.sum()
            assert np.abs(centre - wanted).max() < 0.5 * size / scale + 1

    def test_shrinking_averages(self):
        noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)
        points = tuple((x, y) for x, y in (TEMPLATE * 400).tolist())
        assert align_face(noise, Face((0, 0, 400, 400), points, 1.0), 1.0, 50).std() < noise.std() / 4


def run(
    detections: list[list[Face]], fps: float = 25, cuts: tuple[int, ...] = ()
) -> tuple[list[Track], list[Sighting]]:
    tracker, sightings = Tracker(), []
    for position, found in enumerate(detections):
        sightings += tracker.add(found, position / fps, position in cuts)
    return tracker.tracks(), sightings


class TestTrack:
    def test_overlap_by_hand(self):
        assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
        assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0

    @given(boxes, boxes)
    def test_overlap_is_symmetric_and_at_most_one(self, a, b):
        assert iou(a, b) == pytest.approx(iou(b, a))
        assert 0 <= iou(a, b) <= 1
        assert iou(a, a) == pytest.approx(1)

    def test_two_people_keep_their_tracks(self):
        """Two faces pass along, listed in changing order."""
        a = [face_at(0 + 5 * n, 0) for n in range(6)]
        b = [face_at(200 - 5 * n, 0, 60, 60) for n in range(6)]
        tracks, sightings = run([[a[n], b[n]] if n % 2 else [b[n], a[n]] for n in range(6)])
        assert [(track.frames, track.mean_area) for track in tracks] == [(6, 3600), (6, 1600)]
        assert [s.face for s in sightings if s.track == 1] == a

    def test_a_gap_is_filled_evenly(self):
        detections = [[face_at(0, 0, score=0.9)], [], [], [face_at(9, 6, score=0.8)]]
        tracks, sightings = run(detections)
        assert [(s.position, s.face.box[:2], s.face.score) for s in sightings] == [
            (0, (0, 0), 0.9),
            (1, pytest.approx((3, 2)), 0.8),
            (2, pytest.approx((6, 4)), 0.8),
            (3, (9, 6), 0.8),
        ]
        assert sightings[1].face.points[0] == pytest.approx(face_at(3, 2).points[0])
        assert tracks == [Track(0, 0, 3, 2, 1600)]

    @pytest.mark.parametrize(("missed", "tracks"), [(LONGEST_GAP, 1), (LONGEST_GAP + 1, 2)])
    def test_a_long_gap_ends_a_track(self, missed, tracks):
        found, sightings = run([[face_at(0, 0)], *[[]] * missed, [face_at(0, 0)]])
        assert len(found) == tracks
        assert len(sightings) == (missed + 2 if tracks == 1 else 2)

    def test_over_long_times_nothing_is_made_up(self):
        """Of a frame every two seconds, a missed one stays missed, though the track goes on."""
        tracks, sightings = run([[face_at(0, 0)], [], [face_at(0, 0)]], fps=0.5)
        assert len(tracks) == 1
        assert [s.position for s in sightings] == [0, 2]

    def test_a_cut_begins_a_new_track_in_the_same_place(self):
        detections = [[face_at(0, 0)], [face_at(1, 0)], [], [face_at(1, 0)]]
        tracks, sightings = run(detections, cuts=(2,))
        assert [(t.first, t.last) for t in tracks] == [(0, 1), (3, 3)]
        assert [s.position for s in sightings] == [0, 1, 3]

    @given(st.lists(st.lists(faces, max_size=3), max_size=12), st.sets(st.integers(0, 11)))
    def test_every_face_is_in_one_track_and_no_track_twice_in_a_frame(self, detections, cuts):
        tracks, sightings = run(detections, cuts=tuple(cuts))
        placed = [(s.track, s.position) for s in sightings]
        assert len(placed) == len(set(placed))
        assert sum(track.frames for track in tracks) == sum(map(len, detections))
        for position, found in enumerate(detections):
            here = [s.face for s in sightings if s.position == position]
            assert all(face in here for face in found)
        for track in tracks:
            assert [p for t, p in placed if t == track.number] == list(range(track.first, track.last + 1))

    @given(faces, faces, st.floats(0, 1))
    def test_interpolation_lies_between(self, a, b, share):
        between = interpolate(a, b, share)
        low, high = np.minimum(a.box, b.box), np.maximum(a.box, b.box)
        assert (low - 1e-6 <= between.box).all() and (between.box <= high + 1e-6).all()
        assert interpolate(a, b, 0).box == a.box


class TestMainTracks:
    def test_the_largest_steady_face_wins_over_a_brief_larger_one(self):
        steady, brief, small = Track(0, 0, 99, 100, 3600), Track(1, 50, 52, 3, 10_000), Track(2, 0, 99, 100, 400)
        assert main_tracks([small, brief, steady]) == [steady]

    def test_after_a_cut_a_face_of_similar_size_goes_on_and_a_bystander_does_not(self):
        first, second = Track(0, 0, 59, 60, 3600), Track(2, 70, 99, 30, 2500)
        bystander = Track(1, 60, 69, 10, 800)
        assert main_tracks([first, bystander, second]) == [first, second]

    def test_none_of_none(self):
        assert main_tracks([]) == []

    @given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20), st.floats(1, 9000)), min_size=1, max_size=12))
    def test_never_two_at_a_moment_and_the_heaviest_among_them(self, spans):
        tracks = [Track(i, first, first + n, n + 1, size) for i, (first, n, size) in enumerate(spans)]
        chosen = main_tracks(tracks)
        assert all(a.last < b.first for a, b in pairwise(chosen))
        assert max(track.weight for track in tracks) in [track.weight for track in chosen]

    def test_a_mask_outweighs_size_where_it_shows_anybody(self):
        large, small = Track(0, 0, 9, 10, 3600), Track(1, 0, 9, 10, 900)
        assert main_tracks([large, small], {0: 0.0, 1: 0.6}) == [small]
        assert main_tracks([large, small], {0: 0.01, 1: 0.02}) == [large]
        assert main_tracks([large, small], {}) == [large]

    def test_after_a_cut_only_who_is_altered_goes_on(self):
        first, stranger, second = Track(0, 0, 9, 10, 3600), Track(1, 10, 14, 5, 3600), Track(2, 15, 19, 5, 3600)
        assert main_tracks([first, stranger, second], {0: 0.6, 1: 0.0, 2: 0.5}) == [first, second]


class TestCuts:
    def test_another_picture_is_a_cut_and_a_darker_one_is_not(self):
        image, other = (np.asarray(cv2.resize(orl_face(who)[:, :, 0], (32, 32)), np.uint8) for who in (1, 9))
        shade = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
        assert is_cut(image, shade)
        assert is_cut(image, 255 - other)
        assert not is_cut(image, image // 2 + 10)

    def test_nothing_to_compare_is_no_cut(self):
        black = np.zeros((32, 32), np.uint8)
        assert not is_cut(black, black)


def test_the_crops_of_missed_frames_come_from_those_frames(tmp_path):
    """Frames whose grey level is their number: a crop tells which frame it was cut out of."""
    path, calls = tmp_path / "a.mp4", iter(range(12))
    levels = [np.full((64, 64, 3), 20 * number + 10, np.uint8) for number in range(12)]
    write_video(path, levels, fps=25, crf=0)

    def detect(_image):
        return [] if next(calls) in (3, 4, 7) else [face_at(10, 10)]

    result = find_faces(path, range(12), detect, cutter("none", 1.3, 16), tmp_path)
    [shot] = result.main()
    assert [found.frame for found in shot] == list(range(12))
    assert [found.time for found in shot] == pytest.approx([number / 25 for number in range(12)])
    for found in shot:
        crop = cv2.imread(str(found.file))
        assert crop is not None and crop.shape == (16, 16, 3)
        assert np.abs(crop.astype(int) - (20 * found.frame + 10)).max() <= 2


def test_a_cut_between_two_people_in_one_place(tmp_path):
    path = tmp_path / "cut.mp4"
    negative = [255 - image for image in moving(5, 6)]
    write_video(path, [*moving(1, 6), *negative], fps=25, crf=18)
    result = find_faces(path, range(12), lambda _: [face_at(60, 60, 120, 120)], cutter("none", 1.3, 32), tmp_path)
    assert [(track.first, track.last) for track in result.tracks] == [(0, 5), (6, 11)]
    assert [len(shot) for shot in result.main()] == [6, 6]


def test_another_shape_of_the_picture_is_a_cut():
    grey = np.random.default_rng(0).integers(0, 255, (180, 320, 1), np.uint8).repeat(3, 2)
    taller = np.asarray(cv2.resize(grey, (320, 240)), np.uint8)
    frames = [Frame(number, number / 25, grey if number < 3 else taller) for number in range(6)]
    followed = follow_faces(frames, lambda _: [face_at(60, 60, 80, 80)], lambda *_: None)
    assert [(track.first, track.last) for track in followed.tracks] == [(0, 2), (3, 5)]


@pytest.mark.parametrize(("apart", "most"), [(60.0, 2), (0.04, 8)])
def test_pictures_from_which_no_face_will_be_wanted_are_let_go(apart, most):
    held: list[weakref.ref[Any]] = []
    alive = []

    def frames():
        for number in range(20):
            image = np.full((64, 64, 3), 100 + number, np.uint8)
            held.append(weakref.ref(image))
            yield Frame(number, number * apart, image)
            del image
            alive.append(sum(one() is not None for one in held))

    follow_faces(frames(), lambda _: [face_at(10, 10)], lambda *_: None)
    assert max(alive) <= most


def test_a_mask_of_another_size_is_laid_over_its_frames(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1, 2), fps=25, crf=18)
    mask = np.zeros((*next(read_frames(tmp_path / "a.mp4")).image.shape[:2], 3), np.uint8)
    mask[60:180, 60:180] = 255
    write_video(tmp_path / "whole.mp4", [mask] * 2, fps=25, crf=0)
    write_video(tmp_path / "half.mp4", [np.ascontiguousarray(mask[::2, ::2])] * 2, fps=25, crf=0)
    found = {}
    for name in ("whole", "half"):
        (tmp_path / name).mkdir()
        faces = find_faces(
            *(tmp_path / "a.mp4", range(2), lambda _: [face_at(40, 40, 120, 120)], cutter("none", 1.3, 32)),
            tmp_path / name,
            mask=tmp_path / f"{name}.mp4",
        )
        [shot] = faces.main()
        crop = cv2.imread(str(shot[0].mask))
        assert crop is not None
        found[name] = faces.altered[0], crop.astype(int)
    assert found["half"][0] == pytest.approx(found["whole"][0], abs=0.02) and found["whole"][0] > 0.4
    assert np.abs(found["half"][1] - found["whole"][1]).mean() < 4


class TestDetectingSeldom:
    """Frames are told apart by their grey level; a face moves by one pixel a frame."""

    def video(self, path, frames: int, fps: int = 25):
        write_video(path, [np.full((64, 64, 3), 6 * n + 10, np.uint8) for n in range(frames)], fps=fps, crf=0)
        return path

    def run(self, path, frames: int, every: int, to, cut_at: int | None = None):
        seen = []

        def detect(image):
            number = round((float(image.mean()) - 10) / 6)
            seen.append(number)
            return [face_at(number + (20 if cut_at is not None and number >= cut_at else 0), 10)]

        result = find_faces(path, range(frames), detect, cutter("none", 1.3, 16), to, every)
        return result, seen

    @pytest.mark.parametrize(
        ("frames", "every", "looked"),
        [
            (7, 3, [0, 3, 6]),
            (8, 3, [0, 3, 6, 7]),
            (9, 2, [0, 2, 4, 6, 8]),
            (4, 1, [0, 1, 2, 3]),
            (1, 3, [0]),
            (2, 3, [0, 1]),
        ],
    )
    def test_first_last_and_every_so_many_and_straight_lines_between(self, tmp_path, frames, every, looked):
        result, seen = self.run(self.video(tmp_path / "a.mp4", frames), frames, every, tmp_path)
        assert seen == looked and result.frames == frames
        [shot] = result.main()
        assert [found.frame for found in shot] == list(range(frames))
        assert [found.face.box[0] for found in shot] == pytest.approx(range(frames))

    def test_frames_that_are_far_apart_are_all_looked_at(self, tmp_path):
        _, seen = self.run(self.video(tmp_path / "a.mp4", 5, fps=2), 5, 3, tmp_path)
        assert seen == [0, 1, 2, 3, 4]

    def test_before_and_after_a_cut(self, tmp_path, monkeypatch):
        cuts = iter([False, False, False, False, True, False, False])
        monkeypatch.setattr("dfgame.faces.video.is_cut", lambda *_: next(cuts))
        result, seen = self.run(self.video(tmp_path / "a.mp4", 8), 8, 3, tmp_path, cut_at=5)
        assert seen == [0, 3, 4, 5, 7]
        assert [(track.first, track.last) for track in result.tracks] == [(0, 4), (5, 7)]
        [shot_before, shot_after] = result.main()
        assert [found.face.box[0] for found in shot_before] == pytest.approx(range(5))
        assert [found.face.box[0] for found in shot_after] == pytest.approx([25, 26, 27])

    def test_a_lively_face_is_followed_between_detections(self, tmp_path):
        """A face that swings by more than its width within a second: detected in every frame, and in every eighth."""
        face = orl_face(3, scale=1.5)
        lefts = [round(150 + 110 * np.sin(number / 4)) for number in range(33)]
        path = tmp_path / "a.mp4"
        write_video(path, [frame_of((face, left, 40), width=440) for left in lefts], fps=25, crf=18)
        often, seldom = (
            find_faces(path, range(33), YuFace(), cutter("none", 1.3, 16), tmp_path, every).main() for every in (1, 8)
        )
        assert len(often) == len(seldom) == 1
        pairs = list(zip(often[0], seldom[0], strict=True))
        assert [found.frame for found in seldom[0]] == list(range(33))
        assert min(iou(a.face.box, b.face.box) for a, b in pairs) > 0.7
        assert np.mean([iou(a.face.box, b.face.box) for a, b in pairs]) > 0.9


class TestMotion:
    """A picture that moves by whole pixels, and steps that are known."""

    def pictures(self, places: list[tuple[int, int]]):
        noise = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (200, 260)).astype(np.uint8), (0, 0), 3)
        noise = cv2.equalizeHist(noise)
        return [np.asarray(np.roll(noise, (y, x), axis=(0, 1)), np.uint8) for x, y in places]

    def test_the_way_of_a_face_is_that_of_its_pixels(self):
        places = [(0, 0), (3, 1), (5, 4), (4, 8), (0, 9)]
        way = travel(self.pictures(places), 2.0, face_at(160, 160, 120, 120))
        assert np.abs(np.array(way) / 2 - places).max() < 0.3

    def test_detours_begin_and_end_on_the_straight_line(self):
        way = [np.array([x, 0.0]) for x in (0, 5, 6, 4)]
        by = detours(way, face_at(0, 0))
        assert np.allclose(by, [[5 - 4 / 3, 0], [6 - 8 / 3, 0]])

    def test_what_is_too_far_is_not_believed(self):
        assert np.allclose(detours([np.zeros(2), np.array([50.0, 0]), np.zeros(2)], face_at(0, 0, 40, 40)), [[0, 0]])

    def test_a_face_moves_with_its_points(self):
        assert moved(face_at(3, 4), np.array([7.0, -1.0])) == face_at(10, 3)

    def test_nothing_to_see_is_no_motion(self):
        flat = [np.zeros((60, 60), np.uint8)] * 3
        assert np.abs(travel(flat, 1.0, face_at(10, 10))).max() < 0.01
        assert np.abs(travel(flat, 1.0, face_at(500, 500))).max() < 0.01
