"""The published formulation, to be timed against: the blur by K^2 stored maps, and the round with its extra passes.

Written afresh from the paper and from how its code behaves, on the processor: NCHW tensors in float32, real and fake
images in passes of their own, the detector in eval mode and frozen in the adversary's move, its weights' gradients
not asked for there, four more passes of the detector without gradients for logging, and one step on the clean and
adversarial images together. Where it is not known what the code did, what is cheaper was taken: the detector learns
from the images of the adversary's last move, which are not drawn again after the generators' last step.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def published_blur(images: Tensor, precision: Tensor, window: int) -> Tensor:
    """A weight for each offset and pixel, normalised, times the shifted image: some 3 K^2 maps are kept."""
    reach = window // 2
    height, width = images.shape[2:]
    padded = functional.pad(images, (reach,) * 4, mode="reflect")
    precision = precision.expand_as(images)
    shifted, weights = [], []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            rows, columns = slice(reach + dy, reach + dy + height), slice(reach + dx, reach + dx + width)
            shifted.append(padded[:, :, rows, columns])
            weights.append(torch.exp(-(dy * dy + dx * dx) * precision / 2))
    kernel = torch.stack(weights)
    kernel = kernel / kernel.sum(dim=0, keepdim=True)
    return (kernel * torch.stack(shifted)).sum(dim=0)


def loss_of(detector: nn.Module, images: Tensor, label: int) -> Tensor:
    """Mean cross-entropy of all patches against the one label."""
    logits = detector(images)
    return functional.cross_entropy(logits.flatten(0, 1), torch.full((logits.shape[:2].numel(),), label))


def generator_round(
    detector: nn.Module,
    generators: Sequence[nn.Module],
    optimizer: torch.optim.Optimizer,
    optimizers: Sequence[torch.optim.Optimizer],
    sides: Sequence[Tensor],
    *,
    window: int,
    moves: int,
) -> list[float]:
    """One round with generators, s = max(u^2, 1); `sides` are the real and the fake images. What was logged."""
    detector.eval()
    for parameter in detector.parameters():
        parameter.requires_grad = False
    logged, adversarial = [], list(sides)
    for _ in range(moves):
        for label in (0, 1):
            adversarial[label] = published_blur(
                sides[label], generators[label](sides[label]).square().clamp_min(1), window
            )
            loss = -loss_of(detector, adversarial[label], label)
            optimizers[label].zero_grad()
            loss.backward()
            optimizers[label].step()
            logged.append(loss.item())
    return logged + _detectors_move(detector, optimizer, sides, [images.detach() for images in adversarial])


def gradient_round(
    detector: nn.Module,
    optimizer: torch.optim.Optimizer,
    sides: Sequence[Tensor],
    *,
    window: int,
    moves: int,
    step: float = 10.0,
    budget: float = 100.0,
) -> list[float]:
    """One round along the detector's gradient: a uniform map of the budget's norm, a step, the norm again."""
    detector.eval()
    for parameter in detector.parameters():
        parameter.requires_grad = False
    logged, adversarial = [], []
    for label in (0, 1):
        precision = _normalised(torch.ones_like(sides[label]), budget)
        for _ in range(moves):
            precision.requires_grad_(True)
            loss = loss_of(detector, published_blur(sides[label], precision, window), label)
            (slope,) = torch.autograd.grad(loss, precision)
            precision = _normalised(precision.detach() + step * slope, budget)
            logged.append(loss.item())
        adversarial.append(published_blur(sides[label], precision, window))
    return logged + _detectors_move(detector, optimizer, sides, adversarial)


def _normalised(precision: Tensor, budget: float) -> Tensor:
    return budget * precision / torch.linalg.vector_norm(precision, dim=(1, 2, 3), keepdim=True)


def _detectors_move(
    detector: nn.Module, optimizer: torch.optim.Optimizer, sides: Sequence[Tensor], adversarial: Sequence[Tensor]
) -> list[float]:
    with torch.no_grad():
        logged = [loss_of(detector, images, label).item() for label, images in enumerate((*sides,))]
        logged += [loss_of(detector, images, label).item() for label, images in enumerate(adversarial)]
    for parameter in detector.parameters():
        parameter.requires_grad = True
    detector.train()
    optimizer.zero_grad()
    logits = detector(torch.cat([*sides, *adversarial]))
    labels = torch.tensor([0, 1, 0, 1]).repeat_interleave(len(sides[0]) * logits.shape[1])
    loss = functional.cross_entropy(logits.flatten(0, 1), labels)
    loss.backward()
    optimizer.step()
    answers = logits.detach().softmax(dim=2).mean(dim=1).argmax(dim=1)
    right = (answers == torch.tensor([0, 1, 0, 1]).repeat_interleave(len(sides[0]))).float().mean()
    return [*logged, loss.item(), right.item()]
