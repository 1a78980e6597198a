"""Celeb-DF (Li et al., CVPR 2020), version 1 and version 2.

    Celeb-real/id0_0000.mp4                  a person, a clip
    YouTube-real/00170.mp4                   somebody else in each
    Celeb-synthesis/id0_id1_0000.mp4         made from Celeb-real/id0_0000.mp4, with the face of id1
    List_of_testing_videos.txt               `1 YouTube-real/00170.mp4`, where 1 is real

There may be a folder `videos` in each of the three. The published training set is every video that is not listed, so
that people of the test set are in it; here such videos have no split.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dfgame.datasets.layout import Official, People, Place, files_below, folders_below, read_lines
from dfgame.datasets.splits import keep_apart
from dfgame.records import ORIGINAL, UNKNOWN, Label, UserError, Video

NAME: str = "celebdf"
EXPECTED: str = "Celeb-real/, YouTube-real/ and Celeb-synthesis/ as Celeb-DF has them"
V1, V2 = "Celeb-DF-v1", "Celeb-DF-v2"
CELEBRITIES, YOUTUBE, FAKES = "Celeb-real", "YouTube-real", "Celeb-synthesis"
OFFICIAL: Official = {
    V1: {(ORIGINAL, None): 408, (FAKES, None): 795},
    V2: {(ORIGINAL, None): 890, (FAKES, None): 5639, (ORIGINAL, "test"): 178, (FAKES, "test"): 340},
}
LIST = "List_of_testing_videos.txt"
_FOLDERS = {name.casefold(): name for name in (CELEBRITIES, YOUTUBE, FAKES)}
_STEMS = {
    CELEBRITIES: re.compile(r"(id\d+)_\d+"),
    YOUTUBE: re.compile(r"(\d+)"),
    FAKES: re.compile(r"(id\d+)_(id\d+)_(\d+)"),
}
_LINE = re.compile(r"\s*([01])\s+(\S.*?)\s*")
_LISTED = {100: V1, 518: V2}
"""The version by the length of its list."""
_LAST_OF_V1, _FAKES_OF_V1 = 16, 795

Key = tuple[str, str]
"""One of the three folders, and the name of a video in it without suffix."""


class Listed(NamedTuple):
    """A line of the list: the name of the file and what it says of it."""

    file: str
    label: Label


def recognises(root: Path) -> bool:
    """Whether one of the three folders is there."""
    return any(folder_named(path.name) for path in folders_below(root))


def find(place: Place) -> Iterator[Video]:
    """All videos of the three folders, those of the list as the test set."""
    there = _files(place)
    path = _list(place)
    listed = read_list(path) if path else {}
    named = {key: found for key in [*there, *listed] if (found := people(*key))}
    misnamed = (place.relative(there[key]) for key in there if key not in named)
    place.note_each(misnamed, "files passed over, their names are not as Celeb-DF's")
    dataset = _version(place, [*named.values()], sum(folder == FAKES for folder, _ in there), len(listed))
    folders = _folders(place, there)
    videos = []
    for key, file in there.items():
        if key not in named:
            continue
        folder, person = key[0], named[key]
        original = there.get((CELEBRITIES, person.original or ""))
        beside = folders[CELEBRITIES] / f"{person.original}{file.suffix}"
        videos.append(
            Video(
                path=place.relative(file),
                label=label_of(folder),
                method=FAKES if folder == FAKES else ORIGINAL,
                compression=UNKNOWN,
                identity=person.identity,
                source=person.source,
                split=None if path is None else "test" if key in listed else "train",
                original=place.relative(original or beside) if person.original else None,
                dataset=dataset,
            )
        )
    if path is None:
        place.notes.append(f"no {LIST}: no video has a split; it comes with the data, see also --splits")
    for key in listed.keys() - there.keys():
        place.missing[place.relative(folders[key[0]] / listed[key].file)] = LIST
    contradict(place, listed)
    tested = {(dataset, name) for key in listed if key in named for name in named[key][:2] if name}
    kept, number = keep_apart(videos, tested)
    if number:
        place.notes.append(f"{number:,} videos not listed for testing have no split: they show people who are listed")
    yield from kept


def people(folder: str, stem: str) -> People | None:
    """Who is in a video of one of the folders; None where its name is not as the folder's are."""
    found = _STEMS[folder].fullmatch(stem)
    if not found:
        return None
    if folder == FAKES:
        return People(found[1], found[2], f"{found[1]}_{found[3]}")
    return People(f"youtube-{stem}" if folder == YOUTUBE else found[1])


