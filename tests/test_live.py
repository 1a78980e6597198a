"""Forgeries made while training, and what video does to a crop."""

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from unittest.mock import create_autospec

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from conftest import orl_face
from dfgame.augment import Augmentation
from dfgame.batches import RoundBatches, forger_of
from dfgame.config import (
    AugmentConfig,
    DetectorConfig,
    FootageConfig,
    LiveConfig,
    LiveFamilyName,
    SettingError,
    TrainConfig,
    train_config_from_dict,
)
from dfgame.faces.crop import align_face, crop_face, points_in_crop
from dfgame.footage import Footage
from dfgame.forgery.align import TEMPLATE
from dfgame.forgery.live.forger import Forger
from dfgame.forgery.live.mouth import mouth
from dfgame.forgery.live.recompress import recompress
from dfgame.forgery.live.rerender import STEPS, Rerenderer, aligned, train_rerenderer
from dfgame.forgery.live.selfblend import selfblend
from dfgame.forgery.live.spectrum import spectrum
from dfgame.forgery.live.still import HULL, MOUTH, LiveFamily, Still, bent, resampled, soft_mask
from dfgame.manifest import made_by, read_manifest, select, write_manifest
from dfgame.media import through_h264
from dfgame.players import identify
from dfgame.protocol import read_protocol
from dfgame.records import Face, UserError
from dfgame.score import run_info
from dfgame.stored import read_stored, resized
from dfgame.train import train_run

SIDE = 160
ALL: tuple[LiveFamilyName, ...] = get_args(LiveFamilyName)


