"""Calibration: the map against hand-worked cases and scikit-learn, folds, thresholds, and the whole command."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression

from dfgame.boxed import Calibration, Thresholds, load_detector, logit
from dfgame.calibrate import calibrate_runs
from dfgame.calibrate.maps import (
    Choice,
    ScoredVideos,
    choose,
    choose_by_fold,
    fit,
    folds,
    held_out,
    person_groups,
    stricter,
)
from dfgame.calibrate.views import View
from dfgame.card import cautions
from dfgame.checkpoint import load_detector as load_run
from dfgame.cli import main
from dfgame.config import (
    AugmentConfig,
    CalibrateConfig,
    DetectorConfig,
    EvaluateConfig,
    ExtractConfig,
    OptimizerConfig,
    TrainConfig,
    to_dict,
)
from dfgame.evaluate import evaluate_runs
from dfgame.faces.detect import detector_facts
from dfgame.manifest import read_manifest, write_manifest
from dfgame.models import probabilities
from dfgame.players import identify
from dfgame.records import UserError
from dfgame.report.card import card_facts
from dfgame.rows import asked_rows
from dfgame.score import run_info
from dfgame.train import train_run

FROM_ONE_HALF = Choice(Calibration(slope=1.0, intercept=0.0), Thresholds(fake=0.5, real=0.5))


def scored(labels, raw, compressed: bool | list[bool] = True, groups=None):
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    blank = np.zeros(len(labels))
    each = np.broadcast_to(compressed, labels.shape)
    return ScoredVideos(labels, groups, groups, each, np.asarray(raw, float), blank, blank)


def test_the_map_of_two_videos_by_hand():
    # Platt's targets of one video a class are 1/3 and 2/3; the scores' logits are -ln 3 and ln 3. So the slope times
    # ln 3 is the logit of 2/3, which is ln 2.
    found = fit([0, 1], [0.25, 0.75])
    assert (found.slope, found.intercept) == pytest.approx((np.log(2) / np.log(3), 0), abs=1e-4)
    assert found([0.25, 0.75]) == pytest.approx([1 / 3, 2 / 3], abs=1e-4)


def test_the_map_agrees_with_scikit_learn_where_there_are_many_videos():
    rng = np.random.default_rng(0)
    labels = (rng.random(6000) < 0.8).astype(int)
    raw = 1 / (1 + np.exp(-rng.normal(3 * labels - 1, 2)))
    theirs = LogisticRegression(C=np.inf, class_weight="balanced").fit(logit(raw)[:, None], labels)
    found = fit(labels, raw)
    assert found.slope == pytest.approx(theirs.coef_[0, 0], rel=0.01)
    assert found.intercept == pytest.approx(theirs.intercept_[0], abs=0.01)
    p_fake = found(raw)
    assert p_fake[labels == 1].mean() + p_fake[labels == 0].mean() == pytest.approx(1, abs=1e-3)


def test_scores_that_separate_the_classes_give_a_finite_map():
    found = fit([0] * 5 + [1] * 5, [0.0] * 5 + [1.0] * 5)
    assert np.isfinite([found.slope, found.intercept]).all() and found.slope > 0
    assert found([0.0, 1.0]) == pytest.approx([1 / 7, 6 / 7], abs=1e-3)


def test_nobody_is_in_two_groups():
    targets, sources = ["a", "b", "c", "d", "d"], ["b", None, "d", None, None]
    labels = np.array([1, 0, 1, 0, 0])
    groups = person_groups(labels, targets, sources)
    assert groups[0] == groups[1] and groups[2] == groups[3] == groups[4] and groups[0] != groups[2]
    # A chain links everybody: then the targets alone are kept apart.
    assert len(set(person_groups(labels[:3], ["a", "b", "c"], ["b", "c", None]).tolist())) == 3
    # So it does where somebody beside it is in no fake: no fold without the chain would have one.
    assert len(set(person_groups(labels[:4], ["a", "b", "c", "e"], ["b", "c", "a", None]).tolist())) == 4


def test_no_person_is_in_two_folds_and_everyone_is_held_out_once():
    rng = np.random.default_rng(0)
    people = rng.integers(0, 12, 90)
    found = folds(rng.integers(0, 2, 90), people)
    assert sorted(set(found.tolist())) == [0, 1, 2, 3, 4]
    assert all(len(set(found[people == person].tolist())) == 1 for person in range(12))


def test_a_held_out_score_comes_from_other_people():
    videos = scored([0, 1, 0, 1], [0.2, 0.6, 0.4, 0.9], groups=[0, 0, 1, 1])
    expected = [*fit([0, 1], [0.4, 0.9])([0.2, 0.6]), *fit([0, 1], [0.2, 0.6])([0.4, 0.9])]
    assert held_out(videos, choose_by_fold(videos))[0] == pytest.approx(expected)


def test_a_held_out_verdict_comes_from_other_people():
    """By the thresholds of all no real video is called fake; by those of others, all eight of the first person are."""
    people, real = np.tile(np.repeat(np.arange(5), 8), 2), np.repeat([1, 0], 40) == 1
    videos = scored((~real).astype(int), np.where(real, np.where(people == 0, 0.95, 0.1), 0.97), groups=people)
    chosen = choose(videos)
    assert not (chosen.calibration(videos.raw[real]) >= chosen.thresholds.fake).any()
    _, verdicts = held_out(videos, choose_by_fold(videos))
    assert (verdicts[real] == "fake").tolist() == (people[real] == 0).tolist()


def test_one_person_is_too_few():
    with pytest.raises(UserError, match="of one person"):
        folds(np.array([0, 1]), np.array([7, 7]))
    with pytest.raises(UserError, match="too few people"):
        folds(np.array([0, 1]), np.array([0, 1]))


def test_thresholds_by_hand():
    # Of 20 real videos one may be called fake: the second highest, 0.8, must stay below. Of 20 fakes one may be called
    # real: the second lowest, 0.4, must stay above.
    real, fake = [0.1] * 18 + [0.8, 0.9], [0.3, 0.4] + [0.95] * 18
    found = stricter(FROM_ONE_HALF, scored([0] * 20 + [1] * 20, real + fake))
    assert (found.fake, found.real) == pytest.approx((0.8, 0.4))
    assert (np.array(real) >= found.fake).mean() == 0.05
    assert (np.array(fake) <= found.real).mean() == 0.05
    # With the raw videos, which are told apart, two of 40 might be called what they are not, and one half would do.
    labels, raw = np.tile(np.repeat([0, 1], 20), 2), [*real, *fake, *[0.02] * 20, *[0.98] * 20]
    chosen = choose(scored(labels, raw, [True] * 40 + [False] * 40))
    assert (chosen.thresholds.fake, chosen.thresholds.real) == pytest.approx(tuple(chosen.calibration([0.8, 0.4])))
    with pytest.raises(UserError, match="too few people have compressed videos"):
        choose(scored([0, 1], [0.1, 0.9], compressed=False))


def test_no_threshold_passes_one_half():
    assert choose(scored([0] * 5 + [1] * 5, [0.1] * 5 + [0.9] * 5)).thresholds == FROM_ONE_HALF.thresholds


SMALL = TrainConfig(
    game="none",
    epochs=4,
    epoch_pairs=128,
    batch_size=16,
    image_size=64,
    workers=0,
    detector=DetectorConfig(backbone="test_efficientnet", pretrained=False),
    augment=AugmentConfig(before="none"),
    optimizer=OptimizerConfig(lr=3e-3),
)


@pytest.fixture(scope="module")
def known_crops(crops, tmp_path_factory):
    """The manifest of a small set of crops that says how they were cut out."""
    folder = tmp_path_factory.mktemp("known") / "crops"
    shutil.copytree(crops.parent, folder)
    made_by = {"settings": to_dict(ExtractConfig(size=64, margin=1.4)), "detector": detector_facts()}
    table = read_manifest(crops)
    write_manifest(folder / crops.name, table.replace_schema_metadata(None), made_by)
    return folder / crops.name


@pytest.fixture(scope="module")
def runs(known_crops, tmp_path_factory):
    """Two seeds, and a run with a smaller input."""
    place = tmp_path_factory.mktemp("runs")
    train_run(known_crops, place / "0", SMALL)
    train_run(known_crops, place / "1", replace(SMALL, seed=1))
    small = replace(SMALL, seed=2, image_size=32, epochs=1, detector=replace(SMALL.detector, stride=1))
    train_run(known_crops, place / "small", small)
    return place


def call(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code, capsys.readouterr()


def test_the_command_from_end_to_end(known_crops, runs, tmp_path, capsys):
    out = tmp_path / "new" / "pair.safetensors"
    words = ("calibrate", known_crops, out, runs / "0", runs / "1", "--version", "2", "--device", "cpu")
    code, shown = call(capsys, *words)
    assert code == 0, shown.err
    assert "6 real and 24 fake videos of 3 people" in shown.out and "calibration error" in shown.out
    assert out.with_suffix(".svg").read_text().count("<svg") == 1
    found = load_detector(out, "cpu")
    facts = found.facts
    assert (facts.name, facts.version, facts.image_size, len(found.ensemble.members)) == ("pair", "2", 64, 2)
    assert (facts.crop.margin, facts.crop.size, facts.crop.alignment, facts.crop.min_score) == (1.4, 64, "none", 0.6)
    assert facts.calibration.slope > 0 and 0 <= facts.thresholds.real <= facts.thresholds.fake <= 1
    assert [run["seed"] for run in facts.made["runs"]] == [0, 1]
    assert facts.made["after"]["log_loss"] > 0
    assert facts.made["warnings"] == ["the checkpoint best was chosen on these people; see --checkpoint last"]
    assert f"warning: {facts.made['warnings'][0]}" in shown.err
    assert facts.made["calibrated_on"]["frames_of_a_video"] == [3, 3] and facts.made["sources_kept_apart"]
    share = facts.made["compressed_real"]["fake"]
    assert f"compressed real videos, of held-out people: {share:.1%} called fake" in shown.out
    with safe_open(out, "pt") as file:
        assert str(tmp_path) not in file.metadata()["dfgame"] and str(runs) not in file.metadata()["dfgame"]
    images = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        each = [
            probabilities(load_run(runs / name, "best", torch.device("cpu"))[0](images))[:, 1] for name in ("0", "1")
        ]
    assert torch.allclose(found.probabilities(images), (each[0] + each[1]) / 2, atol=5e-3)
    code, shown = call(capsys, *words)
    assert code == 2 and "pair.safetensors: exists" in shown.err and "--overwrite" in shown.err
    out.unlink()
    out.with_suffix(".svg").write_text("somebody's drawing")
    code, shown = call(capsys, *words)
    assert code == 2 and "pair.svg: exists" in shown.err and "--overwrite" in shown.err
    assert out.with_suffix(".svg").read_text() == "somebody's drawing" and not out.exists()
    assert call(capsys, *words, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("out", "names", "said"),
    [
        ("a.safetensors", ("0", "small"), r"small: differs from .*0: it has --detector.stride 1, --image-size 32"),
        ("a.safetensors", (), "no RUN"),
        ("a.pt", ("0",), "OUT is the file to write"),
    ],
)
def test_what_does_not_fit_is_named(out, names, said, known_crops, runs, tmp_path):
    with pytest.raises(UserError, match=said):
        calibrate_runs([runs / name for name in names], known_crops, tmp_path / out, CalibrateConfig())
    assert not list(tmp_path.iterdir())


def test_crops_must_be_known_and_like_those_trained_on(crops, known_crops, runs, tmp_path):
    with pytest.raises(UserError, match="does not say how its faces were cut out"):
        calibrate_runs([runs / "0"], crops, tmp_path / "a.safetensors", CalibrateConfig())
    made_by = {"settings": to_dict(ExtractConfig(size=64, margin=1.3)), "detector": detector_facts()}
    other = tmp_path / "manifest.parquet"
    write_manifest(other, read_manifest(known_crops).replace_schema_metadata(None), made_by)
    with pytest.raises(UserError, match=r"trained on crops of margin 1\.4, those to test on have 1\.3") as error:
        calibrate_runs([runs / "0"], other, tmp_path / "a.safetensors", CalibrateConfig())
    assert "calibrate runs on crops" in error.value.remedy


def test_scores_that_fall_from_real_to_fake_are_refused(known_crops, runs, tmp_path, monkeypatch):
    def upside_down(ensemble, table, *_):
        raw = np.array([0.9 if "original" in path else 0.1 for path in table["path"].to_pylist()])
        yield View(table["video"].to_pylist(), raw, np.ones(len(raw)), np.ones(len(raw)))

    monkeypatch.setattr("dfgame.calibrate.scored_views", upside_down)
    with pytest.raises(UserError, match="do not rise from real to fake"):
        calibrate_runs([runs / "0"], known_crops, tmp_path / "a.safetensors", CalibrateConfig())
    assert not list(tmp_path.glob("*.safetensors"))


def test_rates_in_the_box_are_of_people_held_out(known_crops, runs, tmp_path, monkeypatch):
    """One of three people scores as fakes do: no threshold for all calls the real videos fake, that of others does."""

    def one_looks_forged(ensemble, table, *_):
        people, labels = (np.array(table[name].to_pylist()) for name in ("identity", "label"))
        raw = np.where(labels == "fake", 0.9, np.where(people == people[0], 0.95, 0.1))
        videos = table["video"].to_pylist()
        widths, details = np.full(len(raw), 60.0), np.full(len(raw), -2.0)
        widths[np.unique(videos, return_index=True)[1]] = 1000
        for _ in range(4):
            yield View(videos, raw, widths, details)

    monkeypatch.setattr("dfgame.calibrate.scored_views", one_looks_forged)
    facts = calibrate_runs([runs / "0"], known_crops, tmp_path / "a.safetensors", CalibrateConfig()).facts
    assert facts.made["compressed_real"]["fake"] == pytest.approx(1 / 3)
    (found,) = facts.conditions
    assert (found.rates.real, found.rates.fake, found.widths) == (24, 96, (52.0, 80.0))
    assert found.rates.real_called_fake == pytest.approx(1 / 3)
    assert facts.thresholds.fake == pytest.approx(facts.calibration(0.95)) and found.limits == facts.thresholds


def test_people_of_extracted_crops(manifest, runs, tmp_path, monkeypatch):
    """Two people who are each other's source: the targets are kept apart."""

    def by_name(ensemble, table, *_):
        raw = np.array([0.3 if "original" in path else 0.8 for path in table["path"].to_pylist()])
        yield View(table["video"].to_pylist(), raw, np.ones(len(raw)), np.ones(len(raw)))

    monkeypatch.setattr("dfgame.calibrate.scored_views", by_name)
    monkeypatch.setattr("dfgame.calibrate.members.mismatches", lambda *_, **__: ["made up"])
    found = calibrate_runs([runs / "0"], manifest, tmp_path / "a.safetensors", CalibrateConfig())
    made = found.facts.made
    assert (made["real_videos"], made["fake_videos"], made["groups_of_people"]) == (4, 8, 2)
    assert made["sources_kept_apart"] is False
    assert found.facts.crop.size == 64 and found.after.ece < found.before.ece


