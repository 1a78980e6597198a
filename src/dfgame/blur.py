"""The pixel-wise Gaussian blur: the adversary's move, and the heart of the game.

Source: Wang, Guo, Zuo, "Deepfake Forensics via an Adversarial Game", IEEE TIP 31, 2022, section III.

How this departs from the published code, and why:

1.  Each pixel p of each image is the mean of its K x K neighbourhood under its own Gaussian,

        x'(p) = sum_d w(p,d) x(p+d) / sum_d w(p,d),    w(p,d) = exp(-|d|^2 s(p) / 2).

    The published code writes out w for every offset d: K^2 maps, then K^2 products. But a pixel's own Gaussian is
    separable, w(p,(i,j)) = a_i(p) a_j(p) with a_k = exp(-k^2 s / 2). So the sums of the image over the offsets at
    distance i in rows and j in columns are made first, from sums shared along one of the two, and the denominator is
    the square (1 + 2 (a_1 + ... + a_r))^2. Where there is a C compiler the processor's float32 blur is one pass
    over the image that stores its result and its slope in s (kernels/blur.c); `_plain` is the same in tensors.
2.  The precision s = 1/sigma^2 is the variable, not sigma: s = 0 is the box mean and s -> infinity the
    identity, both reached without a division by zero.
3.  The budget N of the norm constraint is scaled with the image's size, so that the mean strength of the blur
    does not depend on the resolution. It is 100 for an image of 256 x 256, as published, in one map or in three.

Axes: B images, C colours (3), S maps of the precision (1 for all colours, or 3), H rows, W columns.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dfgame.config import BlurConfig
from dfgame.kernels import blur_kernel

REFERENCE_PIXELS = 256 * 256
"""Of an image for which the budget of the norm constraint is stated."""
LEAST_PRECISION = 1.0
"""The clamp constraint's bound: sigma is at most one pixel."""


def pixelwise_gaussian_blur(
    images: Float[Tensor, "B C H W"], precision: Float[Tensor, "B S H W"], window: int = 3
) -> Float[Tensor, "B C H W"]:
    """Blur each pixel of each image with its own Gaussian (paper, section III; see the top of this file).

    Args:
        images: any range; H and W larger than window // 2, since the border is reflected.
        precision: s = 1/sigma^2 >= 0 in 1/pixel^2; one map an image, or one for each colour.
        window: K, odd.

    Returns:
        The blurred images: the shape and, where the two inputs agree in it, the type of `images`.
        Differentiable, twice, in both inputs.

    Raises:
        ValueError: the window is even or larger than the images, or the shapes do not fit each other.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window: must be odd and positive, not {window}")
    batch, colours, *size = images.shape
    if precision.shape[1] not in (1, colours) or [precision.shape[0], *precision.shape[2:]] != [batch, *size]:
        raise ValueError(f"precision {tuple(precision.shape)} does not fit images {tuple(images.shape)}")
    if window == 1:
        return images.clone()
    if min(size) <= window // 2:
        raise ValueError(f"images {tuple(images.shape)} are too small for a window of {window}")
    single = images.dtype == precision.dtype == torch.float32 and images.device.type == "cpu"
    if single and not torch.compiler.is_compiling() and blur_kernel(window) is not None:
        return _Compiled.apply(images, precision, window)
    return _plain(images, precision, window)


def _plain(images: Tensor, precision: Tensor, window: int) -> Tensor:
    """The blur in tensors: any device, any type, any number of derivatives; torch.compile makes one loop of it."""
    reach = window // 2
    height, width = images.shape[2:]
    padded = functional.pad(images, (reach,) * 4, mode="reflect")
    q = torch.exp(-precision / 2)
    weights = [q ** (k * k) for k in range(1, reach + 1)]
    along_rows = [padded[..., reach : reach + width]] + [
        padded[..., reach - j : reach - j + width] + padded[..., reach + j : reach + j + width]
        for j in range(1, reach + 1)
    ]

    def row(i: int) -> Tensor:
        """Sum_j a_j V_ij: the rows at distance i, blurred along themselves by the pixel they go to."""
        total = None
        for weight, sums in zip([None, *weights], along_rows, strict=True):
            both = sums[:, :, reach - i : reach - i + height]
            both = both + sums[:, :, reach + i : reach + i + height] if i else both
            total = both if total is None or weight is None else total + weight * both
        assert total is not None
        return total

    numerator = row(0)
    for i, weight in enumerate(weights, start=1):
        numerator = numerator + weight * row(i)
    total = 1 + 2 * sum(weights, start=torch.zeros_like(q))
    return numerator / total.square()


class _Compiled(torch.autograd.Function):
    """The blur in C. A second derivative goes through `_plain`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, precision: Tensor, window: int) -> Tensor:
        kernel = blur_kernel(window)
        assert kernel is not None
        blurred, slopes = kernel.forward(images.contiguous(), precision.contiguous(), ctx.needs_input_grad[1])
        ctx.save_for_backward(images, precision, slopes)
        ctx.window = window
        return blurred

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        images, precision, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():
            blurred = _plain(images, precision, ctx.window)
            wanted = [t for t in (images, precision) if t.requires_grad]
            found = iter(torch.autograd.grad(blurred, wanted, given[0], create_graph=True))
            return *(next(found) if t.requires_grad else None for t in (images, precision)), None  # type: ignore[return-value]
        kernel = blur_kernel(ctx.window)
        assert kernel is not None
        of_images = ctx.needs_input_grad[0]
        return *kernel.backward(precision.contiguous(), slopes, given[0].contiguous(), of_images), None