def folder_named(name: str) -> str | None:
    """Which of the three folders it is; capitals differ between copies."""
    return _FOLDERS.get(name.casefold())


def label_of(folder: str) -> Label:
    """The label of all that is in one of the folders."""
    return "fake" if folder == FAKES else "real"


def read_list(path: Path) -> dict[Key, Listed]:
    """The testing videos.

    Raises:
        UserError: a line is not a label, 1 for real or 0 for fake, and a path.
    """
    listed: dict[Key, Listed] = {}
    for where, line in read_lines(path):
        found = _LINE.fullmatch(line)
        file = PurePosixPath(found[2].replace("\\", "/")) if found else PurePosixPath()
        parts = [part for part in file.parts[:-1] if part != "videos"]
        folder = folder_named(parts[-1]) if parts else None
        if found is None or folder is None:
            raise UserError(
                f"{where}: not a line of Celeb-DF's list", "expected lines such as 1 YouTube-real/00170.mp4"
            )
        listed[folder, file.stem] = Listed(file.name, "real" if found[1] == "1" else "fake")
    return listed


def contradict(place: Place, listed: dict[Key, Listed]) -> None:
    """Say where the list's labels contradict the folders, whose labels count."""
    turned = [
        f"{LIST}: {folder}/{line.file} is {line.label} there"
        for (folder, _), line in listed.items()
        if line.label != label_of(folder)
    ]
    altogether = f"all {len(listed):,} lines of {LIST}: 1 stands for fake there; the folders say the opposite"
    place.turn(turned, len(listed), altogether)


def _files(place: Place) -> dict[Key, Path]:
    return {
        (name, file.stem): file
        for folder in folders_below(place.root)
        if (name := folder_named(folder.name))
        for file in (*files_below(folder), *files_below(folder / "videos"))
    }


def _folders(place: Place, there: dict[Key, Path]) -> dict[str, Path]:
    """Where each folder's videos are; of one that is not there, where they would be beside the others."""
    found = {folder: file.parent for (folder, _), file in there.items()}
    level = "videos" if any(path.name == "videos" for path in found.values()) else ""
    return {name: found.get(name, place.root / name / level) for name in _FOLDERS.values()}


def _list(place: Place) -> Path | None:
    """The list of testing videos, None where there is none."""
    if place.splits is None:
        return path if (path := place.root / LIST).is_file() else None
    path = place.splits / LIST if place.splits.is_dir() else place.splits
    if not path.is_file():
        raise UserError(f"--splits {place.splits}: no {LIST} in it", "give the file, or its folder")
    return path


def _version(place: Place, named: list[People], fakes: int, listed: int) -> str:
    """Which version it is: by its list, by its people, by its folder's name, or by its size."""
    last = max((int(found.identity[2:]) for found in named if found.identity.startswith("id")), default=0)
    version = _LISTED.get(listed) or (V2 if last > _LAST_OF_V1 or fakes > _FAKES_OF_V1 else None)
    if version is None:
        name = place.base.resolve().name.casefold()
        version = next((one for one in (V1, V2) if one.casefold().removeprefix("celeb-df-") in name), None)
    if version is None:
        version = V1
        place.notes.append(f"taken for {V1}: nobody after id{_LAST_OF_V1} is in it, and few fakes; {V2} has both")
    return version
