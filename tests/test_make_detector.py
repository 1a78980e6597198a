"""`make detector` from its first line to its last, on a few people and with a recipe of seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import orl_face
from dfgame.boxed import load_detector
from dfgame.faces.video import write_png
from dfgame.manifest import read_manifest

ROOT = Path(__file__).parent.parent
RECIPE = """
protocol = "recipes/photographs.toml"
game = "none"
epochs = 1
epoch_pairs = 8
batch_size = 8
image_size = 64
val_images = 0
workers = 0

[live]
families = ["selfblend", "mouth"]

[detector]
backbone = "test_efficientnet"
pretrained = false
"""


@pytest.mark.slow
def test_photographs_become_a_detector(tmp_path):
    for folder, people in (("learned", range(1, 5)), ("validated", range(5, 17))):
        (tmp_path / folder).mkdir()
        for person in people:
            write_png(tmp_path / folder / f"{person:02}.png", orl_face(person, scale=4))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    made = _make(tmp_path, "learned", "validated")
    assert made.returncode == 0, made.stderr
    crops = read_manifest(tmp_path / "out" / "crops" / "manifest.parquet")
    assert {*crops["dataset"].to_pylist()} == {"photographs", "mini FaceForensics++"}
    assert (tmp_path / "out" / "evaluation" / "report.html").is_file()
    box = load_detector(tmp_path / "out" / "detector.safetensors", "cpu")
    assert len(box.ensemble.members) == 2
    again = _make(tmp_path, "learned", "validated")
    assert again.returncode == 0, again.stderr


def test_people_to_learn_from_are_not_validated_on(tmp_path):
    for folder in ("learned", "validated"):
        (tmp_path / folder).mkdir()
        write_png(tmp_path / folder / f"of-{folder}.png", orl_face(1))
    made = _make(tmp_path, "learned", "validated")
    assert made.returncode == 2 and "have files in common" in made.stderr
    assert not (tmp_path / "out").exists()


def _make(folder: Path, learned: str, validated: str) -> subprocess.CompletedProcess[str]:
    given = {
        "PHOTOGRAPHS": folder / learned,
        "VALIDATION": folder / validated,
        "OUT": folder / "out",
        "RECIPE": folder / "recipe.toml",
        "SEEDS": "0 1",
        "BIN": Path(sys.executable).parent,
    }
    words = ["make", "-C", str(ROOT), "-o", ".venv/installed", "detector", *(f"{k}={v}" for k, v in given.items())]
    return subprocess.run(words, capture_output=True, text=True)
