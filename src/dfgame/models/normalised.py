"""BatchNorm and the activation after it as one step, while they learn: torch passes twice as often over the features.

In timm's mobile networks ReLU6 changes BatchNorm's outputs in place, for which autograd copies them first.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from dfgame.kernels import norm_kernel

ACTIVATIONS = {nn.Identity: 0, nn.ReLU: 1, nn.ReLU6: 6}
"""By their numbers in the kernel."""


def normalise_at_once(network: nn.Module) -> None:
    """From now on, every BatchNorm inside does the activation after it along, where that can be compiled.

    That is timm's BatchNorm with an activation of its own, or torch's before a ReLU in a `Sequential`. Modules,
    weights and their names stay what they are.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for norm, act in pairwise(module):
                if type(norm) is nn.BatchNorm2d and type(act) is nn.ReLU:
                    vars(norm)["forward"] = partial(_normalised, norm, act)
                    vars(act)["forward"] = partial(_after, norm, act)
        elif isinstance(module, BatchNormAct2d):
            act: Any = module.act
            if type(module.drop) is nn.Identity and type(act) in ACTIVATIONS:
                vars(module)["forward"] = partial(_normalised, module, act)
            if isinstance(act, nn.ReLU6):
                act.inplace = False


def _after(norm: Any, act: Any, features: Tensor) -> Tensor:
    """The activation, unless BatchNorm did it along: what else replaces a BatchNorm's forward leaves it to do."""
    along = getattr(vars(norm).get("forward"), "func", None) is _normalised
    return features if along else type(act).forward(act, features)


def _normalised(norm: Any, act: nn.Module, features: Float[Tensor, "B F h w"]) -> Float[Tensor, "B F h w"]:
    activation = ACTIVATIONS[type(act)]
    if not (_learns(norm) and _is_faster(features, norm.weight, activation)):
        made = type(norm).forward(norm, features)
        return made if isinstance(norm, BatchNormAct2d) else type(act).forward(act, made)
    made, mean, variance = _Normalised.apply(features, norm.weight, norm.bias, norm.eps, activation)
    count = features.numel() // features.shape[1]
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * count / max(count - 1, 1), norm.momentum)
    return made


def _learns(norm: Any) -> bool:
    return norm.training and norm.affine and norm.track_running_stats and norm.momentum is not None


def _is_faster(features: Tensor, weight: Tensor, activation: int) -> bool:
    return (
        features.device.type == "cpu"
        and features.dtype == weight.dtype == torch.float32
        and features.is_contiguous(memory_format=torch.channels_last)
        and features.numel() > features.shape[1]
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and norm_kernel(activation) is not None
    )


class _Normalised(torch.autograd.Function):
    """Autograd's view of it."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, eps: float, activation: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What comes out, and each map's mean and variance."""
        kernel = norm_kernel(activation)
        assert kernel is not None
        mean, variance = kernel.moments(features)
        inverse = torch.rsqrt(variance + eps)
        scale = weight * inverse
        of_maps = torch.stack((scale, bias - mean * scale, mean, inverse)).float()
        mean, variance = of_maps[2].clone(), variance.float()
        ctx.save_for_backward(features, weight, of_maps)
        ctx.eps, ctx.activation = eps, activation
        ctx.mark_non_differentiable(mean, variance)
        return kernel.values(features, of_maps), mean, variance

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        """The slopes of features, weight and bias: by torch where they are to have slopes themselves."""
        features, weight, of_maps = ctx.saved_tensors
        scale, shift, mean, inverse = of_maps
        slope = given[0].contiguous(memory_format=torch.channels_last)
        if torch.is_grad_enabled():
            slope = slope * _lets_through(features, scale, shift, ctx.activation)
            settings = (None, None, mean, inverse, True, ctx.eps, list(ctx.needs_input_grad[:3]))
            return *torch.ops.aten.native_batch_norm_backward(slope, features, weight, *settings), None, None
        kernel = norm_kernel(ctx.activation)
        assert kernel is not None
        of_bias, products = kernel.slope_sums(features, slope, of_maps)
        of_weight, share = products * inverse, scale * features.shape[1] / features.numel()
        of_slope = torch.stack((-share * inverse * of_weight, -share * of_bias)).float()
        of_features = kernel.slope(features, slope, torch.cat((of_maps[:3], of_slope)))
        return of_features, of_weight.float(), of_bias.float(), None, None


def _lets_through(features: Tensor, scale: Tensor, shift: Tensor, activation: int) -> Tensor:
    """Where the activation is the identity."""
    made = features.detach() * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
    if activation == 0:
        return torch.ones_like(made, dtype=torch.bool)
    return (made > 0) & (made < (activation if activation > 1 else torch.inf))
