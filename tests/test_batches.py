"""Batches: balanced, drawn by video, the same for the same seed and round; augmentation seeded image by image."""

import signal
import sys
from collections import Counter

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch

from dfgame.augment import Augmentation, diff_augment
from dfgame.batches import RoundBatches, _start_loading, crop_loader, plainly, read_crop, round_loader, to_unit
from dfgame.config import AugmentConfig
from dfgame.dice import seeded
from dfgame.models import class_names
from dfgame.records import UserError

STEPS = ("jpeg", "noise", "flip", "colour", "grey", "geometry")
NOTHING = AugmentConfig(**dict.fromkeys(STEPS, 0.0))


def crops_of(folder, videos):
    """A table of `videos`: (name, label, frames), and its crops, each of one grey level."""
    rows = []
    for number, (video, label, frames) in enumerate(videos):
        for frame in range(frames):
            path = f"{video}_{frame}.png"
            cv2.imwrite(str(folder / path), np.full((32, 32, 3), 10 * number, np.uint8))
            rows.append({"path": path, "video": video, "label": label, "method": "FaceSwap"})
    return pa.Table.from_pylist(rows)


@pytest.fixture
def batches(tmp_path):
    videos = [("a", "real", 1), ("b", "real", 19), ("c", "fake", 5), ("d", "fake", 5)]
    return RoundBatches(
        crops_of(tmp_path, videos),
        tmp_path,
        batch_size=8,
        image_size=32,
        augmentation=Augmentation(AugmentConfig()),
        seed=3,
    )


def test_half_of_a_batch_is_real_and_comes_first(batches):
    images, labels = batches[0]
    assert images.shape == (8, 3, 32, 32) and images.min() >= 0 and images.max() <= 1
    assert labels.tolist() == [0] * 4 + [1] * 4


def test_a_round_is_always_the_same_and_rounds_differ(batches):
    torch.manual_seed(0)
    first = batches[5].images
    torch.manual_seed(1)
    torch.testing.assert_close(batches[5].images, first)
    assert not torch.equal(batches[6].images, first)


def test_videos_have_equal_chances_whatever_their_length(batches):
    drawn = Counter(path.split("_")[0] for k in range(500) for path, label, _ in batches.draw(k) if label == 0)
    assert 0.45 < drawn["a"] / (drawn["a"] + drawn["b"]) < 0.55


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_keeps_the_order_of_rounds_whatever_the_workers(batches, workers):
    loaded = [batch.images for batch in round_loader(batches, range(3, 6), workers)]
    for images, number in zip(loaded, range(3, 6), strict=True):
        torch.testing.assert_close(images, batches[number].images)


def test_without_fakes_there_is_nothing_to_train_on(tmp_path):
    table = crops_of(tmp_path, [("a", "real", 2)])
    with pytest.raises(UserError, match="no fake crops"):
        RoundBatches(table, tmp_path, batch_size=2, image_size=32, augmentation=Augmentation(NOTHING), seed=0)


def test_crops_are_rgb_and_brought_to_size(tmp_path):
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), image)
    crop = read_crop(tmp_path / "red.png", 16)
    assert crop.shape == (3, 16, 16) and crop[0].min() == 255 and crop[1:].max() == 0
    (tmp_path / "text.png").write_text("not a picture")
    for name, problem in (("text.png", "not a picture"), ("none.png", "no such file")):
        with pytest.raises(UserError, match=problem):
            read_crop(tmp_path / name, 16)


def test_crop_loader_keeps_the_order(tmp_path):
    crops_of(tmp_path, [(str(k), "real", 1) for k in range(5)])
    loaded = torch.cat(list(crop_loader([tmp_path / f"{k}_0.png" for k in range(5)], 32, 2, 0)))
    torch.testing.assert_close(loaded[:, 0, 0, 0], to_unit(torch.arange(0, 50, 10)))


@pytest.mark.parametrize("name", STEPS)
def test_each_augmentation_changes_the_image_alone(name):
    image = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    only = Augmentation(AugmentConfig(**{**vars(NOTHING), name: 1.0}))
    changed = only(image, seed=1)
    assert changed.shape == image.shape and changed.dtype == torch.uint8
    assert not torch.equal(changed, image)
    torch.testing.assert_close(image, before)
    torch.testing.assert_close(only(image, seed=1), changed)


def test_augmentation_with_probability_zero_is_the_identity():
    image = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(Augmentation(NOTHING)(image, seed=0), image)


