"""Heads that are turned to a side by drawing: where their points come to lie, against the formula of a turn."""

import numpy as np
import pytest

from dfgame.forgery import heads
from dfgame.forgery.align import TEMPLATE

FACE = TEMPLATE * 100 + 50
CLOSE = 2 / heads.SIDE


def drawn_at(degrees, u, y):
    """What of the face, as a distance from the upright axis, is drawn at such a distance."""
    row, column = round((y + 0.25) * heads.SIDE - 0.5), round((u + 1) * heads.SIDE - 0.5)
    return (column + 0.5) / heads.SIDE - 1 + heads.moved(degrees)[row, column]


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.25), (0.0, 0.53), (0.0, 0.80), (-0.1, 0.65), (-0.2, 0.3)])
@pytest.mark.parametrize("degrees", [0.0, 20.0, 40.0, 60.0])
def test_points_of_a_face_go_where_a_turn_brings_them(degrees, x, y):
    ahead = heads.surface(np.array([x]), np.array([y]))[0]
    turned = x * np.cos(np.radians(degrees)) + ahead * np.sin(np.radians(degrees))
    edge = 1.5 * CLOSE * (x == 0 and degrees > 0)
    assert drawn_at(degrees, turned - edge, y) == pytest.approx(x, abs=0.03)
    assert drawn_at(-degrees, edge - turned, y) == pytest.approx(-x, abs=0.03)


def test_what_a_turn_hides_is_not_drawn_and_nothing_else_is_torn():
    row = [drawn_at(60.0, u, 0.53) for u in np.arange(-0.95, 0.95, 1 / heads.SIDE)]
    steps = np.diff(row)
    assert (steps > -CLOSE).all() and (steps > 10 * CLOSE).sum() == 1
    before = row[int(steps.argmax())]
    assert -0.02 < before < 0.06 and row[int(steps.argmax()) + 2] > heads.HALF_WIDTH - CLOSE


def test_what_is_far_from_the_head_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    turned = heads.turned_head(picture, FACE, 60.0)
    np.testing.assert_array_equal(turned[:20], picture[:20])
    np.testing.assert_array_equal(turned[:, 210:], picture[:, 210:])
    assert (turned[80:120, 80:120] != picture[80:120, 80:120]).mean() > 0.9
    np.testing.assert_array_equal(heads.turned_head(picture, FACE, 0.0)[60:140, 60:140], picture[60:140, 60:140])
