"""TensorFlow's "same" padding without a copy of the image: the tf_ backbones pad before each convolution of stride 2.

Where the side is even their padding has one more row below and column to the right than above and left, which no
convolution of torch does by itself; timm copies the features into a larger tensor, and their gradient out again. But
on mirrored features, with mirrored kernels, that row and column lie above and left: there torch's symmetric padding of
half a kernel does the same, since the windows it takes end before the padding on the other side. So such a network is
fed with mirrored images, all its kernels are mirrored, which are small, and its last map is mirrored back.
"""

from functools import partial
from typing import Any

from jaxtyping import Float
from timm.layers import CondConv2d, Conv2dSame
from timm.models import EfficientNet
from torch import Tensor, nn

from dfgame.models.depthwise import convolve

HEIGHT_AND_WIDTH = (2, 3)


def work_mirrored(network: nn.Module) -> bool:
    """From now on, `network` takes mirrored images and gives mirrored maps; whether it does.

    Only EfficientNets with "same" padding do: all that their layers know of space is their kernels. Modules, weights
    and their names stay what they are.
    """
    convolutions: list[Any] = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if any(isinstance(module, CondConv2d) for module in network.modules()):
        return False
    pads_same = any(isinstance(conv, Conv2dSame) for conv in convolutions)
    if not (isinstance(network, EfficientNet) and pads_same and all(map(_is_plain, convolutions))):
        return False
    for conv in convolutions:
        if conv.kernel_size != (1, 1):
            conv.forward = partial(_mirrored, conv)
    return True


def _is_plain(conv: Any) -> bool:
    """Whether symmetric padding of half a kernel is what it does on mirrored features."""
    (kernel, other), half = conv.kernel_size, conv.kernel_size[0] // 2
    if kernel != other or kernel % 2 == 0 or conv.dilation != (1, 1) or conv.padding_mode != "zeros":
        return False
    if isinstance(conv, Conv2dSame):
        return conv.stride == (2, 2)
    return conv.padding == (half, half) and (kernel == 1 or conv.stride == (1, 1))


def _mirrored(conv: Any, features: Float[Tensor, "B F h w"]) -> Float[Tensor, "B G i j"]:
    kernels = conv.weight.flip(HEIGHT_AND_WIDTH)
    return convolve(features, kernels, conv.bias, conv.stride[0], conv.kernel_size[0] // 2, conv.groups)
