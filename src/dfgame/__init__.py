"""Deepfake forensics via an adversarial game.

The rooms of this package are listed, in the order the data flows through them, in the README.
"""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfgame.boxed import BoxedDetector
    from dfgame.records import Failure
    from dfgame.report.notebook import ShownVerdict

__version__ = "0.1.0"


def load_detector(path: Path | str | None = None, device: str = "auto") -> "BoxedDetector":
    """A trained detector out of its box, ready to score; see `dfgame.boxed.load_detector`.

    Args:
        path: a file of `dfgame calibrate`; None is the one inside the package.
        device: auto, cpu, cuda or mps.
    """
    return importlib.import_module("dfgame.boxed").load_detector(path, device)


def inspect(path: Path | str, detector: "BoxedDetector | None" = None, **settings: Any) -> "ShownVerdict":
    """What a detector says of a picture or a video; a notebook shows it as a picture, and `print` as lines.

    Args:
        path: the file.
        detector: one of `load_detector`; None is the one inside the package.
        settings: those of `dfgame inspect`: frames, every, max_frames, threshold, max_turn, batch_size, timeout,
            device.

    Raises:
        UserError: it cannot be read.
    """
    said = importlib.import_module("dfgame.inspection.pipeline").inspect(path, detector, **settings)
    return importlib.import_module("dfgame.report.notebook").ShownVerdict.of(said)


def inspect_many(
    paths: Iterable[Path | str], detector: "BoxedDetector | None" = None, **settings: Any
) -> "Iterator[ShownVerdict | Failure]":
    """What a detector says of each of many files and of all in folders, one after the other, in their order.

    A file that cannot be read is a `Failure`. See `inspect`.
    """
    failure = importlib.import_module("dfgame.records").Failure
    shown = importlib.import_module("dfgame.report.notebook").ShownVerdict
    for said in importlib.import_module("dfgame.inspection.pipeline").inspect_many(paths, detector, **settings):
        yield said if isinstance(said, failure) else shown.of(said)
