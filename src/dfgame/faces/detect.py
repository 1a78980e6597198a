"""Face detectors: one small protocol, a class a detector."""

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from dfgame.faces.unlocked import unlocked_detect
from dfgame.media import RgbImage
from dfgame.records import Face, UserError

LONGEST_SIDE = 640
"""Frames are brought to it before detection: faces that matter are found at that size, and it is fast."""


DEFAULT = "yuface"
"""The package of the detector that is used where none is named."""


class FaceDetector(Protocol):
    """What finds faces: an upright RGB image -> its faces, best first, in pixels of that image."""

    def __call__(self, image: RgbImage, /) -> list[Face]:
        """Find the faces; an empty list where there is none."""
        ...


class YuFace:
    """libfacedetection (Yu Shiqi and others), whose weights travel inside the package `yuface`."""

    def __init__(self, min_score: float = 0.6) -> None:
        with _sleeping_threads():
            import yuface

        self._detect = unlocked_detect(Path(yuface.__file__).parent) or yuface.detect
        self._min_score = min_score

    def __call__(self, image: RgbImage) -> list[Face]:
        """Find the faces in an upright RGB image."""
        height, width = image.shape[:2]
        shrink = min(1.0, LONGEST_SIDE / max(height, width))
        if shrink < 1:
            small = max(round(width * shrink), 1), max(round(height * shrink), 1)
            image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        scores, boxes, points = self._detect(np.ascontiguousarray(image[:, :, ::-1]), self._min_score)
        scale = np.array([width / image.shape[1], height / image.shape[0]])
        faces = [
            _face(int(score), box.astype(np.float64), five.astype(np.float64), scale)
            for score, box, five in zip(scores, boxes, points, strict=True)
        ]
        return sorted(faces, key=lambda face: -face.score)


@contextmanager
def _sleeping_threads() -> Iterator[None]:
    """Libraries loaded inside let their OpenMP threads sleep while they wait, unless the user says otherwise.

    By default they spin, which on a machine that is busy with something else makes yuface many times slower.
    """
    name = "OMP_WAIT_POLICY"
    if name in os.environ:
        yield
        return
    os.environ[name] = "passive"
    try:
        yield
    finally:
        del os.environ[name]


def default_detector(min_score: float) -> FaceDetector:
    """The detector that works offline, without a download.

    Raises:
        UserError: its package is not installed.
    """
    if importlib.util.find_spec(DEFAULT) is None:
        raise UserError(
            "no face detector is installed: yuface is made for Python below 3.12",
            "use Python 3.11 and pip install yuface",
        )
    return YuFace(min_score)


def detector_facts() -> dict[str, str]:
    """Name and version of the default detector, kept with what it found; no version where it is not installed."""
    try:
        return {"name": DEFAULT, "version": importlib.metadata.version(DEFAULT)}
    except importlib.metadata.PackageNotFoundError:
        return {"name": DEFAULT, "version": ""}


def _face(score: int, box: np.ndarray, five: np.ndarray, scale: np.ndarray) -> Face:
    """Yuface's integers (score in percent; left, top, width, height; x, y of five points) as a Face."""
    left, top, width, height = box
    corners = np.array([[left, top], [left + width, top + height]]) * scale
    points = five.reshape(5, 2) * scale
    return Face(
        box=tuple(corners.ravel().tolist()),
        points=tuple((x, y) for x, y in points.tolist()),
        score=score / 100,
    )
