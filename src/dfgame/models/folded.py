"""BatchNorm folded into the convolution before it: in eval mode one pass less over the features of each layer.

There y = (conv(x) - mean) / sqrt(var + eps) * gamma + beta is a convolution, too. While the detector is frozen, the
adversary's gradient thus skips every BatchNorm, forward and backward; the weights themselves stay what they are.
Without a gradient the activation after it works in place: an image is scored in about half the time.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dfgame.dice import seeded

Pair = tuple[Any, Any]
"""A convolution, and the BatchNorm (torch's, or timm's with its activation) that alone takes its outputs."""
_SAME = 1e-3
"""Relative difference up to which a folded network is the same: float32 through a deep network."""


def foldable(network: nn.Module, probe: Float[Tensor, "B 3 H W"]) -> list[Pair]:
    """The pairs that can be folded, found by watching the network at work on `probe`; its mode is left as it is.

    Whether nobody else takes a convolution's outputs cannot be watched. So the folded network is tried on other
    weights and statistics; where it then says anything else, there are no pairs.
    """
    with torch.autocast(probe.device.type, enabled=False):  # in bfloat16 nothing would be the same
        return _foldable(network, probe)


def _foldable(network: nn.Module, probe: Tensor) -> list[Pair]:
    training = network.training
    pairs = _seen(network.eval(), probe)
    names = {module: name for name, module in network.named_modules()}
    tried = copy.deepcopy(network)
    modules: dict[str, Any] = dict(tried.named_modules())
    copies = [(modules[names[conv]], modules[names[norm]]) for conv, norm in pairs]
    with torch.no_grad(), seeded(0):
        for _, norm in copies:
            for values, low in (
                (norm.weight, 0.5),
                (norm.bias, -0.5),
                (norm.running_mean, -0.5),
                (norm.running_var, 0.5),
            ):
                values.copy_(torch.empty(values.shape, dtype=values.dtype).uniform_(low, low + 1))
        expected = tried(probe)
        with folded(copies):
            found = tried(probe)
    network.train(training)
    return pairs if (found - expected).abs().max() <= _SAME * expected.abs().max() else []


@contextmanager
def folded(pairs: Sequence[Pair]) -> Iterator[None]:
    """Inside, these convolutions do their BatchNorms' work, with the running statistics; weights take no gradient."""
    before = [(dict(conv._parameters), norm.__dict__.get("forward")) for conv, norm in pairs]
    try:
        fold(pairs)
        yield
    finally:
        for (conv, norm), (parameters, forward) in zip(pairs, before, strict=True):
            conv._parameters.update(parameters)
            del norm.forward
            if forward is not None:
                norm.forward = forward


def fold(pairs: Sequence[Pair]) -> None:
    """From now on, these convolutions do their BatchNorms' work, with the running statistics of now."""
    for conv, norm in pairs:
        conv._parameters["weight"], conv._parameters["bias"] = _merged(conv, norm)
        norm.forward = partial(_activated, norm)


@torch.no_grad()
def _merged(conv: Any, norm: Any) -> tuple[Tensor, Tensor]:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    return conv.weight * scale.view(-1, 1, 1, 1), norm.bias + bias * scale


def _activated(norm: Any, features: Tensor) -> Tensor:
    """What timm's BatchNormAct2d does after normalising; torch's own does nothing."""
    if not hasattr(norm, "act"):
        return features
    if type(norm.act) is nn.ReLU6 and not torch.is_grad_enabled():
        return functional.relu6(norm.drop(features), inplace=True)
    return norm.act(norm.drop(features))


def _seen(network: nn.Module, probe: Tensor) -> list[Pair]:
    outputs: dict[int, tuple[Tensor, nn.Module]] = {}
    pairs: list[Pair] = []
    calls: list[nn.Module] = []

    def of_conv(conv: nn.Module, _inputs: Any, output: Tensor) -> None:
        calls.append(conv)
        outputs[id(output)] = output, conv

    def of_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls.append(norm)
        known = outputs.pop(id(inputs[0]), None)
        if known is not None:
            pairs.append((known[1], norm))

    watched = [
        module.register_forward_hook(of_conv)
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(of_norm)
        for module in network.modules()
        if isinstance(module, nn.Conv2d) or (isinstance(module, nn.BatchNorm2d) and module.affine)
    ]
    try:
        with torch.no_grad():
            network(probe)
    finally:
        for hook in watched:
            hook.remove()
    return [(conv, norm) for conv, norm in pairs if calls.count(conv) == calls.count(norm) == 1]
