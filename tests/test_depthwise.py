"""Convolutions map by map: features and slopes against torch's own in float64."""

import pytest
import torch
from torch.nn import functional

from dfgame.kernels import depthwise_kernel
from dfgame.models import Generator
from dfgame.models.depthwise import convolve
from dfgame.models.generator import LastConvolution

compiled = pytest.mark.skipif(depthwise_kernel(3) is None, reason="no C compiler here")
SHAPES = [
    (2, 16, 9, 7, 3, 1, 1),
    (1, 40, 8, 8, 5, 2, 2),
    (3, 3, 12, 5, 3, 2, 1),
    (2, 33, 5, 5, 5, 1, 2),
    (2, 17, 13, 20, 7, 1, 0),
    (1, 4, 1, 6, 3, 1, 1),
    (2, 8, 11, 11, 3, 3, 0),
]
"""Images, maps, height, width, side of the kernels, stride, padding."""


def slopes(features, kernels, stride, padding, conv):
    features, kernels = (tensor.detach().clone().requires_grad_() for tensor in (features, kernels))
    made = conv(features, kernels, None, stride, padding, len(kernels))
    made.backward(torch.cos(torch.arange(made.numel(), dtype=made.dtype)).view_as(made))
    assert features.grad is not None and kernels.grad is not None
    return made, features.grad, kernels.grad


def torchs_own(features, kernels, bias, stride, padding, groups):
    return functional.conv2d(features, kernels, bias, stride, padding, 1, groups)


@compiled
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("images", "maps", "height", "width", "side", "stride", "padding"), SHAPES)
def test_slopes_are_torchs(images, maps, height, width, side, stride, padding, form):
    torch.manual_seed(0)
    features = torch.randn((images, maps, height, width)).contiguous(memory_format=form)
    kernels = torch.randn((maps, 1, side, side))
    ours = slopes(features, kernels, stride, padding, convolve)
    exact = slopes(features.double(), kernels.double(), stride, padding, torchs_own)
    made = convolve(features, kernels.requires_grad_(), None, stride, padding, maps)
    assert "_Depthwise" in type(made.grad_fn).__name__
    for own, expected in zip(ours, exact, strict=True):
        torch.testing.assert_close(own.double(), expected, rtol=1e-5, atol=1e-5)


@compiled
def test_slopes_of_slopes_are_torchs():
    torch.manual_seed(0)
    features, kernels = torch.randn((2, 8, 9, 9)), torch.randn((8, 1, 3, 3))
    found = []
    for conv in (convolve, torchs_own):
        at = features.clone().requires_grad_(), kernels.clone().requires_grad_()
        first = torch.autograd.grad(conv(at[0], at[1], None, 1, 1, 8).pow(3).sum(), at, create_graph=True)
        found.append(torch.autograd.grad(sum((of.square().sum() for of in first), torch.zeros(())), at))
    for own, expected in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-2)


@compiled
def test_the_number_of_threads_changes_no_bit():
    torch.manual_seed(0)
    case = torch.randn((5, 24, 16, 16)), torch.randn((24, 1, 5, 5)), 1, 2, convolve
    expected, before = slopes(*case), torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert torch.equal(slopes(*case)[2], expected[2])
    finally:
        torch.set_num_threads(before)


def test_without_a_compiler_it_is_torchs(monkeypatch):
    monkeypatch.setenv("CC", "")
    depthwise_kernel.cache_clear()
    try:
        case = torch.randn((2, 8, 9, 9)), torch.randn((8, 1, 3, 3)), 1, 1
        for own, expected in zip(slopes(*case, convolve), slopes(*case, torchs_own), strict=True):
            assert torch.equal(own, expected)
    finally:
        depthwise_kernel.cache_clear()


def test_a_generator_in_bf16_learns_what_it_does_in_float32():
    torch.manual_seed(0)
    generator, images = Generator(2, filters=16, blocks=1, norm="bn"), torch.rand((2, 3, 32, 32))
    last = generator.body[-1]
    assert isinstance(last, LastConvolution)
    slopes = []
    for kind in (torch.float32, torch.bfloat16):
        last.weight.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is torch.bfloat16):
            generator(images).square().sum().backward()
        assert last.weight.grad is not None
        slopes.append(last.weight.grad.flatten())
    assert functional.cosine_similarity(*slopes, dim=0) > 0.99
