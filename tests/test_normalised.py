"""BatchNorm with the activation after it: features and slopes against torch's own in float64."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from dfgame.config import DetectorConfig
from dfgame.kernels import norm_kernel
from dfgame.models import Detector, Generator, share_batch_norms
from dfgame.models.normalised import _Normalised, normalise_at_once

compiled = pytest.mark.skipif(norm_kernel(0) is None, reason="no C compiler here")
ACTIVATIONS = {0: lambda made: made, 1: functional.relu, 6: functional.relu6}
SHAPES = [(2, 8, 5, 7), (3, 17, 9, 9), (1, 3, 1, 2), (4, 33, 1, 1), (16, 96, 40, 40)]


def torchs_own(features, weight, bias, activation):
    return ACTIVATIONS[activation](functional.batch_norm(features, None, None, weight, bias, True, 0.1, 1e-3))


def ours(features, weight, bias, activation):
    return _Normalised.apply(features, weight, bias, 1e-3, activation)[0]


def with_slopes(step, tensors, activation):
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    made = step(*leaves, activation)
    slope = torch.cos(torch.arange(made.numel(), dtype=made.dtype)).view_as(made)
    return made, *torch.autograd.grad(made, leaves, slope)


def some_features(shape):
    features = torch.randn(shape).mul(2).add(30).contiguous(memory_format=torch.channels_last)
    return features, torch.rand(shape[1]) + 0.5, torch.randn(shape[1])


@compiled
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_features_and_slopes_are_torchs(shape, activation):
    torch.manual_seed(0)
    tensors = some_features(shape)
    found = with_slopes(ours, tensors, activation)
    expected = with_slopes(torchs_own, [tensor.double() for tensor in tensors], activation)
    for own, exact in zip(found, expected, strict=True):
        torch.testing.assert_close(own.double(), exact, rtol=1e-4, atol=1e-4)


@compiled
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_of_slopes_are_torchs(activation):
    torch.manual_seed(0)

    def second(step, tensors):
        leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        (first,) = torch.autograd.grad(step(*leaves, activation).sin().sum(), leaves[:1], create_graph=True)
        return torch.autograd.grad(first.square().sum(), leaves)

    tensors = some_features((3, 9, 6, 5))
    expected = second(torchs_own, [tensor.double() for tensor in tensors])
    for own, exact in zip(second(ours, tensors), expected, strict=True):
        torch.testing.assert_close(own.double(), exact, rtol=1e-3, atol=1e-3)


@compiled
def test_what_comes_out_does_not_depend_on_the_threads():
    torch.manual_seed(0)
    tensors = some_features((16, 96, 40, 40))
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(with_slopes(ours, tensors, 6))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            torch.testing.assert_close(one, another, rtol=0, atol=0)


def plain(network):
    """With torch's and timm's own layers."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.ReLU6):
            module.__dict__.pop("forward", None)
    return network


NETWORKS = {
    "detector": lambda: Detector(DetectorConfig(pretrained=False)).backbone,
    "generator": lambda: Generator(1, 8, 1, "bn"),
}


@compiled
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_learn_as_they_did(name):
    torch.manual_seed(0)
    network = NETWORKS[name]().to(memory_format=torch.channels_last)
    theirs, exact = plain(network), plain(network).double()
    images = torch.rand((4, 3, 64, 64)).contiguous(memory_format=torch.channels_last)
    assert "_Normalised" in " ".join(_steps(network(images).grad_fn))
    assert not any(buffer.requires_grad for buffer in network.buffers())
    theirs(images)
    exact(images.double())
    for each, given in ((network, images), (theirs, images), (exact, images.double())):
        each(given).square().mean().backward()
    for (key, value), expected in zip(network.state_dict().items(), exact.state_dict().values(), strict=True):
        torch.testing.assert_close(value.double(), expected.double(), rtol=1e-3, atol=1e-4, msg=key)
    assert error(network, exact) <= 0.05 and error(theirs, exact) <= 0.05
    made, expected = network.eval()(images), exact.eval()(images.double())
    torch.testing.assert_close(made.double(), expected, rtol=1e-3, atol=1e-3)


def error(network, exact):
    """Of all slopes, as a share of their length."""
    found, expected = (torch.cat([p.grad.flatten() for p in net.parameters()]) for net in (network, exact))
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    ("form", "dtype"), [(torch.contiguous_format, torch.float32), (torch.channels_last, torch.float64)]
)
def test_other_tensors_are_left_to_torch(form, dtype):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(dtype).to(memory_format=form)
    expected = plain(body)
    normalise_at_once(body)
    images = torch.rand((2, 3, 8, 8), dtype=dtype).contiguous(memory_format=form)
    assert "_Normalised" not in " ".join(_steps(body(images).grad_fn))
    expected(images)
    torch.testing.assert_close(body(images), expected(images), rtol=0, atol=0)


def _steps(last):
    waiting, seen = [last], set()
    while waiting:
        step = waiting.pop()
        if step is not None and step not in seen:
            seen.add(step)
            waiting += [before for before, _ in step.next_functions]
    return [type(step).__name__ for step in seen]


def test_the_activation_stays_where_batch_norms_are_shared():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(memory_format=torch.channels_last)
    normalise_at_once(body)
    share_batch_norms(body)
    made = body(torch.rand((2, 3, 8, 8)).contiguous(memory_format=torch.channels_last))
    assert (made == 0).any() and (made >= 0).all()


def test_without_a_compiler_nothing_changes(monkeypatch):
    import dfgame.models.normalised as room

    monkeypatch.setattr(room, "norm_kernel", lambda _: None)
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(memory_format=torch.channels_last)
    expected = plain(body)
    normalise_at_once(body)
    images = torch.rand((2, 3, 8, 8)).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(body(images), expected(images), rtol=0, atol=0)
