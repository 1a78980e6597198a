"""What is particular to each published layout: a folder on disk -> labelled videos."""

from pathlib import Path

from dfgame.datasets import faceforensics, folder
from dfgame.records import UserError, Video

LAYOUTS = (faceforensics, folder)
"""Tried in this order. Each has EXPECTED, `recognises(root)` (the data set's name, or None) and `find(root)`."""


def find_videos(root: Path) -> tuple[str, list[Video]]:
    """The data set's name and its videos, sorted by path, told by looking at the folder.

    Raises:
        UserError: the folder is missing, is of no known layout, or holds no video.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    for layout in LAYOUTS:
        name = layout.recognises(root)
        if name is not None:
            videos = sorted(layout.find(root), key=lambda video: video.path)
            if not videos:
                raise UserError(f"{root}: looks like {name}, but holds no video", f"expected {layout.EXPECTED}")
            return name, videos
    state = "not a known layout" if any(root.iterdir()) else "an empty folder"
    raise UserError(f"{root}: {state}", "expected " + "; or ".join(layout.EXPECTED for layout in LAYOUTS))
