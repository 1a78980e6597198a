"""torch's dice on the processor, thrown apart from everybody else's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, they follow from the seed; afterwards they lie as before. Those of other devices are not touched."""
    dice = torch.default_generator
    before = dice.get_state()
    dice.manual_seed(seed)
    try:
        yield
    finally:
        dice.set_state(before)
