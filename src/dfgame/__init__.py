"""Deepfake forensics via an adversarial game.

The rooms of this package are listed, in the order the data flows through them, in the README.
"""

import importlib
from typing import Any

__version__ = "0.1.0"


def load_detector(path: Any = None, device: str = "auto") -> Any:
    """A trained detector out of its box, ready to score; see `dfgame.boxed.load_detector`.

    Args:
        path: a file of `dfgame calibrate`; None is the one inside the package.
        device: auto, cpu, cuda or mps.
    """
    return importlib.import_module("dfgame.boxed").load_detector(path, device)
