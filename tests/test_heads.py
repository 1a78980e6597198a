"""Heads that are turned by drawing: where their points come to lie, against the formula of a turn."""

import cv2
import numpy as np
import pytest

from dfgame.forgery import heads
from dfgame.forgery.align import TEMPLATE

FACE = TEMPLATE * 100 + 50
CLOSE = 2 / heads.SIDE


def drawn_at(yaw, pitch, x, y):
    """What of the face, as distances from the head's centre, is drawn at such distances."""
    column, row = round((x + 1) * heads.SIDE - 0.5), round((y + 1) * heads.SIDE - 0.5)
    right, below = heads.moved(yaw, pitch)[row, column]
    return heads.ACROSS[column] + right, heads.DOWN[row] + below


def ahead_of(x, y):
    return heads.surface(np.array([x]), np.array([y + heads.CENTRE[1]]))[0]


@pytest.mark.parametrize(("x", "y"), [(0.0, -0.22), (0.0, 0.06), (0.0, 0.33), (-0.1, 0.18), (-0.2, -0.17)])
@pytest.mark.parametrize("degrees", [0, 20, 40, 60])
def test_points_of_a_face_go_where_a_turn_to_a_side_brings_them(degrees, x, y):
    turned = x * np.cos(np.radians(degrees)) + ahead_of(x, y) * np.sin(np.radians(degrees))
    edge = 1.5 * CLOSE * (x == 0 and degrees > 0)
    assert drawn_at(degrees, 0, turned - edge, y) == pytest.approx((x, y), abs=0.03)
    assert drawn_at(-degrees, 0, edge - turned, y) == pytest.approx((-x, y), abs=0.03)


@pytest.mark.parametrize(("x", "y"), [(0.0, -0.22), (0.0, 0.04), (-0.1, 0.18), (0.15, -0.1), (0.25, 0.1)])
@pytest.mark.parametrize("degrees", [-20, -8, 8, 20])
def test_points_of_a_face_go_where_a_bow_brings_them(degrees, x, y):
    bowed = y * np.cos(np.radians(degrees)) + ahead_of(x, y) * np.sin(np.radians(degrees))
    assert drawn_at(0, degrees, x, bowed) == pytest.approx((x, y), abs=0.03)


def test_a_head_that_is_turned_and_bowed_is_the_bowed_head_turned():
    """As two pictures, one after the other; they differ by what is lost between."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    picture = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.uint8)
    bowed = heads.turned_head(picture, FACE, 0, 12)
    one_by_one, at_once = heads.turned_head(bowed, FACE, 25), heads.turned_head(picture, FACE, 25, 12)
    differences = np.abs(one_by_one.astype(float) - at_once).mean(2)
    assert np.median(differences) < 1 and differences.mean() < 0.1 * np.abs(at_once - picture.astype(float)).mean()


def test_what_a_turn_hides_is_not_drawn_and_nothing_else_is_torn():
    row = [drawn_at(60, 0, u, 0.06)[0] for u in np.arange(-0.95, 0.95, 1 / heads.SIDE)]
    steps = np.diff(row)
    assert (steps > -CLOSE).all() and (steps > 10 * CLOSE).sum() == 1
    before = row[int(steps.argmax())]
    assert -0.02 < before < 0.06 and row[int(steps.argmax()) + 2] > heads.HALF_WIDTH - CLOSE


@pytest.mark.parametrize("angles", [(60, 0), (0, 20), (0, -20), (30, -15)])
def test_what_is_far_from_the_head_stays_as_it_is(angles):
    picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    turned = heads.turned_head(picture, FACE, *angles)
    np.testing.assert_array_equal(turned[:, 210:], picture[:, 210:])
    np.testing.assert_array_equal(turned[210:], picture[210:])
    assert (turned[80:120, 80:120] != picture[80:120, 80:120]).mean() > 0.9
    np.testing.assert_array_equal(heads.turned_head(picture, FACE, 0)[60:140, 60:140], picture[60:140, 60:140])


@pytest.mark.parametrize("pitch", [-25, -15, 15, 25])
def test_nothing_is_drawn_twice_in_a_column_of_a_bowed_head(pitch):
    drawn = heads.DOWN[:, None] + heads.moved(0, pitch)[:, :, 1]
    assert (np.diff(drawn, axis=0) > 0).all()


def test_what_a_bow_hides_of_chin_or_crown_is_not_drawn_beyond_them():
    for pitch, way in ((25, 1), (-25, -1)):
        column = way * (heads.DOWN + heads.moved(0, pitch)[:, heads.SIDE, 1])[::way]
        beyond = int((column > heads.HALF_HEIGHT - CLOSE / 2).argmax())
        assert column[beyond - 1] < heads.HALF_HEIGHT - 2 * CLOSE
