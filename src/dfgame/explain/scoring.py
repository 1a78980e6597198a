"""Crops in the analyst's pixels -> what the detector says of them, and which way it leans."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from dfgame.batches import fitted, to_unit
from dfgame.boxed import BoxedDetector, Ensemble
from dfgame.media import RgbImage
from dfgame.models import Detector

BATCH = 8
"""Crops that are scored at once, unless somebody says otherwise; on one core more are slower."""


def images_of(detector: BoxedDetector, crops: Sequence[RgbImage]) -> Float[Tensor, "B 3 H W"]:
    """Crops as the detector takes them: at its side, in [0, 1]; just as a file's crops come to it."""
    side = detector.facts.image_size
    return torch.stack([to_unit(fitted(crop, side)) for crop in crops])


def raw_of(detector: BoxedDetector, crops: Sequence[RgbImage]) -> NDArray[np.float64]:
    """The raw probability of fake of each crop, in [0, 1]."""
    parts = [
        detector.probabilities(images_of(detector, crops[start : start + BATCH])).cpu().double().numpy()
        for start in range(0, len(crops), BATCH)
    ]
    return np.concatenate([np.empty(0), *parts])


class Ensembled(Protocol):
    """Whatever has an ensemble: a detector out of its box, or one that is put together from runs."""

    @property
    def ensemble(self) -> Ensemble:
        """Its detectors."""
        ...


class AsOne(nn.Module):
    """An ensemble as a single detector with the patches of all its members; unlike it, it can be differentiated."""

    def __init__(self, detector: Ensembled) -> None:
        super().__init__()
        self._members = detector.ensemble.members
        self._device = next(detector.ensemble.parameters(), torch.empty(0)).device
        self.training = self._members.training  # whoever puts it back into its mode puts the members into theirs

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B P C"]:
        """The logits of each patch of each member. The mean of their softmax is what the ensemble says."""
        images = images.to(self._device, memory_format=torch.channels_last)
        return torch.cat([member(images) for member in self._members], dim=1)

    def log_odds(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B"]:
        """The log-odds of the raw probability of fake, exact however sure the detector is."""
        said = self(images).log_softmax(dim=2)
        return said[:, :, 1:].flatten(1).logsumexp(dim=1) - said[:, :, 0].logsumexp(dim=1)

    def adversarial_statistics(self) -> AbstractContextManager[None]:
        """A box keeps none: an adversary meets the detector as it is."""
        return nullcontext()

    @contextmanager
    def folded_norms(self) -> Iterator[None]:
        """As a detector's, for all members that have some."""
        with ExitStack() as members:
            for member in self._members:
                if isinstance(member, Detector):
                    members.enter_context(member.folded_norms())
            yield


class TwoSided(AsOne):
    """An ensemble as a single detector with two classes: real, and fake by whatever method."""

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B P 2"]:
        """The logits of each patch of each detector."""
        logits = super().forward(images)
        return torch.cat([logits[:, :, :1], logits[:, :, 1:].logsumexp(dim=2, keepdim=True)], dim=2)
