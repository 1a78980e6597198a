"""What is particular to each published layout: a folder on disk -> labelled videos."""

from pathlib import Path

from dfgame.datasets import faceforensics, folder
from dfgame.records import UserError, Video

LAYOUTS = (faceforensics, folder)
"""Tried in this order. Each has NAME, EXPECTED, `recognises(root)` and `find(root)`."""


def find_videos(root: Path) -> tuple[str, list[Video]]:
    """The data set's name and its videos, sorted by path, told by looking at the folder.

    Raises:
        UserError: the folder is missing, is of no known layout, or holds no video.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    for layout in LAYOUTS:
        if layout.recognises(root):
            videos = sorted(layout.find(root), key=lambda video: video.path)
            if not videos:
                raise UserError(f"{root}: looks like {layout.NAME}, but holds no video", layout.EXPECTED)
            return layout.NAME, videos
    expected = "; or ".join(layout.EXPECTED for layout in LAYOUTS)
    raise UserError(f"{root}: not a known layout", f"expected {expected}")
