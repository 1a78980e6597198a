"""DeepfakeBench (Yan et al., NeurIPS 2023): data sets as faces that its preprocessing cut out, and its lists.

    rgb/FaceForensics++/original_sequences/youtube/c23/frames/000/000.png
    rgb/FaceForensics++/manipulated_sequences/Deepfakes/c23/{frames,masks,landmarks}/000_003/000.{png,npy}
    rgb/Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000/000.png
    rgb/DFDCP/method_A/frames/1255229_1003254_A_001/000.png
    rgb/DFDC/test/frames/aaa/000.png, rgb/DFDC/train/dfdc_train_part_0/frames/aaa/000.png
    dataset_json/Celeb-DF-v2.json     {"Celeb-DF-v2": {"CelebDFv2_real": {"train": {"id0_0000": {"label", "frames"}}}}}
    dataset_json/FF-DF.json           with the quality between the split and the video

Its lists name a video in several splits: in train and in test as well, as Celeb-DF's, or in all three, as
DeepFakeDetection's. Here such a video is of test, or else of train. Without its lists the splits are those of the data
sets' own, where these lie in the data set's folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from dfgame.datasets import celebdf, dfdc, faceforensics
from dfgame.datasets.faceforensics import DFD, FACEFORENSICS, KNOWN_METHODS, people
from dfgame.datasets.layout import QUALITIES, Official, People, Place, folders_below, has_pictures, is_there
from dfgame.datasets.splits import keep_apart, official_pairs, read_pairs, split_of_each
from dfgame.files import read_json
from dfgame.records import ORIGINAL, SPLITS, UNKNOWN, Label, Split, UserError, Video

NAME: str = "deepfakebench"
EXPECTED: str = "rgb/ with data sets whose videos are folders of pictures below frames/, as DeepfakeBench has them"
OFFICIAL: Official = {**faceforensics.OFFICIAL, **celebdf.OFFICIAL, **dfdc.OFFICIAL}
DATA_SETS = ("FaceForensics++", "DeepFakeDetection", "FaceShifter", "Celeb-DF-v1", "Celeb-DF-v2", "DFDC", "DFDCP")
"""The folders that are read; names of their data sets, except DFDCP, which is DFDC's preview."""
_DEPTHS = ("*/frames", "*/*/frames", "*/*/*/frames")
_DEEPEST = 5
"""Levels of a list: data set, category, split, quality, video."""


@dataclass(slots=True)
class _Listed:
    """What a list says of a video: the list's name, the label, the splits, and the name of a fake's original."""

    file: str
    label: Label
    splits: set[Split] = field(default_factory=set)
    original: str | None = None

    @property
    def split(self) -> Split | None:
        """The one that counts of several."""
        return next((split for split in ("test", "train", "val") if split in self.splits), None)


def recognises(root: Path) -> bool:
    """Whether one of the data sets is there, with a folder `frames` in it."""
    return any(True for home in _homes(root) for _ in _frames(home))


def find(place: Place) -> Iterator[Video]:
    """A video for each folder of pictures of a data set that is known."""
    homes = _homes(place.root)
    listed = _read_lists(place)
    pairs = split_of_each(_pairs(place, homes, bool(listed)))
    videos, unknown, empty, turned = [], [], [], []
    for home in homes:
        for frames in _frames(home):
            own = _own_list(home, frames)
            for path in folders_below(frames):
                says = _together(listed.get(_key(home, path)), own.get(path.name))
                video = _video(place, home, path, says, pairs)
                if video is None or not has_pictures(path):
                    (unknown if video is None else empty).append(place.relative(path))
                    continue
                if says and says.label != video.label:
                    turned.append(f"{video.path} is {says.label} in {says.file}")
                videos.append(replace(video, split=says.split) if says and video.dataset != DFD else video)
    _note_missing(place, homes, listed)
    place.note_each(unknown, "folders passed over, without a label or with a name that is not their data set's")
    place.note_each(empty, "folders passed over, no picture in them")
    place.turn(turned, len(videos), f"all {len(videos):,} labels of the lists are the opposite of the folders'")
    kept, number = keep_apart(videos)
    if number:
        place.notes.append(f"{number:,} videos that are not of test have no split: they show people of the test set")
    if without := sum(video.split is None for video in videos):
        place.notes.append(f"{without:,} videos have no split: no list names them; see --splits")
    yield from kept


