"""DFDC, the DeepFake Detection Challenge (Dolhansky et al., 2020), and its preview of 2019.

    dfdc_train_part_0/aaa.mp4
    dfdc_train_part_0/metadata.json     {"aaa.mp4": {"label": "FAKE", "split": "train", "original": "bbb.mp4"}}
    test/labels.csv                     filename,label with 1 for fake; the videos are beside it or in a folder below
    test/metadata.json                  {"x.mp4": {"is_fake": 1, "original": "y.mp4"}}

So for `validation`; the parts may lie in a folder `train`, or one part alone may be given. The data name no people: a
fake goes by its original's name, a real video by its own. The preview names them, by number:

    dataset.json                        {"method_A/...": {"label": "fake", "set": "train"}}
    original_videos/1795659/1795659_B_001.mp4
    method_A/1795659/1795659_B/2059066_1795659_B_001.mp4            2059066 put into a video of 1795659
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dfgame.datasets.layout import Official, People, Place, files_below, folders_below
from dfgame.datasets.splits import keep_apart
from dfgame.files import read_json
from dfgame.media import VIDEO_SUFFIXES
from dfgame.records import ORIGINAL, UNKNOWN, Label, Split, UserError, Video

NAME: str = "dfdc"
EXPECTED: str = (
    "folders of DFDC with metadata.json or labels.csv, or dataset.json and method_A/ as its preview has them"
)
DFDC, PREVIEW = "DFDC", "DFDC-preview"
OFFICIAL: Official = {
    DFDC: {
        (ORIGINAL, "train"): 19154,
        (ORIGINAL, "val"): 2000,
        (ORIGINAL, "test"): 2500,
        (DFDC, "train"): 100000,
        (DFDC, "val"): 2000,
        (DFDC, "test"): 2500,
    },
    PREVIEW: {(ORIGINAL, None): 1131},
}
"""The preview's 4,119 fakes are published without their methods."""
PREVIEW_METHODS: dict[str, str] = {"original_videos": ORIGINAL, "method_A": "method_A", "method_B": "method_B"}
"""The preview's folders, and the method of each."""
LISTS = ("metadata.json", "labels.csv")
PREVIEW_LIST = "dataset.json"
_LABELS: dict[str, Label] = {"real": "real", "0": "real", "fake": "fake", "1": "fake"}
_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_PLAIN = re.compile(r"[\w-][\w.-]*")
"""The name of a file, without folders."""
_NUMBER = re.compile(r"\d{4,}(?=_)")
"""A person's, before the video's letter."""
_FOLDERS_NUMBER = re.compile(r"\d{4,}")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list says of a video: its label, and where it says so its split, its original and its people."""

    label: Label
    split: Split | None = None
    original: str | None = None
    identity: str | None = None
    source: str | None = None


def recognises(root: Path) -> bool:
    """Whether there is the preview's list beside its folders, or a list where one of DFDC's is, with videos."""
    return _is_preview(root) or any(_beside(path.parent) for path in _lists(root))


def find(place: Place) -> Iterator[Video]:
    """All videos that a list names."""
    return _preview(place) if _is_preview(place.root) else _challenge(place)


def preview_people(path: PurePosixPath) -> People:
    """Who is in a video of the preview: of the numbers in its name the target's is the last, before it the source's.

    Where its name has no number, its folders' names count, and where they have none, it is somebody else's.
    """
    numbers = _NUMBER.findall(path.stem) or _FOLDERS_NUMBER.findall("/".join(path.parts[1:-1]))
    if not numbers:
        return People(path.with_suffix("").as_posix())
    return People(numbers[-1], numbers[0] if numbers[0] != numbers[-1] else None)


def split_named(name: str) -> Split | None:
    """The split that a folder's name tells: `dfdc_train_part_3`, `validation`, `test_videos`."""
    return next((split for word in name.casefold().split("_") if (split := _SPLITS.get(word))), None)


def read_entries(path: Path) -> dict[str, Entry]:
    """What a metadata.json, a labels.csv or a dataset.json says, by the videos' names.

    Raises:
        UserError: it cannot be read, or an entry has no label.
    """
    if path.suffix == ".csv":
        return _read_csv(path)
    listed = read_json(path)
    if not isinstance(listed, dict) or not all(isinstance(entry, dict) for entry in listed.values()):
        raise UserError(f"{path}: does not say of each video what it is", "take the official file again")
    return {name: _entry(entry, f"{path}: {name}") for name, entry in listed.items()}


