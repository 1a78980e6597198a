"""TensorFlow's "same" padding without a copy of the image: the tf_ backbones pad before each convolution of stride 2.

Their padding has one more row below and column to the right than above and left, which no convolution of torch
does by itself; timm copies the image into a larger one, and its gradient out again. But padded by two more on every
side, a convolution of stride 2 gives the same outputs after one more at the top and left, which is left out.
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional


def pad_in_place(module: nn.Module) -> None:
    """From now on, the "same" convolutions inside pad without copying. The modules and their weights stay."""
    convolutions: list[Any] = [conv for conv in module.modules() if isinstance(conv, Conv2dSame)]
    for conv in convolutions:
        conv.forward = partial(_padded, conv)


def _padded(conv: Any, images: Float[Tensor, "B F h w"]) -> Float[Tensor, "B G i j"]:
    (kernel, other), (stride, _) = conv.kernel_size, conv.stride
    paddings = {max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in images.shape[2:]}
    if kernel != other or conv.stride != (2, 2) or conv.dilation != (1, 1) or len(paddings) > 1:
        return type(conv).forward(conv, images)
    (padding,) = paddings
    before = padding // 2
    if padding % 2 == 0:
        return functional.conv2d(images, conv.weight, conv.bias, conv.stride, before, 1, conv.groups)
    outputs = functional.conv2d(images, conv.weight, conv.bias, conv.stride, before + 2, 1, conv.groups)
    last = outputs.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    return outputs[..., 1:, 1:].contiguous(memory_format=layout)  # what follows is slow on a view