def _together(bench: _Listed | None, own: _Listed | None) -> _Listed | None:
    """What DeepfakeBench's list says, with the original that only the data set's own tells."""
    return replace(bench, original=own.original) if bench and own else bench or own


def _note_missing(place: Place, homes: list[Path], listed: dict[str, _Listed]) -> None:
    """Say what the lists name and is not there, of every folder `frames` that is."""
    for home in homes:
        there = {_key(home, frames) for frames in _frames(home)}
        for key, one in listed.items():
            path = home / key.partition("/")[2]
            if key.rpartition("/")[0] in there and not is_there(path):
                place.missing[place.relative(path)] = one.file
    several = sum(len(one.splits) > 1 for one in listed.values())
    if several:
        place.notes.append(f"{several:,} videos are in several splits of the lists: test counts, or else train")


def _homes(root: Path) -> list[Path]:
    """The folders of the data sets."""
    if root.absolute().name in DATA_SETS:
        return [root]
    above = root / "rgb" if (root / "rgb").is_dir() else root if root.absolute().name == "rgb" else None
    return [path for path in folders_below(above) if path.name in DATA_SETS] if above else []


def _frames(home: Path) -> Iterator[Path]:
    """The folders `frames` of a data set."""
    for depth in _DEPTHS:
        yield from (path for path in sorted(home.glob(depth)) if path.is_dir())


def _key(home: Path, path: Path) -> str:
    """A folder of a data set as it is named in the lists, from the data set's name."""
    return f"{home.absolute().name}/{path.relative_to(home).as_posix()}"


def _video(place: Place, home: Path, path: Path, says: _Listed | None, pairs: dict[str, Split]) -> Video | None:
    """The video of a folder of pictures; None where its name or label is not known."""
    above, name = path.relative_to(home).parts[:-2], path.name
    dataset, method, quality, split, original = home.absolute().name, ORIGINAL, UNKNOWN, None, None
    match above:
        case ("original_sequences", "youtube" | "actors" as kind, quality) if quality in QUALITIES:
            named, dataset = people(ORIGINAL, name), DFD if kind == "actors" else FACEFORENSICS
        case ("manipulated_sequences", method, quality) if quality in QUALITIES and method in (*KNOWN_METHODS, DFD):
            named, dataset = people(method, name), DFD if method == DFD else FACEFORENSICS
            original = home / "original_sequences" / ("actors" if method == DFD else "youtube") / quality / "frames"
        case (folder,) if rule := celebdf.folder_named(folder):
            named, method = celebdf.people(rule, name), celebdf.FAKES if rule == celebdf.FAKES else ORIGINAL
            original = home / celebdf.CELEBRITIES / "frames"
        case (folder,) if folder in dfdc.PREVIEW_METHODS:
            named, method = dfdc.preview_people(PurePosixPath(name)), dfdc.PREVIEW_METHODS[folder]
            dataset = dfdc.PREVIEW
        case ("test",) | ("train", _) if says:
            named = People(says.original or name, original=says.original)
            method, original = ORIGINAL if says.label == "real" else dfdc.DFDC, path.parent
        case _:
            return None
    if named is None:
        return None
    masks = path.parent.with_name("masks") / name
    if dataset in (FACEFORENSICS, DFD):
        split = "test" if dataset == DFD else pairs.get(named.identity)
    return Video(
        path=place.relative(path),
        label="real" if method == ORIGINAL else "fake",
        method=method,
        compression=QUALITIES.get(quality, quality),
        identity=named.identity,
        source=named.source,
        split=split,
        mask=place.relative(masks) if masks.is_dir() else None,
        original=place.relative(original / named.original) if original and named.original else None,
        dataset=dataset,
    )


