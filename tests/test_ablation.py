"""The ablation of the packaged detector's recipe: what each change is, and the whole of it, tiny."""

import json
from dataclasses import replace
from pathlib import Path

import ablation
import numpy as np
import pytest

from dfgame.checkpoint import RERENDERER_FILE
from dfgame.config import DetectorConfig, TrainConfig
from dfgame.protocol import read_protocol

PROTOCOL = """
title = "tiny"
source = "a test"
[train]
[val]
[[test]]
name = "all"
"""


def test_each_change_is_one_and_leaves_the_rest_of_the_recipe():
    recipe = ablation._recipe(300, 112)
    changed = {name: change(recipe) for name, change in ablation.CHANGES.items()}
    assert changed.pop(ablation.WHOLE) == recipe and recipe.rounds == 300
    assert len({repr(config) for config in changed.values()}) == len(changed)
    for name, config in changed.items():
        fields = set(TrainConfig.__dataclass_fields__)
        other = {item for item in fields if getattr(config, item) != getattr(recipe, item)}
        follow_the_game = {"adversary", "blur"} if "game" in other else set()
        assert len(other - follow_the_game) == 1, name
    assert "mouth" not in changed["without mouth"].live.families and "mouth" in recipe.live.families
    assert read_protocol(recipe.protocol).val.split == "val"


def test_wrong_use_ends_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        ablation.main(["out", "m.parquet", "--rounds", "1"])
    assert ended.value.code == 2 and not list(tmp_path.iterdir())


def test_a_run_gets_the_network_of_its_seed_and_keeps_its_own(tmp_path: Path):
    made, run, own = (tmp_path / name for name in ("made", "run", "own"))
    ablation._share(made, run)
    assert not run.exists()
    for folder, content in ((made, b"made"), (own, b"own")):
        (folder / RERENDERER_FILE).parent.mkdir(parents=True)
        (folder / RERENDERER_FILE).write_bytes(content)
    for folder in (made, run, own):
        ablation._share(made, folder)
    assert [(folder / RERENDERER_FILE).read_bytes() for folder in (made, run, own)] == [b"made", b"made", b"own"]


@pytest.mark.slow
def test_the_whole_ablation(manifest: Path, tmp_path: Path):
    protocol = tmp_path / "tiny.toml"
    protocol.write_text(PROTOCOL)

    def tiny(config: TrainConfig) -> TrainConfig:
        detector = DetectorConfig(backbone="test_efficientnet", pretrained=False)
        live = replace(config.live, families=("selfblend", "recompress"))
        return replace(config, protocol=str(protocol), detector=detector, live=live, val_images=4)

    out = tmp_path / "out"
    words = [str(out), str(manifest), "--rounds", "2", "--image-size", "32", "--seeds", "2"]
    words += ["--changes", "without selfblend", "random-blur"]
    assert ablation.main(words, tiny) == 0
    found = json.loads((out / "ablation.json").read_text())
    of_change = found["subjects"]["unseen at c40"]
    assert list(of_change) == ["recipe", "without selfblend", "random-blur"]
    plain, blur = of_change["recipe"]["by_seed"], of_change["random-blur"]["by_seed"]
    assert of_change["random-blur"]["ahead_by_seed"] == pytest.approx(np.subtract(blur, plain))
    cells = [found["subjects"][f"{method} at c40"]["recipe"]["auc"] for method in ("Deepfakes", "FaceSwap")]
    assert of_change["recipe"]["auc"] == pytest.approx(np.mean(cells))
    page = (out / "ablation.md").read_text()
    assert "| without selfblend | " in page and "Ahead of the recipe:" in page and "| Deepfakes at c40 |" in page