def _read_csv(path: Path) -> dict[str, Entry]:
    found = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"filename", "label"} <= set(rows.fieldnames or ()):
                raise UserError(f"{path}: has no columns filename and label", "take the official file again")
            for row in rows:
                found[row["filename"] or ""] = _entry(row, f"{path}, line {rows.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    return found


def _entry(entry: dict[str, Any], where: str) -> Entry:
    word = entry.get("label", entry.get("is_fake"))
    label = _LABELS.get(str(int(word) if isinstance(word, bool) else word).strip().casefold())
    if label is None:
        raise UserError(f"{where}: the label is {word!r}", "it is REAL or FAKE, or 0 for real and 1 for fake")
    split = _SPLITS.get(str(entry.get("set", entry.get("split"))).casefold())
    original, target, source = (entry.get(name) for name in ("original", "target_id", "swapped_id"))
    return Entry(
        label=label,
        split=split,
        original=original if isinstance(original, str) and _PLAIN.fullmatch(original) and label == "fake" else None,
        identity=str(target) if isinstance(target, str | int) and target else None,
        source=str(source) if isinstance(source, str | int) and source and label == "fake" else None,
    )


def _folders(root: Path) -> list[Path]:
    """The folder, and those in it that are named as DFDC's, two deep."""
    inner = [folder for folder in folders_below(root) if split_named(folder.name)]
    return [root, *inner, *(deeper for folder in inner for deeper in folders_below(folder))]


def _lists(root: Path) -> list[Path]:
    return [folder / name for folder in _folders(root) for name in LISTS if (folder / name).is_file()]


def _challenge(place: Place) -> Iterator[Video]:
    seen: dict[Path, Entry] = {}
    turned: list[str] = []
    for path in _lists(place.root):
        entries = read_entries(path)
        files = _beside(path.parent)
        home = next(iter(files.values())).parent if files else path.parent
        for name, entry in entries.items():
            file = files.get(name)
            if PurePosixPath(name).name != name:
                raise UserError(f"{path}: names {name}", "DFDC's lists name files, without folders")
            if file is None:
                place.missing[place.relative(home / name)] = place.relative(path)
            elif file not in seen:
                seen[file] = entry
                yield _video(place, file, entry, files)
            elif seen[file].label != entry.label:
                turned.append(f"{place.relative(file)} is {entry.label} in {place.relative(path)}, elsewhere not")
    place.turn(turned, len(seen), f"all {len(seen):,} labels of a metadata.json and a labels.csv are opposite")
    unlisted = {file for folder in _folders(place.root) for file in _beside(folder).values()} - seen.keys()
    place.note_each(map(place.relative, unlisted), "files passed over, no list names them")


def _video(place: Place, file: Path, entry: Entry, files: dict[str, Path]) -> Video:
    folders = [*reversed(file.relative_to(place.root).parts[:-1]), place.root.absolute().name]
    splits: list[Split | None] = [*map(split_named, folders), entry.split]
    original = files.get(entry.original, file.with_name(entry.original)) if entry.original else None
    return Video(
        path=place.relative(file),
        label=entry.label,
        method=ORIGINAL if entry.label == "real" else DFDC,
        compression=UNKNOWN,
        identity=original.stem if original else file.stem,
        split=next(filter(None, splits), None),
        original=place.relative(original) if original else None,
        dataset=DFDC,
    )


def _beside(folder: Path) -> dict[str, Path]:
    """The videos in a folder, and in `videos` or DFDC's folders directly below it, by name; the nearer counts."""
    inner = (one for one in folders_below(folder) if one.name == "videos" or split_named(one.name))
    below = {file.name: file for one in inner for file in files_below(one)}
    return below | {file.name: file for file in files_below(folder)}


def _is_preview(root: Path) -> bool:
    return (root / PREVIEW_LIST).is_file() and any((root / name).is_dir() for name in PREVIEW_METHODS)


def _preview(place: Place) -> Iterator[Video]:
    entries = read_entries(place.root / PREVIEW_LIST)
    there = {
        place.relative(path): path
        for folder in PREVIEW_METHODS
        for path in sorted((place.root / folder).rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    }
    place.note_each(there.keys() - entries.keys(), f"files passed over, {PREVIEW_LIST} does not name them")
    place.missing.update(dict.fromkeys(entries.keys() - there.keys(), PREVIEW_LIST))
    videos, turned = [], []
    for path in sorted(entries.keys() & there.keys()):
        entry, named = entries[path], preview_people(PurePosixPath(path))
        method = PREVIEW_METHODS[path.partition("/")[0]]
        label: Label = "real" if method == ORIGINAL else "fake"
        if entry.label != label:
            turned.append(f"{path} is {entry.label} in {PREVIEW_LIST}")
        videos.append(
            Video(
                path=path,
                label=label,
                method=method,
                compression=UNKNOWN,
                identity=entry.identity or named.identity,
                source=(entry.source or named.source) if label == "fake" else None,
                split=entry.split,
                dataset=PREVIEW,
            )
        )
    place.turn(turned, len(videos), f"all {len(videos):,} labels of {PREVIEW_LIST} are the opposite of the folders'")
    kept, number = keep_apart(videos)
    if number:
        place.notes.append(f"{number:,} videos of the training set have no split: they show people of the test set")
    yield from kept
