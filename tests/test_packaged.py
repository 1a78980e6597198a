"""The detector that travels in the package: it is there, it is small, and it tells blended faces from real ones."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

import dfgame
from conftest import orl_face
from dfgame.batches import fitted, to_unit
from dfgame.faces.crop import crop_face, points_in_crop
from dfgame.faces.detect import default_detector
from dfgame.forgery.live.rerender import SIZE
from dfgame.forgery.live.still import HULL, Still, blended, recoloured, resampled, soft_mask
from dfgame.inspection.conditions import USEFUL_AUC

LARGEST = 25_000_000


@pytest.fixture(scope="module")
def detector():
    return dfgame.load_detector()


def test_it_is_small_and_says_what_it_is(detector):
    file = resources.files("dfgame") / "weights" / "detector.safetensors"
    with resources.as_file(file) as path:
        assert path.stat().st_size < LARGEST
    facts = detector.facts
    assert len(detector.ensemble.members) == 3 and sorted(run["seed"] for run in facts.made["runs"]) == [0, 1, 2]
    assert 0 < facts.thresholds.real < facts.thresholds.fake < 1
    assert (
        facts.made["compressed_real"]["fake"] <= 0.06
    )  # of people held out; 5% was asked for of those it was found on
    assert facts.made["calibrated_on"]["split"] == "val"


def test_its_card_has_the_limits_and_rates_of_the_box(detector):
    card = (Path(__file__).parent.parent / "docs" / "detector.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines()]
    rows = {row[0]: row[1:] for row in rows if len(row) == 7 and row[1][:1].isdigit()}
    conditions = detector.facts.conditions
    assert {one.rates.faces for one in conditions} == set(rows)
    for one in conditions:
        videos, _, fake_from, real_up_to, real_called_fake, fake_called_real = rows[one.rates.faces]
        assert videos == f"{one.rates.real} + {one.rates.fake}"
        limits = f"{one.limits.fake:.2f}", f"{one.limits.real:.3f}"
        assert (fake_from, real_up_to) == (limits if one.auc[0] >= USEFUL_AUC else ("nothing is concluded", ""))
        assert real_called_fake == f"{one.rates.real_called_fake:.0%}"
        assert fake_called_real == f"{one.rates.fake_called_real:.0%}"


def test_it_tells_coarse_faces_pasted_in_from_real_ones(detector):
    rng = np.random.default_rng(0)
    rule = detector.facts.crop
    real, fake = [], []
    for person in range(1, 21):
        photograph = orl_face(person, scale=3)
        (face, *_) = default_detector(rule.min_score)(photograph)
        crop = crop_face(photograph, face, rule.margin, rule.size)
        still = Still(crop, points_in_crop(face, rule.margin, rule.size, rule.alignment))
        image = crop.astype(np.float32)
        coarse = recoloured(resampled(image, rule.size / SIZE * 1.5, rng), rng)
        real.append(crop)
        fake.append(blended(image, coarse, soft_mask(still, HULL, rng)))
    scores = [
        np.array(
            [float(detector.probabilities(to_unit(fitted(crop, detector.facts.image_size)[None]))[0]) for crop in of]
        )
        for of in (real, fake)
    ]
    assert (scores[1] > scores[0]).mean() >= 0.8


def test_inspect_uses_it_where_no_other_is_named(tmp_path: Path):
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), orl_face(3, scale=3)[:, :, ::-1])
    command = [sys.executable, "-m", "dfgame", "inspect", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (said,) = json.loads(done.stdout)
    assert said["model"]["name"] == "photographs-lite0" and 0 <= said["p_fake"] <= 1