def still(seed: int = 0, person: int = 1) -> Still:
    """A real face whose points lie where the template has them."""
    face = cv2.resize(orl_face(person), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    colour = np.random.default_rng(seed).uniform(0.7, 1.0, 3)
    return Still((face * colour).astype(np.uint8), TEMPLATE * SIDE, str(person))


def broader(person: int) -> np.ndarray:
    """The points of a face that is the broader, the higher the person's number."""
    return TEMPLATE * SIDE * (1 + person / 40, 1)


def forger(families: tuple[LiveFamilyName, ...], tmp_path: Path) -> Forger:
    """A forger of four people's crops."""
    crops = {f"{person}.png": (broader(person), f"p{person}") for person in (1, 2, 3, 4)}
    return Forger(
        crops, lambda path: still(person=int(Path(path).stem)).image, LiveConfig(families), tmp_path / "net", 0
    )


@pytest.mark.parametrize("family", [selfblend, mouth, spectrum, recompress])
def test_a_family_changes_the_face_and_nothing_far_from_it(family: LiveFamily) -> None:
    real = still()
    changes = np.zeros((SIDE, SIDE))
    for seed in range(12):
        fake = family(real, np.random.default_rng(seed))
        assert fake.shape == real.image.shape and fake.dtype == np.uint8
        changes += np.abs(fake.astype(float) - real.image).mean(2)
    border = np.concatenate([changes[:3].ravel(), changes[:, :3].ravel(), changes[:, -3:].ravel()])
    middle = changes[int(0.3 * SIDE) : int(0.9 * SIDE), int(0.3 * SIDE) : int(0.7 * SIDE)]
    assert middle.mean() > 6
    if family is not selfblend:  # which alters the surroundings instead, now and then
        assert border.mean() < middle.mean() / 5


def test_a_mouth_forgery_leaves_the_eyes_when_only_the_mouth_is_blended() -> None:
    mask = soft_mask(still(), MOUTH, np.random.default_rng(0))
    assert mask[int(0.76 * SIDE), SIDE // 2] > 0.9
    assert mask[: int(0.45 * SIDE)].max() < 0.05


def test_masks_lie_on_the_face_wherever_it_is_and_however_it_is_turned() -> None:
    angle, scale, shift = 0.6, 0.5, np.array([70.0, 20.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = Still(np.zeros((200, 240, 3), np.uint8), TEMPLATE * SIDE @ turn.T + shift)
    mask = soft_mask(moved, HULL, np.random.default_rng(1))
    inside = np.array([0.5, 0.55]) * SIDE @ turn.T + shift
    assert mask.shape == (200, 240)
    assert mask[round(inside[1]), round(inside[0])] > 0.95
    assert 0.5 < mask.sum() / (0.4 * (SIDE * scale) ** 2) < 1.6


def test_bent_brings_the_pixels_at_the_points_to_their_goals() -> None:
    image = np.zeros((90, 90, 3), np.float32)
    cv2.circle(image, (30, 40), 3, (255, 255, 255), -1)
    fixed = np.array([[5.0, 5], [85, 5], [5, 85], [85, 85]])
    points, goals = np.vstack([[[30.0, 40]], fixed]), np.vstack([[[36.0, 44]], fixed])
    bright = bent(image, points, goals, reach=15)[:, :, 0]
    y, x = np.average(np.argwhere(bright > 64), axis=0, weights=bright[bright > 64])
    assert (x, y) == pytest.approx((36, 44), abs=1)


def test_resampled_takes_detail_away_and_keeps_the_size() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (64, 80, 3)).astype(np.float32)
    coarse = resampled(noise, 3, np.random.default_rng(1))
    assert coarse.shape == noise.shape
    assert np.abs(np.diff(coarse, axis=1)).mean() < 0.7 * np.abs(np.diff(noise, axis=1)).mean()


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_forges_the_same(name: LiveFamilyName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfgame.forgery.live.rerender.STEPS", 2)
    make = forger((name,), tmp_path)
    once, again, other = make("1.png", 5), make("1.png", 5), make("1.png", 6)
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, still().image)


def test_a_lookalike_is_another_person(tmp_path: Path) -> None:
    make = forger(("lookalike",), tmp_path)
    for person, alike in ((2, {"p1", "p3"}), (4, {"p3"})):
        target = Still(still(person=person).image, broader(person), f"p{person}")
        others = {make._lookalike(target, np.random.default_rng(seed)).person for seed in range(20)}
        assert others and others <= alike


def test_a_lookalike_is_never_the_person_itself_however_many_crops_show_it(tmp_path: Path) -> None:
    crops = {f"{number}.png": (broader(1), "often") for number in range(200)} | {"seldom.png": (broader(9), "seldom")}
    make = Forger(crops, lambda _: still().image, LiveConfig(("lookalike",)), tmp_path / "net", 0)
    target = Still(still().image, broader(1), "often")
    assert {make._lookalike(target, np.random.default_rng(seed)).person for seed in range(20)} == {"seldom"}
    with pytest.raises(UserError, match="all crops to learn from show one person"):
        Forger(
            {"1.png": (broader(1), "often")}, lambda _: still().image, LiveConfig(("lookalike",)), tmp_path / "net", 0
        )


def test_the_rerenderer_learns_from_the_first_to_the_last_of_many_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfgame.forgery.live.rerender.STEPS", 1)
    monkeypatch.setattr("dfgame.forgery.live.forger.MOST_FACES", 4)
    read: list[str] = []
    crops = {f"{number}.png": (broader(1), "p") for number in range(7)}
    Forger(crops, lambda path: read.append(path) or still().image, LiveConfig(("rerender",)), tmp_path / "net", 0)
    assert read == ["0.png", "2.png", "4.png", "6.png"]


def test_families_are_drawn_as_often_as_they_are_named(tmp_path: Path) -> None:
    make = forger(("selfblend", "selfblend", "selfblend", "mouth"), tmp_path)
    drawn: list[int] = []

    def marking(number: int) -> LiveFamily:
        def family(still: Still, rng: np.random.Generator) -> np.ndarray:
            drawn.append(number)
            return still.image

        return family

    make._families = [marking(number) for number in range(4)]
    for seed in range(400):
        make("1.png", seed)
    assert np.bincount(drawn, minlength=4) == pytest.approx([100] * 4, abs=35)


@pytest.mark.slow
def test_the_rerenderer_learns_faces() -> None:
    faces = np.stack([aligned(still(seed, person)) for person in range(1, 9) for seed in range(2)])
    assert STEPS >= 300
    network = train_rerenderer(faces, 0)
    with torch.inference_mode():
        given = torch.from_numpy(faces).permute(0, 3, 1, 2) / 255
        error = (network(given) - given).abs().mean()
        untrained = (Rerenderer()(given) - given).abs().mean()
    assert error < 0.06 < untrained


def test_the_rerenderer_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfgame.forgery.live.rerender.STEPS", 2)
    make = forger(("rerender",), tmp_path)
    kept = (tmp_path / "net").read_bytes()
    assert np.array_equal(make("1.png", 1), forger(("rerender",), tmp_path)("1.png", 1))
    assert (tmp_path / "net").read_bytes() == kept
    crops = {"1.png": (broader(1), "p1")}
    Forger(
        crops, lambda path: still(person=int(Path(path).stem)).image, LiveConfig(("rerender",)), tmp_path / "net", 0
    )
    of_others = (tmp_path / "net").read_bytes()
    forger(("rerender",), tmp_path)
    assert of_others != kept == (tmp_path / "net").read_bytes()
    (tmp_path / "net").write_bytes(b"no weights")
    with pytest.raises(UserError, match="not a rerenderer's weights"):
        forger(("rerender",), tmp_path)


@given(
    height=st.integers(40, 120),
    width=st.integers(40, 120),
    left=st.floats(10, 60),
    top=st.floats(10, 60),
    margin=st.floats(1, 2),
)
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize(("alignment", "cut"), [("none", crop_face), ("similarity", align_face)])
def test_points_in_a_crop_are_where_the_crop_shows_them(
    alignment: str, cut: Callable[..., np.ndarray], height: int, width: int, left: float, top: float, margin: float
) -> None:
    box = (left, top, left + width, top + height)
    spots = (TEMPLATE * (width, height) + (left, top)).round()
    face = Face(box, tuple((float(x), float(y)) for x, y in spots), 1.0)
    image = np.zeros((200, 220, 3), np.uint8)
    nose = spots[2].astype(int)
    cv2.circle(image, nose.tolist(), 4, (255, 255, 255), -1)
    crop = cut(image, face, margin, 96)[:, :, 0].astype(float)
    y, x = np.average(np.argwhere(crop > 32), axis=0, weights=crop[crop > 32])
    assert points_in_crop(face, margin, 96, alignment)[2] == pytest.approx((x, y), abs=2.5)


@pytest.mark.parametrize("frames", [1, 3])
def test_h264_in_memory_gives_back_as_many_frames_and_less_of_each_at_a_higher_crf(frames: int) -> None:
    rng = np.random.default_rng(0)
    clip = [np.clip(still().image + rng.normal(0, 6, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8) for _ in range(frames)]
    errors = []
    for crf in (10, 28, 45):
        seen = through_h264(clip, crf)
        assert len(seen) == frames and seen[0].shape == clip[0].shape
        errors.append(np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(seen, clip, strict=True)]))
    assert errors[0] < errors[1] < errors[2]
    assert all(np.array_equal(a, b) for a, b in zip(through_h264(clip, 28), through_h264(clip, 28), strict=True))


@given(seed=st.integers(0, 2**62), height=st.integers(33, 130), width=st.integers(33, 130))
@settings(max_examples=40, deadline=None)
def test_footage_is_seeded_and_never_larger(seed: int, height: int, width: int) -> None:
    image = cv2.resize(still().image, (width, height))
    footage = Footage(FootageConfig(chance=1, twice=0.5, scale=(0.5, 1)))
    seen = footage(np.asarray(image, np.uint8), seed)
    assert np.array_equal(seen, footage(np.asarray(image, np.uint8), seed))
    assert max(seen.shape[0] - height, seen.shape[1] - width) <= 1 and min(seen.shape[:2]) >= 16


def test_footage_with_chance_zero_is_the_crop_itself() -> None:
    image = still().image
    assert Footage(FootageConfig(chance=0))(image, 3) is image


@pytest.mark.parametrize("wrong", [{"chance": 1.2}, {"crf": (30, 20)}, {"scale": (0.5, 1.5)}, {"twice": -0.1}])
def test_footage_that_cannot_be_is_refused(wrong: dict) -> None:
    with pytest.raises(SettingError, match=f"--footage.{next(iter(wrong))}"):
        FootageConfig(**wrong)


def test_live_fakes_have_no_class_of_their_own() -> None:
    with pytest.raises(SettingError, match=r"detector\.multi"):
        TrainConfig(detector=DetectorConfig(multi=True), live=LiveConfig(("selfblend",)))


def batches_of(manifest: Path, augment: AugmentConfig, forger: Forger, footage: Footage | None = None) -> RoundBatches:
    return RoundBatches(
        real_rows(manifest),
        manifest.parent,
        batch_size=8,
        image_size=64,
        augmentation=Augmentation(augment),
        seed=0,
        forger=forger,
        footage=footage,
    )


def real_rows(manifest: Path) -> pa.Table:
    table = read_manifest(manifest)
    return table.filter(pa.array([label == "real" for label in table["label"].to_pylist()]))


def test_a_batch_holds_pairs_of_a_real_crop_and_its_forgery(manifest: Path, tmp_path: Path) -> None:
    folder = manifest.parent
    forger = forger_of(real_rows(manifest), folder, LiveConfig(("selfblend",)), tmp_path / "net")
    batches = batches_of(manifest, AugmentConfig(before="none"), forger)
    drawn = batches.draw(0)
    assert [number for _, number, _ in drawn] == [0] * 4 + [1] * 4
    assert [(crop, seed) for crop, _, seed in drawn[:4]] == [(crop, seed) for crop, _, seed in drawn[4:]]
    batch = batches[0]
    assert torch.equal(batch.images[0], torch.from_numpy(read_stored(folder / drawn[0][0])).permute(2, 0, 1) / 255)
    differences = (batch.images[:4] - batch.images[4:]).abs().flatten(1).mean(1)
    assert (differences > 0.001).all() and (differences < 0.2).all()
    assert torch.equal(batches[0].images, batch.images)


def test_heads_are_turned_in_both_crops_of_a_pair_and_as_often_as_asked(manifest: Path, tmp_path: Path) -> None:
    """A pair of which both crops are turned alike differs where the forgery's mask lies, as one that is not."""
    rows, plain = real_rows(manifest), AugmentConfig(before="none")
    straight, turned, now_and_then = (
        batches_of(manifest, plain, forger_of(rows, manifest.parent, LiveConfig(("mouth",), share), tmp_path / "net"))
        for share in (0.0, 1.0, 0.5)
    )
    moved = []
    for number in range(8):
        ahead, aside, some = straight[number].images, turned[number].images, now_and_then[number].images
        for k in range(4):
            assert not torch.equal(aside[k], ahead[k])
            forged = [(images[k + 4] - images[k]).abs().mean() for images in (ahead, aside)]
            assert forged[1] < 2 * forged[0] < 0.2
            assert torch.equal(some[k], ahead[k]) == torch.equal(some[k + 4], ahead[k + 4])
            moved.append(not torch.equal(some[k], ahead[k]))
    assert 8 <= sum(moved) <= 24


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (4, 0), (0, 3), (40, 15)])
def test_heads_are_turned_to_all_sides_and_no_further_than_asked(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yaw: int, pitch: int
) -> None:
    rows, angles = real_rows(manifest), list[tuple[int, int]]()
    monkeypatch.setattr("dfgame.forgery.live.forger.turned_head", lambda image, _, *turn: angles.append(turn) or image)
    turn = forger_of(rows, manifest.parent, LiveConfig(("mouth",), 1.0, yaw, pitch), tmp_path / "net")
    path = rows["path"].to_pylist()[0]
    for seed in range(300):
        turn.original(path, seed)
    for most, drawn in zip((yaw, pitch), zip(*angles, strict=True), strict=True):
        assert min(drawn) <= -0.9 * most and max(drawn) >= 0.9 * most
        assert max(map(abs, drawn)) <= most and (not most or len(set(drawn)) > most)


