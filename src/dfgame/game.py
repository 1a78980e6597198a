"""One round of the game: the adversary's moves, then the detector's (paper, section III; algorithm 1).

A reader of the paper finds it here line by line; who the adversary is, is adversaries.py.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dfgame.adversaries import Adversary, Part, Perturbed, cross_entropy
from dfgame.config import pairs_of
from dfgame.models import Detector
from dfgame.records import LABELS

ATTACKED = {"both": LABELS, "real": LABELS[:1], "fake": LABELS[1:]}
"""The sides that an adversary plays on, by its `attacks`."""


class Round(NamedTuple):
    """What happened: scalars by name; the attacked images, and what the adversary made of them, if there is one."""

    scalars: dict[str, float]
    attacked: Float[Tensor, "A 3 H W"] | None
    perturbed: Perturbed | None


def play_round(
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    adversary: Adversary | None,
    images: Float[Tensor, "B 3 H W"],
    labels: Int[Tensor, "B"],
    *,
    moves: int = 1,
    share: float = 1.0,
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
        share: of the images, that appear among the adversarial ones: the first of each half, in their random order.
            Those of a side that the adversary does not attack stand there unchanged.
        parts: play the batch in so many parts, every `parts`-th image in each, and step once.
        permute: shuffle the detector's batch.
        augment_after: applied to clean and to adversarial images before the detector learns from them.
        class_weights: of the detector's cross-entropy.
    """
    batch = [(images[part::parts], labels[part::parts]) for part in range(parts)]
    scalars: dict[str, float] = {}
    attacked: list[Part] = []
    perturbed: list[Perturbed] = []
    if adversary is not None:
        attacked = [_shared(part, share, ATTACKED[adversary.attacks]) for part in batch]
        perturbed, worth = adversary.move(attacked, detector, moves)
        scalars |= {f"adversary/{name}": value for name, value in worth.items()}

    detector.train()
    optimizer.zero_grad(set_to_none=True)
    losses: list[Tensor] = []
    for number, clean in enumerate(batch):
        versions = [clean]
        if adversary is not None:
            if spared := [side for side in LABELS if side not in ATTACKED[adversary.attacks]]:
                versions = [_together([clean, _shared(clean, share, spared)])]
            versions.append((perturbed[number].images, attacked[number][1]))
        if augment_after is not None:
            versions = [(augment_after(version), of_version) for version, of_version in versions]
        of_versions = _losses(detector, versions, class_weights, permute)
        of_all = torch.cat(of_versions)
        (of_all.mean() / parts).backward()
        losses.append(torch.stack([of.detach().mean() for of in (of_all, *of_versions)]) / parts)
    optimizer.step()

    loss, loss_clean, *loss_adversarial = torch.stack(losses).sum(dim=0).tolist()
    scalars |= {"detector/loss": loss, "detector/loss_clean": loss_clean}
    if not perturbed:
        return Round(scalars, None, None)
    scalars["detector/loss_adversarial"] = loss_adversarial[0]
    return Round(scalars, _whole([of for of, _ in attacked]), Perturbed(*map(_whole, zip(*perturbed, strict=True))))


def _shared(part: Part, share: float, sides: Sequence[str]) -> Part:
    """So much of each of these sides: the first of its half."""
    images, labels = part
    half = len(labels) // 2
    pairs = pairs_of(share, half)
    starts = [start for side, start in zip(LABELS, (0, half), strict=True) if side in sides]
    return _together([(images[start : start + pairs], labels[start : start + pairs]) for start in starts])


def _together(parts: Sequence[Part]) -> Part:
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)


def _losses(
    detector: Detector, versions: Sequence[Part], class_weights: Tensor | None, permute: bool
) -> list[Float[Tensor, "_"]]:
    """Cross-entropy of each image, unchanged and adversarial: in one batch unless BN keeps them apart."""
    if len(versions) > 1 and detector.has_auxiliary_norms:
        clean = _in_one_batch(detector, *versions[0], class_weights, permute)
        with detector.adversarial_statistics():
            adversarial = _in_one_batch(detector, *versions[1], class_weights, permute)
        return [clean, adversarial]
    images, labels = map(torch.cat, zip(*versions, strict=True))
    together = _in_one_batch(detector, images, labels, class_weights, permute)
    return list(together.split([len(of_version) for _, of_version in versions]))


def _in_one_batch(
    detector: Detector, images: Tensor, labels: Tensor, class_weights: Tensor | None, permute: bool
) -> Float[Tensor, "B"]:
    """Each image's cross-entropy, in the order of `images`, in whatever order the detector sees them."""
    if not permute:
        return cross_entropy(detector(images), labels, class_weights)
    order = torch.randperm(len(images)).to(images.device)
    return cross_entropy(detector(images[order]), labels[order], class_weights)[order.argsort()]


def _whole(parts: Sequence[Tensor]) -> Tensor:
    """The parts' images, or maps, in the order of the batch: every so-many-th image is a part's."""
    return torch.stack(list(parts), dim=1).flatten(0, 1)
