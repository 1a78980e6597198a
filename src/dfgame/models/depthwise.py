"""Convolutions map by map whose kernels learn faster: torch's own slope of the kernels takes most of their time."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dfgame.kernels import depthwise_kernel


def convolve(
    features: Float[Tensor, "B C H W"],
    kernels: Float[Tensor, "D E K K"],
    bias: Float[Tensor, "D"] | None,
    stride: int,
    padding: int,
    groups: int,
) -> Float[Tensor, "B D h w"]:
    """As torch's `conv2d`; map by map, the slope of the kernels comes from C where that can be compiled."""
    if bias is None and _is_faster(features, kernels, groups):
        return _Depthwise.apply(features, kernels, stride, padding)
    return functional.conv2d(features, kernels, bias, stride, padding, 1, groups)


def _is_faster(features: Tensor, kernels: Tensor, groups: int) -> bool:
    return (
        kernels.requires_grad
        and torch.is_grad_enabled()
        and 1 < groups == features.shape[1] == kernels.shape[0]
        and features.device.type == "cpu"
        and features.dtype == kernels.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and depthwise_kernel(kernels.shape[2]) is not None
    )


class _Depthwise(torch.autograd.Function):
    """Autograd's view of it."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, kernels: Tensor, stride: int, padding: int) -> Tensor:
        """The convolution, by torch."""
        ctx.save_for_backward(features, kernels)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(features, kernels, None, stride, padding, 1, len(kernels))

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """The slopes of features, and of kernels: by torch, too, where they are to have slopes themselves."""
        (slope,) = given
        features, kernels = ctx.saved_tensors
        of_features = of_kernels = None
        features_too, kernels_too, *_ = ctx.needs_input_grad
        in_c = kernels_too and not torch.is_grad_enabled()
        if features_too or not in_c:
            shape = (None, [ctx.stride] * 2, [ctx.padding] * 2, [1, 1], False, [0, 0], len(kernels))
            wanted = [features_too, kernels_too and not in_c, False]
            of_features, of_kernels, _ = torch.ops.aten.convolution_backward(slope, features, kernels, *shape, wanted)
        if in_c:
            kernel = depthwise_kernel(kernels.shape[2])
            assert kernel is not None
            of_kernels = kernel(features, slope, ctx.stride, ctx.padding)
        return of_features, of_kernels, None, None
