"""The pixel-wise Gaussian blur: the adversary's move, and the heart of the game.

Source: Wang, Guo, Zuo, "Deepfake Forensics via an Adversarial Game", IEEE TIP 31, 2022, section III.

How this departs from the published code, and why:

1.  Each pixel p of each image is the mean of its K x K neighbourhood under its own Gaussian,

        x'(p) = sum_d w(p,d) x(p+d) / sum_d w(p,d),    w(p,d) = exp(-|d|^2 s(p) / 2).

    The published code writes out w for every offset d: K^2 maps, then K^2 products. But w depends on d only
    through |d|^2, so all offsets at one distance share it. With q = exp(-s/2) both sums are polynomials in q
    whose coefficients do not depend on s: the numerator's are the sums of the image shifted to all offsets at
    one distance (its *shells*: 3 for K = 3, 6 for K = 5, 10 for K = 7), the denominator's are their counts.
2.  The precision s = 1/sigma^2 is the variable, not sigma: s = 0 is the box mean and s -> infinity the
    identity, both reached without a division by zero.
3.  The budget N of the norm constraint is scaled with the image's size, so that the mean strength of the blur
    does not depend on the resolution. It is 100 for one map at 256 x 256, as published.

Axes: B images, C colours (3), S maps of the precision (1 for all colours, or 3), H rows, W columns.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dfgame.config import BlurConfig

REFERENCE_VALUES = 256 * 256
"""Values of the map for which the budget of the norm constraint is stated."""
LEAST_PRECISION = 1.0
"""The clamp constraint's bound: sigma is at most one pixel."""


@lru_cache(maxsize=16)
def shells(window: int) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
    """The offsets of a window by their squared distance from its centre, nearest first.

    `shells(3)` is ((0, centre), (1, four neighbours), (2, four corners)).

    Raises:
        ValueError: the window is not an odd number of at least 1.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window: must be odd and positive, not {window}")
    reach = range(-(window // 2), window // 2 + 1)
    by_distance: dict[int, list[tuple[int, int]]] = {}
    for dy in reach:
        for dx in reach:
            by_distance.setdefault(dy * dy + dx * dx, []).append((dy, dx))
    return tuple((distance, tuple(by_distance[distance])) for distance in sorted(by_distance))


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
        ValueError: the window is even, or the shapes do not fit each other.
    """
    batch, colours, height, width = images.shape
    if precision.shape[1] not in (1, colours) or precision.shape[::2] != (batch, height):
        raise ValueError(f"precision {tuple(precision.shape)} does not fit images {tuple(images.shape)}")
    reach = window // 2
    padded = functional.pad(images, (reach,) * 4, mode="reflect")
    q = torch.exp(-precision / 2)
    numerator, denominator = images, torch.ones_like(q)
    for distance, offsets in shells(window)[1:]:
        shell = sum(
            padded[..., reach + dy : reach + dy + height, reach + dx : reach + dx + width] for dy, dx in offsets
        )
        weight = q**distance
        numerator = numerator + weight * shell
        denominator = denominator + len(offsets) * weight
    return numerator / denominator


def scaled_budget(budget: float | Tensor, precision: Float[Tensor, "B S H W"]) -> float | Tensor:
    """N for maps of this size: `budget` at 256 x 256, the same mean square of s at any other."""
    return budget * (precision[0].numel() / REFERENCE_VALUES) ** 0.5


def with_norm(precision: Float[Tensor, "B S H W"], budget: float | Tensor) -> Float[Tensor, "B S H W"]:
    """Share out the budget: s <- N s / ||s||_2 for each image, N scaled to the map's size."""
    norm = torch.linalg.vector_norm(precision, dim=(1, 2, 3), keepdim=True)
    return scaled_budget(budget, precision) * (precision / norm.clamp_min(torch.finfo(norm.dtype).tiny))


def precision_from_raw(
    raw: Float[Tensor, "B S H W"], config: BlurConfig, budget: float | Tensor | None = None
) -> Float[Tensor, "B S H W"]:
    """The adversary's raw output u, any real number, as a precision map s >= 0.

    clamp: max(u^2, 1); free: u^2; norm and learn-norm: N u^2 / ||u^2||_2. With `config.sigmoid`, sigmoid(u)
    takes the place of u^2. `budget` is the learned N of learn-norm; `config.budget` otherwise.
    """
    positive = torch.sigmoid(raw) if config.sigmoid else raw.square()
    match config.constraint:
        case "clamp":
            return positive.clamp_min(LEAST_PRECISION)
        case "free":
            return positive
        case "norm" | "learn-norm":
            return with_norm(positive, config.budget if budget is None else budget)


def project(precision: Float[Tensor, "B S H W"], config: BlurConfig) -> Float[Tensor, "B S H W"]:
    """Bring a map that has left the constraint's set, by a gradient step, back into it."""
    match config.constraint:
        case "clamp":
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
