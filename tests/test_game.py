"""The players against each other: who is frozen when, who gets stronger, what each loss is."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from dfgame.adversaries import (
    GeneratorAdversary,
    adversary_loss,
    at_random_pixels,
    cross_entropy,
    frozen,
    make_adversary,
)
from dfgame.augment import diff_augment
from dfgame.blur import pixelwise_gaussian_blur, sigma
from dfgame.checkpoint import new_detector
from dfgame.config import AdversaryConfig, BlurConfig, DetectorConfig, TrainConfig
from dfgame.game import play_round
from dfgame.models import Detector
from dfgame.models.detector import SplitNorm

GAMES = ("none", "random-blur", "gradient", "generator")
MOVES = [
    (game, kind)
    for game in ("gradient", "generator")
    for kind in ("blur", "kernel", "flow", "residual", "additive")
    if (game, kind) != ("gradient", "residual")
]
"""Every kind of perturbation in every game that it is for."""


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return Detector(DetectorConfig(backbone="test_efficientnet", pretrained=False))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.rand((4, 3, 64, 64)), torch.tensor([0, 0, 1, 1])


def make(game, *, adversary=None, **blur):
    torch.manual_seed(2)
    small = {"filters": 4, "blocks": 1} if game == "generator" else {}
    config = TrainConfig(game=game, blur=BlurConfig(**blur), adversary=AdversaryConfig(**small, **(adversary or {})))
    made = make_adversary(config)
    assert made is not None
    return made


def loss_of(detector, images, labels):
    return cross_entropy(detector.eval()(images), labels).sum().item()


def weights_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module):
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize(
    ("game", "maps", "constraint"),
    [
        *product(("gradient", "generator"), (1, 3), ("clamp", "free", "norm")),
        *product(("random-blur",), (1,), ("clamp", "norm")),
    ],
)
def test_adversarial_images_are_images_and_detached(game, constraint, maps, detector, batch):
    images, labels = batch
    perturbed = make(game, constraint=constraint, channels=maps).perturb(images, labels, detector)
    assert perturbed.images.shape == images.shape
    assert not perturbed.images.requires_grad and not perturbed.maps.requires_grad
    assert perturbed.images.min() >= 0 and perturbed.images.max() <= 1
    assert perturbed.maps.shape == (4, maps, 64, 64)
    assert (perturbed.maps >= (1 if constraint == "clamp" else 0)).all()
    assert not torch.equal(perturbed.images, images)


@pytest.mark.parametrize("game", GAMES[1:])
def test_the_adversarys_move_leaves_the_detector_as_it_was(game, detector, batch):
    images, labels = batch
    detector.train()
    before = weights_of(detector)
    adversary = make(game)
    adversary.move([(images, labels)], detector, 1)
    adversary.perturb(images, labels, detector)
    assert not changed(before, detector)
    assert detector.training
    assert all(p.requires_grad and p.grad is None for p in detector.parameters())


def test_frozen_restores_even_after_an_error(detector):
    with pytest.raises(RuntimeError), frozen(detector):
        assert not detector.training and not any(p.requires_grad for p in detector.parameters())
        raise RuntimeError
    assert detector.training and all(p.requires_grad for p in detector.parameters())


def test_a_frozen_detector_works_without_batch_norms():
    detector = new_detector(DetectorConfig(pretrained=False)).train()
    norms: list[Any] = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [vars(norm).get("forward") for norm in norms]
    assert norms
    with frozen(detector):
        assert all(norm.forward.func.__name__ == "_activated" for norm in norms)
    assert all(vars(norm).get("forward") is forward for norm, forward in zip(norms, before, strict=True))


def test_generators_learn_to_raise_the_detectors_loss(detector, batch):
    images, labels = batch
    adversary = make("generator", constraint="free", window=7)
    before = cross_entropy(detector.eval()(adversary.perturb(images, labels, detector).images), labels).mean()
    for _ in range(30):
        adversary.move([(images, labels)], detector, 1)
    after = cross_entropy(detector.eval()(adversary.perturb(images, labels, detector).images), labels).mean()
    assert after > before


def test_each_generator_answers_for_its_own_class(batch):
    images, labels = batch
    adversary = make("generator")
    assert isinstance(adversary, GeneratorAdversary)
    adversary.eval()
    real = adversary(images, torch.zeros(4, dtype=torch.long))
    fake = adversary(images, torch.ones(4, dtype=torch.long))
    mixed = adversary(images, labels)
    torch.testing.assert_close(mixed, torch.cat([real[:2], fake[2:]]))
    assert not torch.equal(real, fake)


def test_gradient_steps_raise_the_detectors_loss(detector, batch):
    images, labels = batch
    adversaries = [
        make("random-blur", constraint="norm", window=7),
        *(
            make("gradient", constraint="norm", window=7, adversary={"moves": moves, "step": 300.0})
            for moves in (1, 5)
        ),
    ]
    start = adversaries[0].perturbation.apply(images, adversaries[0].perturbation.start(images))
    losses = [loss_of(detector, start, labels)]
    losses += [loss_of(detector, a.perturb(images, labels, detector).images, labels) for a in adversaries[1:]]
    assert losses[0] < losses[1] < losses[2]


def test_gradient_step_is_the_stated_one(detector, batch):
    images, labels = batch
    precision = torch.ones((4, 1, 64, 64), requires_grad=True)
    detector.eval()
    loss = cross_entropy(detector(pixelwise_gaussian_blur(images, precision, 3)), labels).sum()
    loss.backward()
    assert precision.grad is not None
    expected = (precision + 10 * precision.grad).clamp_min(0)
    detector.train()
    found = make("gradient", constraint="free").perturb(images, labels, detector).maps
    torch.testing.assert_close(found, expected)


def test_random_blur_has_one_sigma_an_image_within_the_constraints(detector, batch):
    images, labels = batch
    torch.manual_seed(0)
    many = images.repeat(64, 1, 1, 1)
    drawn = sigma(make("random-blur").perturb(many, labels.repeat(64), detector).maps)
    assert (drawn == drawn[:, :, :1, :1]).all()
    assert drawn.max() <= 1 and drawn.max() > 0.9 and drawn.min() < 0.1


def test_losses_by_hand():
    logits = torch.tensor([[[0.0, math.log(3.0)]], [[0.0, math.log(3.0)]]])
    labels = torch.tensor([0, 1])
    torch.testing.assert_close(cross_entropy(logits, labels), -torch.tensor([0.25, 0.75]).log())
    assert adversary_loss(logits, labels, "default").item() == pytest.approx((math.log(0.25) + math.log(0.75)) / 2)
    assert adversary_loss(logits, labels, "lsgan").item() == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert adversary_loss(logits, labels, "wgan").item() == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="gan"):
        adversary_loss(logits, labels, "gan")


def test_cross_entropy_is_the_mean_over_an_images_patches():
    logits = torch.randn((3, 4, 2))
    labels = torch.tensor([0, 1, 1])
    by_hand = [-torch.stack([logits[i, p].log_softmax(0)[labels[i]] for p in range(4)]).mean() for i in range(3)]
    torch.testing.assert_close(cross_entropy(logits, labels), torch.stack(by_hand))


@pytest.mark.parametrize("game", GAMES)
def test_a_round_moves_the_detector_and_only_generators_learn(game, detector, batch):
    adversary = None if game == "none" else make(game)
    optimizer = torch.optim.RAdam(detector.parameters(), lr=1e-3)
    before, before_adversary = weights_of(detector), weights_of(adversary) if adversary else {}
    played = play_round(detector, optimizer, adversary, *batch, moves=2)
    assert {"head.conv.weight", "backbone.conv_stem.weight"} <= changed(before, detector)
    assert (played.perturbed is None) == (game == "none")
    assert math.isfinite(played.scalars["detector/loss"])
    if adversary is not None:
        assert bool(changed(before_adversary, adversary)) == (game == "generator")


def test_the_detectors_batch_holds_clean_and_adversarial_images(detector, batch):
    sizes = []
    detector.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    optimizer = torch.optim.RAdam(detector.parameters(), lr=1e-3)
    play_round(detector, optimizer, None, *batch)
    play_round(detector, optimizer, make("random-blur"), *batch)
    assert sizes == [4, 8]


@pytest.mark.parametrize("game", GAMES[1:])
@pytest.mark.parametrize(("share", "parts", "pairs"), [(0.5, 1, 3), (0.2, 1, 1), (0.01, 1, 1), (0.7, 2, 4)])
def test_a_share_of_each_half_is_attacked_in_its_order(game, share, parts, pairs, detector):
    torch.manual_seed(1)
    images, labels = torch.rand((12, 3, 64, 64)), torch.tensor([0] * 6 + [1] * 6)
    seen = []
    detector.backbone.register_forward_pre_hook(
        lambda module, inputs: seen.append(len(inputs[0])) if module.training else None
    )
    optimizer = torch.optim.RAdam(detector.parameters(), lr=1e-3)
    options = {"permute": True, "augment_after": diff_augment}
    played = play_round(detector, optimizer, make(game), images, labels, share=share, parts=parts, **options)
    assert played.attacked is not None and played.perturbed is not None
    assert sum(seen) == 12 + 2 * pairs and len(seen) == parts
    assert torch.equal(played.attacked, torch.cat([images[:pairs], images[6 : 6 + pairs]]))
    assert len(played.perturbed.images) == len(played.perturbed.maps) == 2 * pairs
    nearest = torch.cdist(played.perturbed.images.flatten(1), played.attacked.flatten(1)).argmin(dim=1)
    assert nearest.tolist() == list(range(2 * pairs))


@pytest.mark.parametrize("parts", [1, 2])
def test_with_a_share_the_loss_is_the_mean_over_all_images_that_the_detector_sees(parts):
    torch.manual_seed(0)
    detector = Detector(DetectorConfig(backbone="test_efficientnet_gn", pretrained=False))
    images, labels = torch.rand((8, 3, 64, 64)), torch.tensor([0] * 4 + [1] * 4)
    optimizer = torch.optim.SGD(detector.parameters(), lr=0)
    played = play_round(detector, optimizer, make("gradient"), images, labels, share=0.5, parts=parts)
    assert played.perturbed is not None
    found = [parameter.grad for parameter in detector.parameters()]
    optimizer.zero_grad(set_to_none=True)
    together = torch.cat([images, played.perturbed.images]), torch.cat([labels, labels[2:6]])
    loss = torch.stack([cross_entropy(detector(i[None]), of[None])[0] for i, of in zip(*together, strict=True)]).mean()
    loss.backward()
    assert played.scalars["detector/loss"] == pytest.approx(loss.item(), rel=1e-4)
    for parameter, gradient in zip(detector.parameters(), found, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-5)


def test_a_share_with_auxiliary_norms_sees_clean_and_adversarial_images_apart(detector, batch):
    detector.split_batch_norms()
    sizes = []
    detector.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    optimizer = torch.optim.RAdam(detector.parameters(), lr=1e-3)
    scalars = play_round(detector, optimizer, make("random-blur"), *batch, share=0.5).scalars
    assert sizes == [4, 2]
    mean = (4 * scalars["detector/loss_clean"] + 2 * scalars["detector/loss_adversarial"]) / 6
    assert scalars["detector/loss"] == pytest.approx(mean)


def test_training_lowers_the_loss(detector):
    """Fakes with a checkerboard, reals without: twenty rounds of the gradient game tell them apart."""
    torch.manual_seed(3)
    images = torch.rand((8, 3, 64, 64)) * 0.2 + 0.4
    images[4:, :, ::2, ::2] += 0.3
    labels = torch.tensor([0] * 4 + [1] * 4)
    optimizer = torch.optim.RAdam(detector.parameters(), lr=2e-3)
    adversary = make("gradient")
    losses = [play_round(detector, optimizer, adversary, images, labels).scalars["detector/loss"] for _ in range(20)]
    assert losses[-1] < losses[0] / 2


def test_class_weights_change_the_loss(detector, batch):
    optimizer = torch.optim.SGD(detector.parameters(), lr=0)
    plain = play_round(detector, optimizer, None, *batch).scalars["detector/loss"]
    weighted = play_round(detector, optimizer, None, *batch, class_weights=torch.tensor([0.2, 1.8])).scalars[
        "detector/loss"
    ]
    assert plain != pytest.approx(weighted)


@pytest.mark.parametrize(("game", "kind"), MOVES)
def test_every_move_raises_the_detectors_loss_and_keeps_images_images(game, kind, detector, batch):
    images, labels = batch
    settings = {"perturbation": kind} | ({"moves": 3} if game == "gradient" else {})
    if game == "gradient" and kind != "additive":
        settings["step"] = 300.0
    adversary = make(game, adversary=settings)
    unmoved = adversary.perturbation.apply(images, adversary.perturbation.start(images))
    before = loss_of(detector, unmoved, labels)
    if game == "generator":
        before = loss_of(detector, adversary.perturb(images, labels, detector).images, labels)
        for _ in range(30):
            adversary.move([(images, labels)], detector, 1)
    perturbed = adversary.perturb(images, labels, detector)
    assert loss_of(detector, perturbed.images, labels) > before
    assert perturbed.images.min() >= -1e-6 and perturbed.images.max() <= 1 + 1e-6
    strength = adversary.perturbation.strength(perturbed.maps)
    assert strength.shape == (4, 1, 64, 64) and (strength >= 0).all()


@pytest.mark.parametrize("game", ["random-blur", "gradient", "generator"])
@pytest.mark.parametrize("side", ["real", "fake"])
def test_only_the_attacked_side_is_played_on_and_the_other_stands_unchanged(game, side, detector, batch):
    images, labels = batch
    adversary = make(game, adversary={"attacks": side})
    before = weights_of(adversary)
    optimizer = torch.optim.RAdam(detector.parameters(), lr=1e-3)
    learned = []
    detector.register_forward_pre_hook(lambda module, given: learned.append(given[0]) if module.training else None)
    played = play_round(detector, optimizer, adversary, images, labels)
    attacked, spared = (images[:2], images[2:]) if side == "real" else (images[2:], images[:2])
    assert played.attacked is not None and torch.equal(played.attacked, attacked)
    assert played.perturbed is not None and not torch.equal(played.perturbed.images, attacked)
    torch.testing.assert_close(torch.cat(learned), torch.cat([images, spared, played.perturbed.images]))
    assert all(f"generators.{side}." in name for name in changed(before, adversary))


def test_images_that_are_not_attacked_keep_the_main_statistics(batch):
    detector = new_detector(DetectorConfig(backbone="test_efficientnet", pretrained=False, bn2=True))
    optimizer = torch.optim.RAdam(detector.parameters(), lr=1e-3)
    norm: Any = next(module for module in detector.modules() if isinstance(module, SplitNorm))
    seen = []
    for of in (norm.main, norm.auxiliary):
        of.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])) if module.training else None)
    play_round(detector, optimizer, make("gradient", adversary={"attacks": "fake"}), *batch)
    assert seen == [6, 2]


def test_a_shuffled_map_has_the_same_strengths_elsewhere(detector, batch):
    images, labels = batch
    plain = make("generator", constraint="free").perturb(images, labels, detector).maps
    shuffled = make("generator", constraint="free", adversary={"shuffled": True})
    moved = at_random_pixels(plain)
    assert not torch.equal(moved, plain)
    torch.testing.assert_close(moved.flatten(1).sort()[0], plain.flatten(1).sort()[0])
    torch.manual_seed(0)
    first = shuffled.perturb(images, labels, detector).images
    assert not torch.equal(first, shuffled.perturb(images, labels, detector).images)


def test_shuffling_keeps_the_numbers_of_a_pixel_together():
    maps = torch.arange(12.0).view(1, 1, 3, 4).repeat(1, 2, 1, 1)
    moved = at_random_pixels(maps)
    assert torch.equal(moved[:, 0], moved[:, 1])


@pytest.mark.parametrize("game", GAMES)
def test_parts_add_up_to_the_whole(game, batch):
    """Where no BatchNorm looks across images, a round in parts is the round in one."""
    torch.manual_seed(1)
    images, labels = torch.rand((8, 3, 64, 64)), torch.tensor([0] * 4 + [1] * 4)

    def after(parts):
        torch.manual_seed(0)
        detector = Detector(DetectorConfig(backbone="test_efficientnet_gn", pretrained=False))
        adversary = None
        if game != "none":
            settings = {"norm": "in", "lr": 1e-2} if game == "generator" else {}
            adversary = make(game, adversary=settings)
        optimizer = torch.optim.SGD(detector.parameters(), lr=0.1)
        torch.manual_seed(5)
        played = play_round(detector, optimizer, adversary, images, labels, parts=parts)
        return detector, played

    (whole, played), (in_parts, played_in_parts) = after(1), after(2)
    if game != "random-blur":
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(in_parts.state_dict()[name], value, rtol=1e-3, atol=2e-5)
        assert played_in_parts.scalars == pytest.approx(played.scalars, rel=1e-3)
    if played.perturbed is not None and game == "gradient":
        assert played_in_parts.perturbed is not None
        torch.testing.assert_close(played_in_parts.perturbed.images, played.perturbed.images, rtol=1e-3, atol=1e-4)


def test_permuting_changes_the_order_that_the_detector_sees_and_nothing_else(detector, batch):
    seen = []
    detector.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    optimizer = torch.optim.SGD(detector.parameters(), lr=0)
    plain = play_round(detector, optimizer, None, *batch).scalars
    permuted = play_round(detector, optimizer, None, *batch, permute=True).scalars
    assert not torch.equal(*seen)
    key = torch.stack([image.sum() for image in seen[0]]).sort()[0]
    torch.testing.assert_close(torch.stack([image.sum() for image in seen[1]]).sort()[0], key)
    assert permuted == pytest.approx(plain, rel=1e-4)


def test_augmentation_after_the_adversary_acts_on_clean_and_adversarial_images(detector, batch):
    seen = []
    detector.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    optimizer = torch.optim.SGD(detector.parameters(), lr=0)
    adversary = make("random-blur")
    for after in (None, diff_augment):
        torch.manual_seed(0)
        play_round(detector, optimizer, adversary, *batch, augment_after=after)
    changed = [not torch.equal(a, b) for a, b in zip(*seen, strict=True)]
    assert any(changed[:4]) and any(changed[4:])


def test_five_classes(batch):
    torch.manual_seed(0)
    detector = Detector(DetectorConfig(backbone="test_efficientnet", pretrained=False, multi=True))
    images, labels = batch[0], torch.tensor([0, 0, 2, 4])
    for game in GAMES[1:]:
        played = play_round(detector, torch.optim.RAdam(detector.parameters(), lr=1e-3), make(game), images, labels)
        assert math.isfinite(played.scalars["detector/loss"])
    assert detector(images).shape[2] == 5