def test_augmentation_leaves_the_global_random_state_alone(monkeypatch):
    """That of accelerators, too, which torch.manual_seed reseeds with the processor's."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    reseeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded.append)
    Augmentation(AugmentConfig())(torch.zeros((3, 32, 32), dtype=torch.uint8), seed=9)
    torch.testing.assert_close(torch.rand(3), expected)
    assert not reseeded


def test_seeded_dice_are_torchs_own_and_lie_as_before():
    torch.manual_seed(5)
    expected, after = torch.rand(3), torch.rand(3)
    torch.manual_seed(5)
    torch.rand(3)
    with pytest.raises(ZeroDivisionError), seeded(5):
        assert torch.equal(torch.rand(3), expected)
        raise ZeroDivisionError
    assert torch.equal(torch.rand(3), after)


def test_grey_and_flip_do_what_they_say():
    image = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    grey = Augmentation(AugmentConfig(**{**vars(NOTHING), "grey": 1.0}))(image, 0)
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[1], grey[2])
    flipped = Augmentation(AugmentConfig(**{**vars(NOTHING), "flip": 1.0}))(image, 0)
    torch.testing.assert_close(flipped, image.flip(2))


def test_a_crop_that_is_missing_is_one_line_even_from_a_loading_process(batches, tmp_path):
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(UserError) as caught:
        list(plainly(round_loader(batches, range(2), workers=1)))
    assert caught.value.problem.endswith("no such file") and "\n" not in caught.value.problem
    assert caught.value.remedy


def walking(folder, **others):
    table = crops_of(folder, [("a", "real", 1), ("b", "real", 3), ("c", "fake", 6)])
    settings = {"batch_size": 4, "image_size": 32, "augmentation": Augmentation(NOTHING), "seed": 0}
    return RoundBatches(table, folder, **(settings | others))


def test_frame_sampling_walks_the_list_without_repeats(tmp_path):
    batches = walking(tmp_path, sampling="frame")
    walks = [[crop for k in rounds for crop, label, _ in batches.draw(k) if label == 0] for rounds in ((0, 1), (2, 3))]
    assert [sorted(walk) for walk in walks] == [["a_0.png", "b_0.png", "b_1.png", "b_2.png"]] * 2
    assert walks[0] != walks[1]
    assert batches.draw(1) == walking(tmp_path, sampling="frame").draw(1)


def test_shards_share_out_a_batch_without_overlap_and_each_is_half_real(tmp_path):
    whole = walking(tmp_path, batch_size=8)
    shards = [walking(tmp_path, batch_size=8, shard=(k, 2)) for k in range(2)]
    for number in range(3):
        parts = [shard[number] for shard in shards]
        assert [part.labels.tolist() for part in parts] == [[0, 0, 1, 1]] * 2
        together = torch.stack([part.images for part in parts], dim=1).flatten(0, 1)
        torch.testing.assert_close(together, whole[number].images)


def test_five_classes_are_the_methods(tmp_path):
    table = crops_of(tmp_path, [("a", "real", 1), ("c", "fake", 1)])
    settings = {"batch_size": 2, "image_size": 32, "augmentation": Augmentation(NOTHING), "seed": 0}
    batches = RoundBatches(table, tmp_path, **settings, classes=class_names(True))
    assert batches[0].labels.tolist() == [0, 3]
    with pytest.raises(UserError, match="FaceSwap has no class"):
        RoundBatches(table, tmp_path, **settings, classes=("real", "Deepfakes"))


@pytest.mark.parametrize(("before", "changed"), [("none", set()), ("light", {"flip", "colour"})])
def test_what_is_done_before_the_adversary(before, changed):
    image = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for name in STEPS:
        only = Augmentation(AugmentConfig(**{**vars(NOTHING), name: 1.0, "before": before}))
        assert torch.equal(only(image, seed=1), image) == (name not in changed)


@pytest.mark.parametrize(("again", "changed"), [("light", {"flip", "colour"}), ("full", set(STEPS))])
def test_what_is_done_a_second_time(again, changed):
    """The second time goes on with the dice of the first, which are those of an augmentation that is done once."""
    image = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for name in STEPS:
        once, twice = (
            Augmentation(AugmentConfig(**{**vars(NOTHING), name: 1.0, "again": times})) for times in ("none", again)
        )
        alone = Augmentation(AugmentConfig(**{**vars(NOTHING), name: 1.0, "before": "none", "again": again}))
        assert torch.equal(alone(image, seed=1), image) == (name not in changed)
        assert torch.equal(once(image, seed=1), twice(image, seed=1)) == (name not in changed)
    flipped = Augmentation(AugmentConfig(**{**vars(NOTHING), "flip": 1.0, "again": again}))(image, 0)
    assert torch.equal(flipped, image)


def test_diff_augment_does_its_three_things_at_their_rates():
    images = torch.rand((600, 3, 16, 16)) * 0.8 + 0.1
    torch.manual_seed(0)
    augmented = diff_augment(images)
    assert augmented.shape == images.shape and augmented.min() >= 0 and augmented.max() <= 1
    untouched = sum(torch.equal(a, b) for a, b in zip(images, augmented, strict=True)) / 600
    assert untouched == pytest.approx(0.3 * (0.5 + 0.5 / 25) * 0.5, abs=0.04)
    torch.manual_seed(0)
    assert torch.equal(diff_augment(images), augmented)


def test_diff_augment_is_as_strong_as_its_source():
    """There images are in [-1, 1]: brightness moves by up to 0.5 of those 2, and 0, mid-grey, fills what is left."""
    torch.manual_seed(0)
    augmented = diff_augment(torch.full((600, 3, 16, 16), 0.3))
    shades = torch.stack([image[(image - 0.5).abs() > 1e-6].mean() for image in augmented])
    assert 0.05 - 1e-6 <= shades.min() < 0.06 and 0.54 < shades.max() <= 0.55 + 1e-6
    filled = ((augmented - 0.5).abs() <= 1e-6).all(dim=1).flatten(1).any(dim=1).float().mean()
    assert filled == pytest.approx(1 - 0.5 * (0.5 + 0.5 / 25), abs=0.05)


def test_diff_augment_is_differentiable():
    images = torch.rand((8, 3, 16, 16), requires_grad=True)
    diff_augment(images).sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_a_loading_process_says_nothing_of_a_reader_that_went_away(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    before, threads = signal.getsignal(signal.SIGINT), cv2.getNumThreads()
    try:
        _start_loading(0)
        for kind in (EOFError, ConnectionResetError, BrokenPipeError):
            sys.excepthook(kind, kind(), None)
        assert capsys.readouterr().err == ""
        sys.excepthook(OSError, OSError("no room"), None)
        assert "no room" in capsys.readouterr().err
    finally:
        signal.signal(signal.SIGINT, before)
        cv2.setNumThreads(threads)
