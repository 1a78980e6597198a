"""How much memory a round takes: counted without taking it, against what it does take."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from dfgame.config import AdversaryConfig, DetectorConfig, TrainConfig
from dfgame.memory import free_bytes, parts_that_fit, round_bytes
from dfgame.models import Detector


def config(game: Any = "gradient", **others: Any) -> TrainConfig:
    adversary = AdversaryConfig(filters=8) if game == "generator" else AdversaryConfig()
    detector = DetectorConfig(backbone="tf_efficientnet_lite0", pretrained=False)
    return TrainConfig(game=game, detector=detector, adversary=adversary, image_size=64, batch_size=8, **others)


def test_what_is_counted_is_what_autograd_keeps():
    detector = Detector(config().detector).train()
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = detector(torch.rand((8, 3, 64, 64)))
    weights = {weight.untyped_storage().data_ptr() for weight in detector.parameters()}
    measured = sum(size for place, size in kept.items() if place not in weights)
    assert logits.shape[0] == 8
    assert round_bytes(config("none")) == pytest.approx(1.25 * measured, rel=0.15)


def test_more_images_larger_images_and_an_adversary_take_more():
    plain = round_bytes(config("none"))
    assert round_bytes(config("gradient")) == pytest.approx(2 * plain, rel=0.01)
    some = replace(config("gradient"), adversary=AdversaryConfig(share=0.5))
    assert round_bytes(some) == pytest.approx(1.5 * plain, rel=0.01)
    assert round_bytes(replace(config("none"), batch_size=16)) == pytest.approx(2 * plain, rel=0.01)
    assert round_bytes(replace(config("none"), image_size=128)) > 3 * plain
    assert round_bytes(config("generator")) >= round_bytes(config("gradient"))


def test_the_parts_are_the_fewest_that_fit():
    needed = round_bytes(config())
    assert [parts_that_fit(config(), int(needed * room)) for room in (2, 1, 0.5, 0.01)] == [1, 2, 4, 4]


def test_there_is_memory():
    assert free_bytes(torch.device("cpu")) > 2**20
