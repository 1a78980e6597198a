"""The blur against the plain formula in float64, its gradients against finite differences, its limits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfgame.blur import (
    pixelwise_gaussian_blur,
    precision_from_raw,
    project,
    uniform_precision,
)
from dfgame.config import BlurConfig
from dfgame.kernels import blur_kernel

WINDOWS = (3, 5, 7, 9, 11, 13, 15)


def plain_formula(images, precision, window):
    """x'(p) = sum_d w(p,d) x(p+d) / sum_d w(p,d), offset by offset, pixel by pixel index reflection."""
    batch, colours, height, width = images.shape
    precision = precision.expand(batch, colours, height, width)
    reach = window // 2

    def reflected(index, size):
        index = abs(index)
        return index if index < size else 2 * (size - 1) - index

    numerator, denominator = torch.zeros_like(images), torch.zeros_like(images)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            rows = [reflected(y + dy, height) for y in range(height)]
            columns = [reflected(x + dx, width) for x in range(width)]
            weight = torch.exp(-(dy * dy + dx * dx) * precision / 2)
            numerator += weight * images[:, :, rows][:, :, :, columns]
            denominator += weight
    return numerator / denominator


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("maps", [1, 3])
def test_equals_the_plain_formula(window, maps):
    generator = torch.Generator().manual_seed(window)
    images = torch.rand((2, 3, 9, 17), generator=generator, dtype=torch.float64)
    precision = 4 * torch.rand((2, maps, 9, 17), generator=generator, dtype=torch.float64) ** 3
    difference = pixelwise_gaussian_blur(images, precision, window) - plain_formula(images, precision, window)
    assert difference.abs().max() < 1e-12


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(WINDOWS), st.integers(8, 30), st.integers(8, 30), st.floats(0, 1e6), st.integers(0, 2**31))
def test_any_size_and_any_precision_stay_within_the_images_range(window, height, width, strength, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand((1, 3, height, width), generator=generator)
    precision = strength * torch.rand((1, 1, height, width), generator=generator)
    blurred = pixelwise_gaussian_blur(images, precision, window)
    assert blurred.min() >= images.min() - 1e-5
    assert blurred.max() <= images.max() + 1e-5


@pytest.mark.parametrize("maps", [1, 3])
def test_gradients(maps):
    images = torch.rand((1, 3, 8, 8), dtype=torch.float64, requires_grad=True)
    precision = torch.rand((1, maps, 8, 8), dtype=torch.float64, requires_grad=True)

    def blur(x, s):
        return pixelwise_gaussian_blur(x, s, 3)

    assert torch.autograd.gradcheck(blur, (images, precision))
    assert torch.autograd.gradgradcheck(blur, (images, precision))


compiled = pytest.mark.skipif(blur_kernel(3) is None, reason="no C compiler here")


@compiled
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("maps", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (9, 31), (40, 33)])
def test_the_compiled_blur_and_its_gradients_are_those_of_the_plain_formula(window, maps, size):
    torch.manual_seed(window)
    images, slope = torch.rand((3, 3, *size), requires_grad=True), torch.randn((3, 3, *size))
    precision = (3 * torch.rand((3, maps, *size))).requires_grad_()
    blurred = pixelwise_gaussian_blur(images, precision, window)
    assert blurred.grad_fn is not None and "Compiled" in blurred.grad_fn.name()
    blurred.backward(slope)

    exact = images.detach().double().requires_grad_(), precision.detach().double().requires_grad_()
    expected = plain_formula(*exact, window)
    expected.backward(slope.double())
    torch.testing.assert_close(blurred.double(), expected, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip((images, precision), exact, strict=True):
        assert ours.grad is not None and theirs.grad is not None
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-5)


