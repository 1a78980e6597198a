"""What a file is by its content: its name may say anything."""

from pathlib import Path

from dfgame.media.containers import opened
from dfgame.media.pictures import form_of
from dfgame.records import Kind


def kind_of(path: Path) -> Kind:
    """Whether a file is a picture or a video, by its content; a picture that moves is a video.

    A damaged file is told by its first bytes, and may turn out unreadable.

    Raises:
        MediaError: it is neither, or cannot be opened.
    """
    form = form_of(path)
    if form is not None:
        return "picture" if form == "still" else "video"
    with opened(path):
        return "video"