def test_people_whom_the_runs_learned_from_are_told(known_crops, runs, tmp_path):
    """By the split, or by the protocol that a run was trained by."""
    config = CalibrateConfig(split="all", checkpoint="last", device="cpu")
    made = calibrate_runs([runs / "0"], known_crops, tmp_path / "a.safetensors", config).facts.made
    assert made["warnings"] == ["--split all: people that training has used; what is measured on them is flattered"]
    protocol = tmp_path / "mine.toml"
    protocol.write_text(
        'title = "Learned from val"\nsource = "made up"\n[train]\nsplit = "val"\n[val]\nsplit = "train"\n'
        '[[test]]\nname = "one"\nsplit = "test"\n'
    )
    train_run(known_crops, tmp_path / "run", replace(SMALL, epochs=1, protocol=str(protocol)))
    config = CalibrateConfig(checkpoint="last", device="cpu")
    asked = asked_rows(known_crops, EvaluateConfig(split="val"))
    said = cautions(identify([tmp_path / "run"], [run_info(tmp_path / "run")]), asked, config.split, config.checkpoint)
    people = len({*asked.table["identity"].to_pylist(), *asked.table["source"].to_pylist()} - {"", None})
    assert said == [f"run: learned from {people} of these people, by its protocol mine"]


def test_whoever_chose_the_checkpoint_or_was_learned_from_is_told(known_crops, tmp_path):
    """At another quality, too: it is the same people."""
    protocol = tmp_path / "swapped.toml"
    protocol.write_text(
        'title = "Swapped"\nsource = "made up"\n[train]\nsplit = "test"\ncompressions = ["c23"]\n'
        '[val]\nsplit = "val"\n[[test]]\nname = "one"\nsplit = "train"\n'
    )
    train_run(known_crops, tmp_path / "run", replace(SMALL, epochs=1, protocol=str(protocol)))
    config = EvaluateConfig(compressions=("c40",), checkpoint="best", device="cpu", replicates=100)
    found = evaluate_runs([tmp_path / "run"], known_crops, tmp_path / "out", config)
    assert any("learned from" in said and said.endswith("by its protocol swapped") for said in found.card["warnings"])
    assert found.card["checkpoints"][0]["on_tested"] is False
    of_val = evaluate_runs([tmp_path / "run"], known_crops, tmp_path / "val", replace(config, split="val"))
    assert of_val.card["checkpoints"][0]["on_tested"] is True
    assert "chosen on people who are tested on" in dict(card_facts(of_val.card))["checkpoint"]


