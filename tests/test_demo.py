"""The demo: the whole road, and the commands it says it could be run by."""

import json

import pytest

from dfgame.config import DemoConfig
from dfgame.demo import extract_settings, forge_settings, packaged_faces, run_demo, train_settings
from dfgame.forgery.photographs import find_photographs
from dfgame.records import UserError

RECORD_KEYS = {
    "game",
    "train_method",
    "train_compression",
    "test_method",
    "test_compression",
    "level",
    "auc",
    "auc_low",
    "auc_high",
    "ap",
    "eer",
    "accuracy",
    "n_real",
    "n_fake",
    "seed",
}


def test_the_packaged_faces_are_at_least_ten_photographs_of_forty_people():
    people = find_photographs(packaged_faces())
    assert len(people) == 40 and all(len(photographs) >= 10 for photographs in people.values())


def test_players_differ_in_nothing_but_the_game():
    plain, game = (train_settings(DemoConfig(), player) for player in ("none", "generator"))
    differing = {name for name in vars(plain) if getattr(plain, name) != getattr(game, name)}
    assert differing == {"game"}
    assert plain.rounds == DemoConfig().rounds


def test_one_seed_serves_every_stage():
    config = DemoConfig(seed=7)
    assert forge_settings(config).seed == train_settings(config, "none").seed == 7
    assert extract_settings(config).compressions == ("c23", "c40")


def test_a_folder_without_faces_is_refused(tmp_path):
    (tmp_path / "faces").mkdir()
    with pytest.raises(UserError, match="no pictures there"):
        run_demo(DemoConfig(faces=tmp_path / "faces", out=tmp_path / "demo"))


@pytest.mark.slow
def test_the_whole_road_and_a_second_call_that_finds_it_done(tmp_path):
    config = DemoConfig(out=tmp_path / "demo", people=12, rounds=8, image_size=64, games=("none", "generator"))
    _, seconds = run_demo(config)
    assert list(seconds) == ["forge", "extract", "train none", "train generator", "evaluate"]
    records = json.loads((config.out / "results.json").read_text())
    assert {(r["game"], r["test_method"], r["test_compression"], r["level"]) for r in records} == {
        (game, method, compression, level)
        for game in config.games
        for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
        for compression in ("c23", "c40")
        for level in ("frame", "video")
    }
    assert all(set(record) == RECORD_KEYS for record in records)
    page = (config.out / "report.html").read_text()
    assert "<script" not in page and "data:image/png" in page
    results = (config.out / "results.json").read_bytes()
    _, again = run_demo(config)
    assert (config.out / "results.json").read_bytes() == results
    assert sum(again.values()) < sum(seconds.values()) / 2
