"""The library inside the package `yuface` called so that other threads of Python go on meanwhile.

The package's own function does the same and holds Python's lock for all of the time (40 ms a frame): frames would
not be decoded beside it. Where the library is not found under its name, the package's function serves.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfgame.media import RgbImage

Found = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
_SYMBOL = "_Z14facedetect_cnnPhS_iii"
"""int* facedetect_cnn(result buffer, BGR pixels, width, height, bytes of a row)."""
_BUFFER = 0x9000
"""Bytes of the result: the number of faces (32 bits), then 16 numbers of 16 bits for each."""
_NUMBERS = 16


def unlocked_detect(folder: Path) -> Callable[[RgbImage, float], Found] | None:
    """What `yuface.detect` is, without the lock; None where there is no such library in the package's folder."""
    try:
        (library, *_) = sorted(folder.glob("libfacedetection.so.v*"))
        call = ctypes.CDLL(str(library))[_SYMBOL]
    except (ValueError, OSError, AttributeError):
        return None
    call.restype, call.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int] * 3]

    def detect(image: RgbImage, min_score: float) -> Found:
        """Scores in percent, boxes (left, top, width, height), five points (x, y) of a BGR image's faces."""
        image, said = np.ascontiguousarray(image), np.zeros(_BUFFER, np.uint8)
        height, width = image.shape[:2]
        call(said.ctypes.data, image.ctypes.data, width, height, image.strides[0])
        count = int(said[:4].view(np.int32)[0])
        faces = said[4 : 4 + 2 * _NUMBERS * count].view(np.int16).reshape(count, _NUMBERS)
        faces = faces[faces[:, 0] > 100 * min_score]
        return faces[:, 0], faces[:, 1:5], faces[:, 5:15]

    return detect
