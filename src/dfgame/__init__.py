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


def inspect(path: Any, detector: Any = None, **settings: Any) -> Any:
    """What a detector says of a picture or a video, as a `FileVerdict`; see `dfgame.inspection.pipeline.inspect`.

    Args:
        path: the file.
        detector: one of `load_detector`, or the file it is in; None is the one inside the package.
        settings: those of `dfgame inspect`: frames, every, max_frames, threshold, batch_size, device.

    Raises:
        UserError: it cannot be read.
    """
    return importlib.import_module("dfgame.inspection.pipeline").inspect(path, detector, **settings)


def inspect_many(paths: Any, detector: Any = None, **settings: Any) -> Any:
    """What a detector says of each of many files and of all in folders, one after the other, in their order.

    A file that cannot be read is a `Failure`. See `dfgame.inspection.pipeline.inspect_many`.
    """
    return importlib.import_module("dfgame.inspection.pipeline").inspect_many(paths, detector, **settings)
