"""A running average of a network's weights, which generalises better than where they happen to stand last."""

import torch
from torch import nn


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move a running average of a module's weights and statistics towards it, by 1 - decay of the way.

    What is counted, as BatchNorm's batches, is taken over.
    """
    pairs = list(zip(average.state_dict().values(), module.state_dict().values(), strict=True))
    means, values = zip(*((mean, value) for mean, value in pairs if mean.is_floating_point()), strict=True)
    torch._foreach_lerp_(means, values, 1 - decay)
    for mean, value in pairs:
        if not mean.is_floating_point():
            mean.copy_(value)
