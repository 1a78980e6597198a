"""How much fine structure a crop holds, on real faces."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from conftest import orl_face
from dfgame.faces.crop import crop_face, crop_square
from dfgame.faces.detect import default_detector
from dfgame.faces.quality import detail, face_turn, face_width
from dfgame.media import through_h264
from dfgame.records import Face

PEOPLE = (1, 2, 4, 6, 7, 9, 10, 11)
MARGIN, SIZE = 1.3, 256


def photograph(person):
    """A photograph as it is, every pixel its own, and where its face is; its sides are even."""
    (face, *_) = default_detector(0.6)(orl_face(person, scale=2))
    left, top, right, bottom = (side / 2 for side in face.box)
    return orl_face(person, scale=1)[:112, :92], Face((left, top, right, bottom), (), face.score)


def detail_of(image, face):
    return detail(crop_face(image, face, MARGIN, SIZE), crop_square(face, MARGIN)[2])


def falls(values):
    return all(after < before for before, after in pairwise(values))


@pytest.mark.parametrize("person", PEOPLE)
def test_detail_falls_with_blur(person):
    image, face = photograph(person)
    blurred = [cv2.GaussianBlur(image, (0, 0), sigma) for sigma in (0.4, 0.6, 0.8, 1.0)]
    assert falls([detail_of(one, face) for one in (image, *blurred)])
    # Where nothing is left, more blur does not bring anything back.
    assert detail_of(cv2.GaussianBlur(image, (0, 0), 8), face) <= detail_of(blurred[-1], face)


@pytest.mark.parametrize("person", PEOPLE)
def test_detail_falls_with_compression(person):
    image, face = photograph(person)
    assert falls([detail_of(through_h264([image] * 3, crf)[1], face) for crf in (10, 35, 43)])


@pytest.mark.parametrize("person", PEOPLE)
def test_detail_falls_with_pixels_that_were_lost_before(person):
    """The same face, out of fewer pixels each time, enlarged to where it was."""
    image, face = photograph(person)
    details = [detail_of(image, face)]
    for share in (0.8, 0.5, 0.3):
        small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        details.append(detail_of(cv2.resize(small, (92, 112), interpolation=cv2.INTER_CUBIC), face))
    assert falls(details)


def test_light_does_not_count_but_noise_does():
    image, face = photograph(1)
    darker = (image // 2 + 20).astype(np.uint8)
    assert detail_of(darker, face) == pytest.approx(detail_of(image, face), abs=0.1)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    assert detail_of(noisy, face) > detail_of(image, face) + 0.1


def test_crops_without_anything_in_them():
    for side, native in ((256, 300.0), (256, 20.0), (64, 1.0), (32, 0.0)):
        assert detail(np.full((side, side, 3), 90, np.uint8), native) <= -2


def test_the_width_is_that_of_the_box():
    assert face_width(Face((10.0, 0.0, 52.5, 90.0), (), 1.0)) == 42.5


@pytest.mark.parametrize("tilt", [0, 30, -100])
@pytest.mark.parametrize(
    ("nose", "turn"), [((2.0, 1.5), 0.0), ((2.6, 1.5), 0.3), ((1.4, -1.0), 0.3), ((5.0, 2.0), 1.5)]
)
def test_a_turn_is_how_far_the_nose_is_off_the_middle_whichever_way_up(tilt, nose, turn):
    cosine, sine = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    points = np.array([(1.0, 1.0), (3.0, 1.0), nose, (1.2, 3.0), (2.8, 3.0)]) @ [[cosine, sine], [-sine, cosine]]
    assert face_turn(points) == pytest.approx(turn)


def test_a_turn_without_points_or_with_one_eye_upon_the_other():
    assert face_turn(()) == 0
    for second_eye in [(1.0, 1.0), (1.0, 1.1)]:
        assert face_turn([(1.0, 1.0), second_eye, (3.0, 1.0), (1.0, 2.0), (1.0, 2.0)]) == 10
