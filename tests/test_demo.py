"""The demo: the whole road, and the commands it says it could be run by."""

import json
from dataclasses import replace

import pytest

from dfgame.config import AdversaryConfig, DemoConfig, SettingError
from dfgame.datasets.photographs import find_photographs
from dfgame.demo import extract_settings, forge_settings, packaged_faces, run_demo, train_settings
from dfgame.forgery.build import build_tree
from dfgame.records import Failure, UserError

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


def test_players_differ_in_nothing_but_the_game_its_published_constraint_and_the_generators_size():
    plain, *others = (train_settings(DemoConfig(), game) for game in DemoConfig().games)
    for other in others:
        differing = {name for name in vars(plain) if getattr(plain, name) != getattr(other, name)}
        assert differing == {"game", "blur"} | ({"adversary"} if other.game == "generator" else set())
        assert other.blur == replace(plain.blur, constraint="norm" if other.game == "gradient" else "clamp")
    assert plain.adversary == AdversaryConfig()
    assert plain.rounds == DemoConfig().rounds


def test_one_seed_serves_every_stage():
    config = DemoConfig(seed=7)
    assert forge_settings(config).seed == train_settings(config, "none").seed == 7
    assert extract_settings(config).compressions == ("c23", "c40")


def test_a_folder_without_faces_is_refused(tmp_path):
    (tmp_path / "faces").mkdir()
    with pytest.raises(UserError, match="no pictures there"):
        run_demo(DemoConfig(faces=tmp_path / "faces", out=tmp_path / "demo"))


@pytest.fixture
def forging(monkeypatch):
    """Each call's tree; forging it leaves a file and is interrupted."""
    trees = []

    def build_tree(faces, tree, settings):
        trees.append(tree)
        tree.mkdir(exist_ok=True)
        (tree / "people.json").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("dfgame.demo.build_tree", build_tree)
    return trees


def test_settings_that_no_stage_can_use_are_found_before_the_first(tmp_path, forging):
    with pytest.raises(SettingError, match="batch-size"):
        run_demo(DemoConfig(out=tmp_path / "demo", batch_size=3))
    assert not forging and not list(tmp_path.iterdir())


def test_a_folder_that_is_no_demos_is_left_alone(tmp_path, forging):
    (tmp_path / "results.json").write_text("mine")
    with pytest.raises(UserError, match="not made by `dfgame demo`") as error:
        run_demo(DemoConfig(out=tmp_path))
    assert "--out" in error.value.remedy
    assert not forging and [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_demo_goes_on_with_its_own_settings_only(tmp_path, forging):
    config = DemoConfig(out=tmp_path / "demo", games=("none", "gradient"))
    with pytest.raises(KeyboardInterrupt):
        run_demo(config)
    with pytest.raises(UserError) as error:
        run_demo(replace(config, rounds=8, games=("none",)))
    changed = "--games was none gradient and is now none, --rounds was 120 and is now 8"
    assert error.value.problem == f"{config.out}: a demo with other settings: {changed}"
    assert len(forging) == 1
    with pytest.raises(KeyboardInterrupt):
        run_demo(replace(config, workers=3))
    assert len(forging) == 2


def test_a_demo_that_never_began_binds_nobody(tmp_path, forging, monkeypatch):
    with monkeypatch.context() as real, pytest.raises(UserError):
        real.setattr("dfgame.demo.build_tree", build_tree)
        run_demo(DemoConfig(faces=tmp_path / "nowhere", out=tmp_path / "demo"))
    with pytest.raises(KeyboardInterrupt):
        run_demo(DemoConfig(out=tmp_path / "demo"))


def test_a_stage_shows_its_command_as_it_is(tmp_path, forging, capsys):
    out = tmp_path / "a[/b]"
    with pytest.raises(KeyboardInterrupt):
        run_demo(DemoConfig(out=out))
    said = capsys.readouterr().err
    assert said.startswith("\nforge  $ dfgame forge ")
    assert f"{out / 'faceforensics_mini'}" in said


def test_a_photograph_that_cannot_be_used_is_named(tmp_path, monkeypatch, capsys):
    def build_tree(faces, tree, settings):
        return [Failure("anna/2.jpg", "no face")]

    def extract_faces(tree, crops, settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("dfgame.demo.build_tree", build_tree)
    monkeypatch.setattr("dfgame.demo.extract_faces", extract_faces)
    with pytest.raises(KeyboardInterrupt):
        run_demo(DemoConfig(out=tmp_path / "demo"))
    said = capsys.readouterr().err
    listed = tmp_path / "demo/faceforensics_mini/failures.json"
    assert f"failed: anna/2.jpg: no face\n1 failed; all are in {listed}" in said


@pytest.mark.slow
def test_the_whole_road_and_a_second_call_that_finds_it_done(tmp_path):
    config = DemoConfig(out=tmp_path / "demo", people=12, rounds=8, image_size=64, games=("none", "generator"))
    seconds = run_demo(config).seconds
    assert list(seconds) == ["forge", "extract", "train none", "train generator", "evaluate"]
    records = json.loads((config.out / "results.json").read_text())["results"]
    assert {(r["game"], r["test_method"], r["test_compression"], r["level"]) for r in records} == {
        (game, method, compression, level)
        for game in config.games
        for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
        for compression in ("c23", "c40")
        for level in ("frame", "video")
    }
    assert all(set(record) >= RECORD_KEYS for record in records)
    page = (config.out / "report.html").read_text()
    assert "<script" not in page and "data:image/png" in page
    results = (config.out / "results.json").read_bytes()
    again = run_demo(config).seconds
    assert (config.out / "results.json").read_bytes() == results
    assert sum(again.values()) < sum(seconds.values()) / 2
