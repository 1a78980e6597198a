"""The adversary's network: a ResNet of the CycleGAN family (Zhu et al., ICCV 2017)."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dfgame.models.depthwise import convolve
from dfgame.models.normalised import normalise_at_once

Norm = Callable[[int], nn.Module]
FEW = 3
"""Maps up to which a convolution map by map is faster on processors."""


class ResidualBlock(nn.Module):
    """Two reflected 3 x 3 convolutions around which the input is carried."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(width, width, 3, norm), *_convolution(width, width, 3, norm, activation=False)
        )

    def forward(self, features: Float[Tensor, "B F h w"]) -> Float[Tensor, "B F h w"]:
        """X + body(x)."""
        return features + self.body(features)


class LastConvolution(nn.Conv2d):
    """A convolution to one map or a few. Processors compute as if they were many: there each is a sum of its parts."""

    def forward(self, input: Float[Tensor, "B F h w"]) -> Float[Tensor, "B S h w"]:
        """As any convolution's."""
        if input.device.type != "cpu" or self.out_channels > FEW or self.bias is None:
            return super().forward(input)
        padded = functional.pad(input, (self.kernel_size[0] // 2,) * 4, mode=self.padding_mode)
        parts = (convolve(padded, weight[:, None], None, 1, 0, self.in_channels) for weight in self.weight)
        maps = [part.sum(dim=1) for part in parts]
        return torch.stack(maps, dim=1) + self.bias.view(1, -1, 1, 1)


class Generator(nn.Module):
    """Images -> the adversary's raw maps, of the images' height and width.

    7 x 7, two stride-2 convolutions, `blocks` residual blocks, two transposed convolutions, 7 x 7; He
    initialised. `outputs` is the number of maps. Height and width must be multiples of 4.
    """

    def __init__(self, outputs: int, filters: int, blocks: int, norm: Literal["bn", "in"]) -> None:
        super().__init__()
        make_norm: Norm = nn.BatchNorm2d if norm == "bn" else partial(nn.InstanceNorm2d, affine=True)
        self.body = nn.Sequential(
            *_convolution(3, filters, 7, make_norm),
            *_convolution(filters, 2 * filters, 3, make_norm, stride=2),
            *_convolution(2 * filters, 4 * filters, 3, make_norm, stride=2),
            *(ResidualBlock(4 * filters, make_norm) for _ in range(blocks)),
            *_transposed(4 * filters, 2 * filters, make_norm),
            *_transposed(2 * filters, filters, make_norm),
            LastConvolution(filters, outputs, 7, padding=3, padding_mode="reflect"),
        )
        self.apply(_he_initialise)
        normalise_at_once(self)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B S H W"]:
        """Raw maps u for RGB images in [0, 1], which are brought to [-1, 1]."""
        return self.body(2 * images - 1)


def _convolution(
    inputs: int, outputs: int, kernel: int, norm: Norm, stride: int = 1, activation: bool = True
) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, padding_mode="reflect", bias=False)
    return [conv, norm(outputs), *([nn.ReLU(inplace=True)] if activation else [])]


def _transposed(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False)
    return [conv, norm(outputs), nn.ReLU(inplace=True)]


def _he_initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
