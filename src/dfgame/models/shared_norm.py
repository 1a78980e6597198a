"""BatchNorm whose statistics are those of all processes' batches, on every device (torch's own is for GPUs only)."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn


def share_batch_norms(module: nn.Module) -> None:
    """From now on, every BatchNorm inside normalises with the statistics of all processes while it trains.

    The modules stay what they are, and so do the names of their weights. All processes must bring batches of one size.
    """
    norms: list[Any] = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    for norm in norms:
        norm.forward = partial(_shared, norm)


class _SumOfAll(torch.autograd.Function):
    """The sum over all processes; each one's slope is the sum of all processes' slopes."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        total = slopes[0].clone()
        distributed.all_reduce(total)
        return total


def _shared(norm: Any, features: Float[Tensor, "B F h w"]) -> Float[Tensor, "B F h w"]:
    if not norm.training or not distributed.is_initialized():
        return type(norm).forward(norm, features)
    single = features.float()
    count = distributed.get_world_size() * single.numel() / single.shape[1]
    mean = _SumOfAll.apply(single.sum(dim=(0, 2, 3))) / count
    centred = single - mean.view(1, -1, 1, 1)
    variance = _SumOfAll.apply(centred.square().sum(dim=(0, 2, 3))) / count
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean.detach(), norm.momentum)
        norm.running_var.lerp_(variance.detach() * count / max(count - 1, 1), norm.momentum)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    result = (centred * scale.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)).to(features.dtype)
    for after in ("drop", "act"):  # timm's BatchNormAct2d is a BatchNorm2d that goes on with these
        result = getattr(norm, after, nn.Identity())(result)
    return result