def _pairs(place: Place, homes: list[Path], has_lists: bool) -> dict[Split, list[tuple[str, str]]]:
    """The official pairs, which may be missing where --splits gives the lists."""
    usual = [folder / name for folder in (place.root, *homes) for name in ("", "splits")]
    return read_pairs(usual) if has_lists else official_pairs(place, *usual)


def _own_list(home: Path, frames: Path) -> dict[str, _Listed]:
    """What the data set's own list says of the videos of a folder, where the list lies in the data set's folder."""
    above = frames.parent
    if folder := celebdf.folder_named(above.name):
        return _of_celebrities(home / celebdf.LIST, folder, frames)
    preview = above.name in dfdc.PREVIEW_METHODS
    found = {}
    for path in [home / dfdc.PREVIEW_LIST] if preview else [above / name for name in dfdc.LISTS]:
        for name, entry in dfdc.read_entries(path).items() if path.is_file() else ():
            if not preview or name.startswith(f"{above.name}/"):
                split = entry.split if preview else dfdc.split_named(above.relative_to(home).parts[0])
                original = PurePosixPath(entry.original).stem if entry.original else None
                splits: set[Split] = {split} if split else set()
                found[PurePosixPath(name).stem] = _Listed(path.name, entry.label, splits, original)
    return found


def _of_celebrities(path: Path, folder: str, frames: Path) -> dict[str, _Listed]:
    if not path.is_file():
        return {}
    found = {one.name: _Listed(path.name, celebdf.label_of(folder), {"train"}) for one in folders_below(frames)}
    listed = celebdf.read_list(path)
    return found | {
        stem: _Listed(path.name, line.label, {"test"}) for (of, stem), line in listed.items() if of == folder
    }


def _read_lists(place: Place) -> dict[str, _Listed]:
    """What DeepfakeBench's own lists say of each folder of pictures, by `_key`.

    Raises:
        UserError: one is not as DeepfakeBench's are.
    """
    found: dict[str, _Listed] = {}
    unknown = []
    for path in _list_files(place):
        for keys, entry in _entries(read_json(path), (), path):
            key = _folder_of(entry["frames"])
            splits: set[Split] = {split for split in SPLITS if split in keys[:3]}
            label: Label = "real" if str(entry["label"]).casefold().endswith("real") else "fake"
            if key is None:
                unknown.append("/".join(keys))
            else:
                found.setdefault(key, _Listed(path.name, label)).splits.update(splits)
    place.note_each(unknown, "entries of lists passed over, of no data set that is known or without frames")
    return found


def _list_files(place: Place) -> list[Path]:
    root = place.root.absolute().parent if place.root.absolute().name == "rgb" else place.root
    folders = [place.splits] if place.splits else [root / "dataset_json", root / "preprocessing" / "dataset_json"]
    one = place.splits is not None and place.splits.is_file()
    found = folders if one else chain.from_iterable(folder.glob("*.json") for folder in folders)
    return sorted(path for path in found if path.stem not in SPLITS and path.is_file())


def _entries(value: Any, keys: tuple[str, ...], path: Path) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The entries of videos in a list, each with the keys on the way to it."""
    if not isinstance(value, dict) or len(keys) > _DEEPEST:
        raise UserError(f"{path}: not a list of DeepfakeBench at {'/'.join(keys) or 'its top'}", "take the file again")
    if isinstance(value.get("frames"), list) and "label" in value:
        yield keys, value
        value = {key: inner for key, inner in value.items() if isinstance(inner, dict)}
    for key, inner in value.items():
        yield from _entries(inner, (*keys, key), path)


def _folder_of(frames: list[Any]) -> str | None:
    """The folder of an entry's pictures, from the data set's name; the paths may begin anywhere above it."""
    parts = PurePosixPath(str(frames[0]).replace("\\", "/")).parts[:-1] if frames else ()
    start = next((place for place in reversed(range(len(parts))) if parts[place] in DATA_SETS), None)
    return "/".join(parts[start:]) if start is not None else None