def scaled_budget(budget: float | Tensor, precision: Float[Tensor, "B S H W"]) -> float | Tensor:
    """N for images of this size: `budget` at 256 x 256, the same mean square of s at any other."""
    height, width = precision.shape[2:]
    return budget * (height * width / REFERENCE_PIXELS) ** 0.5


def with_norm(precision: Float[Tensor, "B S H W"], budget: float | Tensor) -> Float[Tensor, "B S H W"]:
    """Share out the budget: s <- N s / ||s||_2 for each image, N scaled to the image's size."""
    norm = torch.linalg.vector_norm(precision, dim=(1, 2, 3), keepdim=True)
    return scaled_budget(budget, precision) * (precision / norm.clamp_min(torch.finfo(norm.dtype).tiny))


def precision_from_raw(
    raw: Float[Tensor, "B S H W"], config: BlurConfig, budget: float | Tensor | None = None
) -> Float[Tensor, "B S H W"]:
    """The adversary's raw output u, any real number, as a precision map s >= 0.

    clamp, and auto: max(u^2, 1); free: u^2; norm and learn-norm: N u^2 / ||u^2||_2. With `config.sigmoid`, sigmoid(u)
    takes the place of u^2. `budget` is the learned N of learn-norm; `config.budget` otherwise.
    """
    positive = torch.sigmoid(raw) if config.sigmoid else raw.square()
    match config.constraint:
        case "auto" | "clamp":
            return positive.clamp_min(LEAST_PRECISION)
        case "free":
            return positive
        case "norm" | "learn-norm":
            return with_norm(positive, config.budget if budget is None else budget)


def project(precision: Float[Tensor, "B S H W"], config: BlurConfig) -> Float[Tensor, "B S H W"]:
    """Bring a map that has left the constraint's set, by a gradient step, back into it."""
    match config.constraint:
        case "auto" | "clamp":
            return precision.clamp_min(LEAST_PRECISION)
        case "free":
            return precision.clamp_min(0)
        case "norm" | "learn-norm":
            return with_norm(precision.clamp_min(0), config.budget)


def uniform_precision(images: Float[Tensor, "B C H W"], config: BlurConfig) -> Float[Tensor, "B S H W"]:
    """The map with one and the same sigma everywhere that the constraint starts from.

    1 under clamp (its strongest blur) and free; N / sqrt(number of values) under the norm constraints.
    """
    maps = images.new_ones((images.shape[0], config.channels, *images.shape[2:]))
    return project(maps, config)


def sigma(precision: Float[Tensor, "B S H W"]) -> Float[Tensor, "B S H W"]:
    """The blur's standard deviation in pixels, s^(-1/2); infinite where s is 0."""
    return precision.rsqrt()
