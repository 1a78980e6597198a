"""One round of the game: the adversary's moves, then the detector's (paper, section III; algorithm 1).

A reader of the paper finds it here line by line; who the adversary is, is adversaries.py.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dfgame.adversaries import Adversary, Perturbed, cross_entropy
from dfgame.models import Detector


class Round(NamedTuple):
    """What happened: scalars by name, and the adversary's images and map (None where nobody plays)."""

    scalars: dict[str, float]
    perturbed: Perturbed | None


def play_round(
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    adversary: Adversary | None,
    images: Float[Tensor, "B 3 H W"],
    labels: Int[Tensor, "B"],
    *,
    moves: int = 1,
    class_weights: Float[Tensor, "C"] | None = None,
) -> Round:
    """Play one round on a batch that is half real (label 0) and half fake (1).

    Args:
        detector: D; it is left in train mode.
        optimizer: of D's parameters.
        adversary: its own optimisers are inside it; None trains plainly.
        images: clean, RGB in [0, 1].
        labels: of the images.
        moves: updates of the adversary before the detector's one (g_per_d).
        class_weights: of the detector's cross-entropy.
    """
    scalars: dict[str, float] = {}
    perturbed = None
    if adversary is not None:
        for _ in range(moves):
            scalars |= {
                f"adversary/{name}": value for name, value in adversary.update(images, labels, detector).items()
            }
        perturbed = adversary.perturb(images, labels, detector)

    detector.train()
    loss_clean, loss_adversarial = _losses(detector, images, perturbed, labels, class_weights)
    losses = loss_clean if loss_adversarial is None else torch.cat([loss_clean, loss_adversarial])
    loss = losses.mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()

    scalars |= {"detector/loss": loss.item(), "detector/loss_clean": loss_clean.mean().item()}
    if loss_adversarial is not None:
        scalars["detector/loss_adversarial"] = loss_adversarial.mean().item()
    return Round(scalars, perturbed)


def _losses(
    detector: Detector,
    images: Tensor,
    perturbed: Perturbed | None,
    labels: Tensor,
    class_weights: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Each clean and each adversarial image's cross-entropy; in one batch unless BN keeps them apart."""
    if perturbed is None:
        return cross_entropy(detector(images), labels, class_weights), None
    if detector.has_auxiliary_norms:
        clean = cross_entropy(detector(images), labels, class_weights)
        with detector.adversarial_statistics():
            return clean, cross_entropy(detector(perturbed.images), labels, class_weights)
    both = cross_entropy(detector(torch.cat([images, perturbed.images])), labels.repeat(2), class_weights)
    clean, adversarial = both.chunk(2)
    return clean, adversarial
