"""A folder of real face photographs and nothing else, as `dfgame forge` takes it.

A subfolder, with all below it, is a person; without subfolders a file's name up to the first "_" is. Such a folder has
no fakes: they are forged while training.
"""

from collections.abc import Iterator
from pathlib import Path

from dfgame.datasets.layout import Official, Place, natural
from dfgame.media import PICTURE_SUFFIXES
from dfgame.records import ORIGINAL, UNKNOWN, UserError, Video

NAME: str = "photographs"
EXPECTED: str = "photographs of real faces, a subfolder a person or files named PERSON_anything"
OFFICIAL: Official = {}


def recognises(root: Path) -> bool:
    """Never: that all faces are real is for the user to say."""
    return False


def find(place: Place) -> Iterator[Video]:
    """Every photograph as a real video of one frame."""
    for person, paths in find_photographs(place.root).items():
        for path in paths:
            yield Video(
                path=place.relative(path),
                label="real",
                method=ORIGINAL,
                compression=UNKNOWN,
                identity=person,
                dataset=place.base.resolve().name,
            )


def find_photographs(folder: Path) -> dict[str, list[Path]]:
    """Pictures by person: a subfolder with all below it, or else a file's name up to the first "_". None is hidden.

    Raises:
        UserError: the folder is missing or holds no picture.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder", "give a folder with photographs of faces as FACES")
    people: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*"), key=lambda p: natural(p.relative_to(folder).as_posix())):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() in PICTURE_SUFFIXES and not any(part.startswith(".") for part in parts):
            name = parts[0] if len(parts) > 1 else path.stem.split("_")[0]
            people.setdefault(name, []).append(path)
    if not people:
        known = ", ".join(sorted(PICTURE_SUFFIXES))
        raise UserError(f"{folder}: no pictures there", f"give a folder with photographs of faces ({known})")
    return people
