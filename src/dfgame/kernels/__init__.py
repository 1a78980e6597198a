"""What torch has no fast way for, in C: compiled when it is first wanted, done without where there is no compiler.

`blur_kernel`, `depthwise_kernel` and `norm_kernel` give a kernel, or None; nobody else needs to know which of the two
happened.
"""

import ctypes
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from dfgame.kernels.compiled import Function, compiled, declared, run

MOST_REACH = 7
"""Half of the largest window that is worth compiling, 15."""
_PART = 2**18
"""Values that one thread computes in less time than it takes to call another."""


class BlurKernel:
    """The compiled blur of one window. All tensors are float32, contiguous, on the processor.

    The images of a batch are shared out to as many threads as torch uses; what comes out does not depend on how many.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._forward = declared(library.dfgame_blur_forward, pointers=4, sizes=3)
        self._backward = declared(library.dfgame_blur_backward, pointers=5, sizes=3)

    def forward(self, images: Tensor, precision: Tensor, slopes: bool) -> tuple[Tensor, Tensor | None]:
        """The blurred images; and, if asked for, the slope of each of their values in its pixel's precision."""
        blurred = torch.empty_like(images)
        found = torch.empty_like(images) if slopes else None
        self._run(self._forward, images.shape, precision.shape, images, precision, blurred, found)
        return blurred, found

    def backward(
        self, precision: Tensor, slopes: Tensor | None, slope: Tensor, of_images: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of the images, if asked for, and of the precision, if `slopes` are there, from that of the
        blurred images.
        """
        slope_images = torch.empty_like(slope) if of_images else None
        slope_precision = torch.empty_like(precision) if slopes is not None else None
        tensors = (precision, slopes, slope, slope_images, slope_precision)
        self._run(self._backward, slope.shape, precision.shape, *tensors)
        return slope_images, slope_precision

    @staticmethod
    def _run(function: Function, images: torch.Size, maps: torch.Size, *tensors: Tensor | None) -> None:
        """Image by image; where each colour has a map of its own, each is an image by itself."""
        count = maps[0] * maps[1]
        run(function, count, tensors, (images[0] * images[1] // max(count, 1), *images[2:]))


class DepthwiseKernel:
    """The compiled slope in the kernels of a convolution map by map. All tensors are float32, on the processor."""

    def __init__(self, library: ctypes.CDLL, window: int) -> None:
        self._function = declared(library.dfgame_depthwise, pointers=3, sizes=7)
        self._window = window

    def __call__(
        self, features: Float[Tensor, "B C H W"], slope: Float[Tensor, "B C h w"], stride: int, padding: int
    ) -> Float[Tensor, "C 1 K K"]:
        """The gradient of the kernels from that of the convolution's outputs; zeros are `padding` wide around."""
        count, maps, height, width = features.shape
        weights = features.new_empty((count, maps, 1, self._window, self._window))
        last = torch.channels_last
        tensors = (features.contiguous(memory_format=last), slope.contiguous(memory_format=last), weights)
        run(self._function, count, tensors, (maps, height, width, *slope.shape[2:], stride, padding))
        return weights.sum(dim=0)


class NormKernel:
    """The compiled BatchNorm with the activation after it. All tensors are float32, on the processor, maps last.

    `of_maps` holds, one row each: scale, shift, centre, tilt, offset; as many of them as a step needs.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._sums = declared(library.dfgame_normalise_sums, pointers=3, sizes=2)
        self._values = declared(library.dfgame_normalise_values, pointers=3, sizes=2)
        self._slope_sums = declared(library.dfgame_normalise_slope_sums, pointers=4, sizes=2)
        self._slope = declared(library.dfgame_normalise_slope, pointers=4, sizes=2)

    def moments(self, features: Float[Tensor, "B F h w"]) -> tuple[Float[Tensor, "F"], Float[Tensor, "F"]]:
        """Mean and variance (over the count) of each map, in float64."""
        centre = features[0, :, 0, 0].clone()
        first, second = self._summed(self._sums, (features,), centre) / (features.numel() // features.shape[1])
        return first + centre, second - first.square()

    def values(self, features: Float[Tensor, "B F h w"], of_maps: Float[Tensor, "N F"]) -> Float[Tensor, "B F h w"]:
        """The activation of features * scale + shift."""
        made = torch.empty_like(features)
        self._run(self._values, (features, made), of_maps)
        return made

    def slope_sums(self, features: Tensor, slope: Tensor, of_maps: Float[Tensor, "N F"]) -> Float[Tensor, "2 F"]:
        """Of each map, in float64: the sum of the slopes that the activation lets through, and of their products with
        features - centre.
        """
        return self._summed(self._slope_sums, (features, slope), of_maps)

    def slope(self, features: Tensor, slope: Tensor, of_maps: Float[Tensor, "5 F"]) -> Float[Tensor, "B F h w"]:
        """The features' slope: scale * slope where it is let through + tilt * (features - centre) + offset."""
        made = torch.empty_like(features)
        self._run(self._slope, (features, slope, made), of_maps)
        return made

    def _summed(self, function: Function, images: tuple[Tensor, ...], of_maps: Tensor) -> Tensor:
        made = images[0].new_empty((_parts(images[0]), 2, images[0].shape[1]))
        self._run(function, (*images, made), of_maps)
        return made.double().sum(dim=0)

    @staticmethod
    def _run(function: Function, tensors: tuple[Tensor, ...], of_maps: Tensor) -> None:
        features, parts = tensors[0], _parts(tensors[0])
        maps = features.shape[1]
        run(function, parts, tensors, (maps, features.numel() // (parts * maps)), (of_maps,))


def _parts(features: Float[Tensor, "B F h w"]) -> int:
    """Into how many equal parts the images are cut: threads pay for large ones only."""
    count = len(features)
    most = min(count, -(-features.numel() // _PART))
    return next(parts for parts in range(most, count + 1) if count % parts == 0)


@lru_cache(maxsize=MOST_REACH)
def blur_kernel(window: int) -> BlurKernel | None:
    """The compiled blur of this window; None where there is no compiler, or the window is too large."""
    reach = window // 2
    library = compiled("blur", "R", reach) if 1 <= reach <= MOST_REACH else None
    return None if library is None else BlurKernel(library)


@lru_cache(maxsize=MOST_REACH)
def depthwise_kernel(window: int) -> DepthwiseKernel | None:
    """The compiled slope of kernels of this side; None where there is no compiler, or they are too large."""
    library = compiled("depthwise", "K", window) if 3 <= window <= MOST_REACH else None
    return None if library is None else DepthwiseKernel(library, window)


@lru_cache(maxsize=MOST_REACH)
def norm_kernel(activation: int) -> NormKernel | None:
    """The compiled BatchNorm with an activation after it, 0 none, 1 ReLU, 6 ReLU6; None where there is no compiler."""
    library = compiled("normalise", "ACTIVATION", activation)
    return None if library is None else NormKernel(library)