def test_turned_heads_need_families_and_angles_that_can_be_drawn() -> None:
    families: tuple[LiveFamilyName, ...] = ("mouth",)
    for name, config in (
        ("turned", lambda: LiveConfig(turned=0.5)),
        ("turned", lambda: LiveConfig(families, turned=1.5)),
        ("yaw", lambda: LiveConfig(families, yaw=80)),
        ("pitch", lambda: LiveConfig(families, pitch=-1)),
    ):
        with pytest.raises(SettingError, match=rf"live\.{name}"):
            config()


def test_a_pair_goes_through_the_same_footage_and_augmentation(manifest: Path) -> None:
    """Else what a crop has been through would tell real from fake: of a forger that changes nothing both are one."""
    folder = manifest.parent
    forger = create_autospec(Forger, instance=True)
    forger.side_effect = forger.original.side_effect = lambda crop, seed: read_stored(folder / crop)
    augment = AugmentConfig(jpeg=0.5, noise=0.5, geometry=0.5)
    batches = batches_of(manifest, augment, forger, Footage(FootageConfig(chance=1)))
    images = batches[0].images
    assert torch.equal(images[:4], images[4:])
    stored = [read_stored(folder / crop) for crop, _, _ in batches.draw(0)[:4]]
    plain = torch.stack([torch.from_numpy(resized(image, 64)).permute(2, 0, 1) / 255 for image in stored])
    assert (images[:4] - plain).abs().flatten(1).amax(1).min() > 0.02, "all of them have been through something"


