"""One round of the game: the adversary's moves, then the detector's (paper, section III; algorithm 1).

A reader of the paper finds it here line by line; who the adversary is, is adversaries.py.
"""

from collections.abc import Callable, Sequence
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
    parts: int = 1,
    permute: bool = False,
    augment_after: Callable[[Tensor], Tensor] | None = None,
    class_weights: Float[Tensor, "C"] | None = None,
) -> Round:
    """Play one round on a batch that is half real (label 0) and half fake (1, or 1 to 4 by method).

    Args:
        detector: D; it is left in train mode.
        optimizer: of D's parameters.
        adversary: its own optimisers are inside it; None trains plainly.
        images: clean, RGB in [0, 1].
        labels: of the images.
        moves: learning steps of the adversary before the detector's one (g_per_d).
        parts: play the batch in so many parts, every `parts`-th image in each, and step once.
        permute: shuffle the detector's batch.
        augment_after: applied to clean and to adversarial images before the detector learns from them.
        class_weights: of the detector's cross-entropy.
    """
    batch = [(images[part::parts], labels[part::parts]) for part in range(parts)]
    scalars: dict[str, float] = {}
    perturbed: list[Perturbed] = []
    if adversary is not None:
        perturbed, worth = adversary.move(batch, detector, moves)
        scalars |= {f"adversary/{name}": value for name, value in worth.items()}

    detector.train()
    optimizer.zero_grad(set_to_none=True)
    losses: list[Tensor] = []
    for number, (clean, of_clean) in enumerate(batch):
        versions = [clean, perturbed[number].images] if perturbed else [clean]
        if augment_after is not None:
            versions = [augment_after(version) for version in versions]
        of_versions = _losses(detector, versions, of_clean, class_weights, permute)
        (of_versions.mean() / parts).backward()
        losses.append(of_versions.detach().mean(dim=1) / parts)
    optimizer.step()

    loss_clean, *loss_adversarial = torch.stack(losses).sum(dim=0).tolist()
    of_detector = [loss_clean, *loss_adversarial]
    scalars |= {"detector/loss": sum(of_detector) / len(of_detector), "detector/loss_clean": loss_clean}
    if loss_adversarial:
        scalars["detector/loss_adversarial"] = loss_adversarial[0]
    return Round(scalars, _whole(perturbed) if perturbed else None)


def _losses(
    detector: Detector, versions: Sequence[Tensor], labels: Tensor, class_weights: Tensor | None, permute: bool
) -> Float[Tensor, "V B"]:
    """Cross-entropy of each image in each version, clean and adversarial: in one batch unless BN keeps them apart."""
    if len(versions) > 1 and detector.has_auxiliary_norms:
        clean = _in_one_batch(detector, versions[0], labels, class_weights, permute)
        with detector.adversarial_statistics():
            adversarial = _in_one_batch(detector, versions[1], labels, class_weights, permute)
        return torch.stack([clean, adversarial])
    together = _in_one_batch(detector, torch.cat(list(versions)), labels.repeat(len(versions)), class_weights, permute)
    return together.view(len(versions), -1)


def _in_one_batch(
    detector: Detector, images: Tensor, labels: Tensor, class_weights: Tensor | None, permute: bool
) -> Float[Tensor, "B"]:
    """Each image's cross-entropy, in the order of `images`, in whatever order the detector sees them."""
    if not permute:
        return cross_entropy(detector(images), labels, class_weights)
    order = torch.randperm(len(images)).to(images.device)
    return cross_entropy(detector(images[order]), labels[order], class_weights)[order.argsort()]


def _whole(parts: Sequence[Perturbed]) -> Perturbed:
    """The parts' images and maps in the order of the batch: every so-many-th image is a part's."""
    images, maps = (torch.stack(of_parts, dim=1).flatten(0, 1) for of_parts in zip(*parts, strict=True))
    return Perturbed(images, maps)