@compiled
def test_the_compiled_blurs_second_derivative():
    def curvature(dtype):
        torch.manual_seed(0)
        images, precision, slope = (torch.rand((1, 3, 8, 8)).to(dtype).requires_grad_() for _ in range(3))
        blurred = pixelwise_gaussian_blur(images, precision, 3)
        first = torch.autograd.grad(blurred, (images, precision), slope, create_graph=True)
        total = first[0].square().sum() + first[1].square().sum()
        return torch.autograd.grad(total, (images, precision, slope))

    for single, double in zip(curvature(torch.float32), curvature(torch.float64), strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


@compiled
@pytest.mark.parametrize("threads", [1, 3])
def test_the_compiled_blur_does_not_depend_on_the_threads(threads):
    torch.manual_seed(0)
    images, precision = torch.rand((5, 3, 16, 16)), torch.rand((5, 1, 16, 16))
    before = torch.get_num_threads()
    expected = pixelwise_gaussian_blur(images, precision, 5)
    try:
        torch.set_num_threads(threads)
        assert torch.equal(pixelwise_gaussian_blur(images, precision, 5), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("compiler", ["", "/no/such/compiler"])
def test_without_a_compiler_the_blur_is_the_same(compiler, monkeypatch):
    images, precision = torch.rand((2, 3, 9, 9)), torch.rand((2, 1, 9, 9))
    expected = pixelwise_gaussian_blur(images, precision, 5)
    monkeypatch.setenv("CC", compiler)
    blur_kernel.cache_clear()
    try:
        assert blur_kernel(5) is None
        torch.testing.assert_close(pixelwise_gaussian_blur(images, precision, 5), expected)
    finally:
        blur_kernel.cache_clear()


def test_torch_compile_takes_the_blur_whole():
    images, precision = torch.rand((2, 3, 9, 9)), torch.rand((2, 1, 9, 9)).requires_grad_()
    whole = torch.compile(pixelwise_gaussian_blur, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(whole(images, precision, 5), pixelwise_gaussian_blur(images, precision, 5))


@pytest.mark.parametrize("strength", [0.0, 1e4, 1e38, float("inf")])
def test_extreme_precisions_in_float32(strength):
    images = torch.rand((1, 3, 9, 9))
    precision = torch.full((1, 1, 9, 9), strength, requires_grad=True)
    blurred = pixelwise_gaussian_blur(images, precision, 3)
    blurred.sum().backward()
    assert torch.isfinite(blurred).all() and precision.grad is not None and torch.isfinite(precision.grad).all()
    if strength:
        torch.testing.assert_close(blurred, images)


def test_limits():
    images = torch.rand((2, 3, 12, 12), dtype=torch.float64)
    box = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(images, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
    nothing, everything = torch.zeros((2, 1, 12, 12)).double(), torch.full((2, 1, 12, 12), 1e4).double()
    torch.testing.assert_close(pixelwise_gaussian_blur(images, nothing, 5), box)
    torch.testing.assert_close(pixelwise_gaussian_blur(images, everything, 5), images)


def test_a_constant_image_stays_itself():
    images = torch.full((1, 3, 10, 10), 0.3)
    torch.testing.assert_close(pixelwise_gaussian_blur(images, torch.rand((1, 1, 10, 10)), 7), images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_no_nan(dtype):
    images = torch.rand((1, 3, 16, 16)).to(dtype).requires_grad_()
    precision = (torch.rand((1, 1, 16, 16)) * 1e4).to(dtype).requires_grad_()
    blurred = pixelwise_gaussian_blur(images, precision, 15)
    blurred.sum().backward()
    assert blurred.dtype == dtype
    for tensor in (blurred, images.grad, precision.grad):
        assert tensor is not None and torch.isfinite(tensor).all()


def test_memory_layout_does_not_matter():
    images, precision = torch.rand((2, 3, 12, 16)), torch.rand((2, 1, 12, 16))
    expected = pixelwise_gaussian_blur(images, precision, 5)
    last = pixelwise_gaussian_blur(images.contiguous(memory_format=torch.channels_last), precision, 5)
    strided = pixelwise_gaussian_blur(
        images.transpose(2, 3).contiguous().transpose(2, 3),
        torch.cat([precision, precision], dim=3)[..., :16],
        5,
    )
    torch.testing.assert_close(last, expected)
    torch.testing.assert_close(strided, expected)


@pytest.mark.parametrize("shape", [(2, 2, 8, 8), (1, 1, 8, 8), (2, 1, 7, 8), (2, 1, 8, 7)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="does not fit"):
        pixelwise_gaussian_blur(torch.rand((2, 3, 8, 8)), torch.rand(shape), 3)


def test_even_window_is_refused():
    with pytest.raises(ValueError, match="odd"):
        pixelwise_gaussian_blur(torch.rand((1, 3, 8, 8)), torch.rand((1, 1, 8, 8)), 4)


RAW = torch.tensor([[-3.0, -0.5], [0.0, 2.0]]).view(1, 1, 2, 2)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BlurConfig(constraint="clamp"), [[9.0, 1.0], [1.0, 4.0]]),
        (BlurConfig(constraint="free"), [[9.0, 0.25], [0.0, 4.0]]),
        (BlurConfig(constraint="free", sigmoid=True), torch.sigmoid(RAW[0, 0]).tolist()),
    ],
)
def test_raw_output_becomes_precision(config, expected):
    torch.testing.assert_close(precision_from_raw(RAW, config)[0, 0], torch.tensor(expected))


@pytest.mark.parametrize("maps", [1, 3])
@pytest.mark.parametrize("size", [64, 256])
def test_norm_shares_out_a_budget_that_does_not_depend_on_the_size(maps, size):
    config = BlurConfig(constraint="norm", channels=maps)
    raw = torch.randn((2, maps, size, size), generator=torch.Generator().manual_seed(0))
    precision = precision_from_raw(raw, config)
    norms = torch.linalg.vector_norm(precision.flatten(1), dim=1)
    torch.testing.assert_close(norms, torch.full((2,), 100.0 * size / 256))


def test_norm_of_a_map_of_zeros_is_zeros():
    assert (precision_from_raw(torch.zeros((1, 1, 8, 8)), BlurConfig(constraint="norm")) == 0).all()


@pytest.mark.parametrize(("constraint", "start"), [("clamp", 1.0), ("free", 1.0), ("norm", 100 / 256)])
def test_uniform_start_is_a_fixed_point_of_the_projection(constraint, start):
    config = BlurConfig(constraint=constraint)
    precision = uniform_precision(torch.rand((1, 3, 32, 32)), config)
    torch.testing.assert_close(precision, torch.full((1, 1, 32, 32), start))
    torch.testing.assert_close(project(precision, config), precision)
    assert (project(precision - 10, config) >= 0).all()
