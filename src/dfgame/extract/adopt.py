"""Faces that were cut out elsewhere: taken where they are, one picture a row, without a face detector."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from dfgame.config import ExtractConfig
from dfgame.datasets.layout import natural
from dfgame.extract.records import facts_beside, facts_of_file, write_record
from dfgame.media import PICTURE_SUFFIXES, MediaError
from dfgame.records import Video

_FRAME_AND_FACE = re.compile(r"(?:^|_)(\d+)_(\d+)$")
"""The published code names crops video_frame_face."""
_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)")
_EYES_NOSE_MOUTH = ((36, 42), (42, 48), (30, 31), (48, 49), (54, 55))
"""Of the 68 or 81 points of dlib's scheme, those whose means are our five."""


def adopt(root: Path, video: Video, config: ExtractConfig, record: Path) -> int:
    """Leave the record of a folder of crops; returns the number of pictures looked at.

    Raises:
        MediaError: there is no readable picture in it.
    """
    folder = root / video.path
    there = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    shown = (path for path in there if not path.name.startswith("."))
    names = [root / name for name in video.crops] or sorted(shown, key=lambda path: natural(path.name))
    count = min(len(names), config.frames)
    last = len(names) - 1 if config.sampling == "uniform" else count - 1
    pictures = [names[place] for place in np.linspace(0, last, count).round().astype(int)]
    rows, problems = [], []
    for number, picture in enumerate(pictures):
        try:
            rows.append(_row(root, video, picture, number))
        except MediaError as error:
            problems.append(str(error).removeprefix(f"{folder}/"))
    if not rows:
        raise MediaError(f"{folder}: {problems[0] if problems else 'no picture in it'}")
    problem = f"{len(problems)} pictures cannot be used, the first: {problems[0]}" if problems else None
    facts = facts_of_file(folder) | {"beside": facts_beside(root, video), "sha256": _content(pictures)}
    facts |= {"faces": 1, "main": 1, "problem": problem, "looked_at": len(pictures)}
    write_record(record, rows, facts)
    return len(pictures)


def _row(root: Path, video: Video, picture: Path, number: int) -> dict[str, Any]:
    width, height = _size(picture)
    frame, face = _frame_and_face(picture.stem, number)
    mask = root / video.mask / picture.name if video.mask else None
    return {
        "path": str(picture.resolve()),
        "frame": frame,
        "time": 0.0,
        "left": 0.0,
        "top": 0.0,
        "right": float(width),
        "bottom": float(height),
        "landmarks": _landmarks(picture),
        "score": 0.0,
        "track": face,
        "mask": str(mask.resolve()) if mask is not None and mask.is_file() else None,
    }


def _size(picture: Path) -> tuple[int, int]:
    """Width and height; only the header is read."""
    try:
        with Image.open(picture) as image:
            return image.size
    except FileNotFoundError:
        raise MediaError(f"{picture}: no such file") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        problem = "empty" if picture.stat().st_size == 0 else f"not a picture ({type(error).__name__})"
        raise MediaError(f"{picture}: {problem}") from None


def _frame_and_face(stem: str, number: int) -> tuple[int, int]:
    """The frame's number and the face's, as the name has them; the picture's place in its folder otherwise."""
    if both := _FRAME_AND_FACE.search(stem):
        return int(both[1]) % 2**31, int(both[2]) % 2**15
    last = _LAST_NUMBER.search(stem)
    return (int(last[1]) % 2**31 if last else number), 0


def _landmarks(picture: Path) -> list[float]:
    """Five points from an array of dlib's that lies beside the pictures, as DeepfakeBench has it; zeros otherwise."""
    path = picture.parent.parent.parent / "landmarks" / picture.parent.name / f"{picture.stem}.npy"
    try:
        points = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return [0.0] * 10
    if points.ndim != 2 or points.shape[0] < 68 or points.shape[1] != 2:
        return [0.0] * 10
    return [float(value) for start, end in _EYES_NOSE_MOUTH for value in points[start:end].mean(axis=0)]


def _content(pictures: Sequence[Path]) -> str:
    """A hash of the first, the middle and the last picture: enough to know a copy of the folder."""
    content = hashlib.sha256()
    for place in sorted({0, len(pictures) // 2, len(pictures) - 1}):
        content.update(pictures[place].read_bytes())
    return content.hexdigest()