def test_a_box_is_calibrated_anew(known_crops, runs, tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    made = calibrate_runs([runs / "0", runs / "1"], known_crops, first, CalibrateConfig(device="cpu")).facts.made
    again = calibrate_runs([first], known_crops, second, CalibrateConfig(device="cpu", version="2")).facts
    assert again.made["runs"] == made["runs"] and again.made["auc"] == made["auc"]
    assert again.made["boxes"] == [{"name": "a", "version": "1", "sha256": load_detector(first, "cpu").sha256}]
    old, new = (load_detector(path, "cpu") for path in (first, second))
    assert (old.facts.calibration, old.facts.thresholds) == (new.facts.calibration, new.facts.thresholds)
    images = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    assert torch.equal(old.probabilities(images), new.probabilities(images))


def test_a_box_for_other_crops_is_refused(known_crops, runs, tmp_path):
    first = tmp_path / "a.safetensors"
    calibrate_runs([runs / "0"], known_crops, first, CalibrateConfig(device="cpu"))
    made_by = {"settings": to_dict(ExtractConfig(size=64, margin=1.3)), "detector": detector_facts()}
    other = tmp_path / "manifest.parquet"
    write_manifest(other, read_manifest(known_crops).replace_schema_metadata(None), made_by)
    with pytest.raises(UserError, match=r"a\.safetensors: made for crops of margin 1\.4, .* have margin 1\.3"):
        calibrate_runs([first], other, tmp_path / "b.safetensors", CalibrateConfig(device="cpu"))
