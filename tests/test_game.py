"""The players against each other: who is frozen when, who gets stronger, what each loss is."""

import math

import pytest
import torch

from dfgame.adversaries import (
    GeneratorBlur,
    GradientBlur,
    RandomBlur,
    adversary_loss,
    cross_entropy,
    frozen,
    make_adversary,
)
from dfgame.blur import pixelwise_gaussian_blur, sigma
from dfgame.config import AdversaryConfig, BlurConfig, DetectorConfig, OptimizerConfig
from dfgame.game import play_round
from dfgame.models import Detector

GAMES = ("none", "random-blur", "gradient", "generator")
SMALL = AdversaryConfig(filters=4, blocks=1)


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return Detector(DetectorConfig(pretrained=False))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.rand((4, 3, 64, 64)), torch.tensor([0, 0, 1, 1])


def make(game, **blur):
    torch.manual_seed(2)
    adversary = make_adversary(game, BlurConfig(**blur), SMALL, OptimizerConfig())
    assert adversary is not None
    return adversary


def weights_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module):
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("game", GAMES[1:])
@pytest.mark.parametrize("constraint", ["clamp", "free", "norm"])
@pytest.mark.parametrize("maps", [1, 3])
def test_adversarial_images_are_images_and_detached(game, constraint, maps, detector, batch):
    images, labels = batch
    perturbed = make(game, constraint=constraint, channels=maps).perturb(images, labels, detector)
    assert perturbed.images.shape == images.shape
    assert not perturbed.images.requires_grad and not perturbed.precision.requires_grad
    assert perturbed.images.min() >= 0 and perturbed.images.max() <= 1
    assert perturbed.precision.shape == (4, maps, 64, 64)
    assert (perturbed.precision >= (1 if constraint == "clamp" else 0)).all()
    assert not torch.equal(perturbed.images, images)


@pytest.mark.parametrize("game", GAMES[1:])
def test_the_adversarys_move_leaves_the_detector_as_it_was(game, detector, batch):
    images, labels = batch
    detector.train()
    before = weights_of(detector)
    adversary = make(game)
    adversary.update(images, labels, detector)
    adversary.perturb(images, labels, detector)
    assert not changed(before, detector)
    assert detector.training
    assert all(p.requires_grad and p.grad is None for p in detector.parameters())


def test_frozen_restores_even_after_an_error(detector):
    with pytest.raises(RuntimeError), frozen(detector):
        assert not detector.training and not any(p.requires_grad for p in detector.parameters())
        raise RuntimeError
    assert detector.training and all(p.requires_grad for p in detector.parameters())


def test_generators_learn_to_raise_the_detectors_loss(detector, batch):
    images, labels = batch
    adversary = make("generator", constraint="free", window=7)
    before = cross_entropy(detector.eval()(adversary.perturb(images, labels, detector).images), labels).mean()
    for _ in range(30):
        adversary.update(images, labels, detector)
    after = cross_entropy(detector.eval()(adversary.perturb(images, labels, detector).images), labels).mean()
    assert after > before


def test_each_generator_answers_for_its_own_class(batch):
    images, labels = batch
    adversary = make("generator")
    assert isinstance(adversary, GeneratorBlur)
    adversary.eval()
    real = adversary(images, torch.zeros(4, dtype=torch.long)).precision
    fake = adversary(images, torch.ones(4, dtype=torch.long)).precision
    mixed = adversary(images, labels).precision
    torch.testing.assert_close(mixed, torch.cat([real[:2], fake[2:]]))
    assert not torch.equal(real, fake)


def test_gradient_steps_raise_the_detectors_loss(detector, batch):
    images, labels = batch
    blur = BlurConfig(constraint="norm", window=7)
    losses = []
    for moves in (0, 1, 5):
        perturbed = GradientBlur(blur, moves, step=300.0).perturb(images, labels, detector)
        losses.append(cross_entropy(detector.eval()(perturbed.images), labels).sum().item())
    assert losses[0] < losses[1] < losses[2]


def test_gradient_step_is_the_stated_one(detector, batch):
    images, labels = batch
    blur = BlurConfig(constraint="free")
    precision = torch.ones((4, 1, 64, 64), requires_grad=True)
    detector.eval()
    loss = cross_entropy(detector(pixelwise_gaussian_blur(images, precision, 3)), labels).sum()
    loss.backward()
    assert precision.grad is not None
    expected = (precision + 10 * precision.grad).clamp_min(0)
    detector.train()
    torch.testing.assert_close(GradientBlur(blur, 1, 10.0).perturb(images, labels, detector).precision, expected)


def test_random_blur_has_one_sigma_an_image_within_the_constraints(detector, batch):
    images, labels = batch
    torch.manual_seed(0)
    many = images.repeat(64, 1, 1, 1)
    drawn = sigma(RandomBlur(BlurConfig()).perturb(many, labels.repeat(64), detector).precision)
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


def test_training_lowers_the_loss(detector):
    """Fakes with a checkerboard, reals without: twelve rounds of the gradient game tell them apart."""
    torch.manual_seed(3)
    images = torch.rand((8, 3, 64, 64)) * 0.2 + 0.4
    images[4:, :, ::2, ::2] += 0.3
    labels = torch.tensor([0] * 4 + [1] * 4)
    optimizer = torch.optim.RAdam(detector.parameters(), lr=2e-3)
    adversary = make("gradient")
    losses = [play_round(detector, optimizer, adversary, images, labels).scalars["detector/loss"] for _ in range(12)]
    assert losses[-1] < losses[0] / 2


def test_class_weights_change_the_loss(detector, batch):
    optimizer = torch.optim.SGD(detector.parameters(), lr=0)
    plain = play_round(detector, optimizer, None, *batch).scalars["detector/loss"]
    weighted = play_round(detector, optimizer, None, *batch, class_weights=torch.tensor([0.2, 1.8])).scalars[
        "detector/loss"
    ]
    assert plain != pytest.approx(weighted)