def test_crops_of_unknown_margin_are_refused(crops: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown margin"):
        forger_of(read_manifest(crops), crops.parent, LiveConfig(("selfblend",)), tmp_path / "net")


def test_without_real_crops_it_says_so(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    table = read_manifest(manifest)
    nothing = pa.array([None] * table.num_rows, pa.string())
    unsplit = table.set_column(table.schema.get_field_index("split"), table.schema.field("split"), nothing)
    write_manifest(path, unsplit, made_by(table))
    with pytest.raises(UserError, match="no real crops to train on"):
        train_run(path, tmp_path / "run", TrainConfig(live=LiveConfig(("rerender",))))


def test_the_recipes_are_settings_and_protocols() -> None:
    recipes = Path(__file__).parents[1] / "recipes"
    settings = tomllib.loads((recipes / "detector.toml").read_text())
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    assert settings.keys() <= names
    config = train_config_from_dict(settings)
    assert set(config.live.families) <= set(ALL) and config.average > 0
    assert config.protocol == "recipes/photographs.toml"
    assert read_protocol(str(recipes / "photographs.toml")).train.datasets == ("photographs",)


def test_a_detector_trains_on_real_crops_alone_and_one_seed_gives_one_detector(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfgame.forgery.live.rerender.STEPS", 2)
    config = TrainConfig(
        game="none",
        epochs=1,
        epoch_pairs=12,
        batch_size=4,
        image_size=32,
        workers=1,
        detector=DetectorConfig(backbone="test_efficientnet", pretrained=False),
        live=LiveConfig(ALL),
        footage=FootageConfig(chance=0.5),
    )
    once, again = (train_run(manifest, tmp_path / name, config) for name in ("once", "again"))
    assert once["history"] == again["history"] and len(once["history"]) == 1
    assert (tmp_path / "once" / "forger" / "rerenderer.safetensors").is_file()
    assert once["data"]["trained_on"]["methods"] == ["original"]
    learned = select(read_manifest(manifest), "train", (), config.compressions).filter(pc.field("label") == "real")
    assert once["data"]["train"]["crops"] == learned.num_rows
    (entry,) = identify([tmp_path / "once"], [run_info(tmp_path / "once")])
    assert entry.training.saw("FaceSwap") is False and entry.training.method_words == "live forgeries"
    weights, same = (load_file(tmp_path / name / "last.safetensors") for name in ("once", "again"))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
