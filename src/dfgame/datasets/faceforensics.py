"""FaceForensics++ (Rössler et al., ICCV 2019) and DeepFakeDetection, in the tree that their script makes.

    original_sequences/youtube/c23/videos/000.mp4
    manipulated_sequences/Deepfakes/c23/videos/000_003.mp4        target_source
    manipulated_sequences/Deepfakes/masks/videos/000_003.mp4
    splits/{train,val,test}.json                                  pairs; also beside the two folders
    original_sequences/actors/c23/videos/01__hugging_happy.mp4    DeepFakeDetection: actor__scene
    manipulated_sequences/DeepFakeDetection/c23/videos/01_02__hugging_happy__YVGY8LOK.mp4   target_source__scene__id

Each pair (a, b) of the lists stands for the fakes a_b and b_a of every method and for the originals a and b. The
miniature that `dfgame forge` makes has the same tree; a file `people.json` in it tells the two apart.
DeepFakeDetection is another data set, of actors, without official splits: all of it is a test set here.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from dfgame.datasets.layout import QUALITIES, Official, People, Place, files_below
from dfgame.datasets.splits import by_identity, official_pairs, split_of_each
from dfgame.records import METHODS, ORIGINAL, Split, UserError, Video

NAME: str = "faceforensics"
EXPECTED: str = "original_sequences/ and manipulated_sequences/ as FaceForensics++ has them"
FACEFORENSICS, MINIATURE, DFD = "FaceForensics++", "mini FaceForensics++", "DeepFakeDetection"
KNOWN_METHODS = (*METHODS, "FaceShifter")
"""The four of the paper, and the one that was added in 2020."""
_SPLIT: dict[Split, int] = {"train": 720, "val": 140, "test": 140}
OFFICIAL: Official = {
    FACEFORENSICS: {
        (method, split): number for method in (ORIGINAL, *KNOWN_METHODS) for split, number in _SPLIT.items()
    },
    DFD: {(ORIGINAL, None): 363, (DFD, None): 3068},
}
_ORIGINALS, _MANIPULATED = "original_sequences", "manipulated_sequences"
_KINDS = {FACEFORENSICS: "youtube", MINIATURE: "youtube", DFD: "actors"}
"""Where the originals of each data set are."""


def recognises(root: Path) -> bool:
    """Whether the folder has FaceForensics++'s two subfolders, or one of them."""
    return (root / _ORIGINALS).is_dir() or (root / _MANIPULATED).is_dir()


def find(place: Place) -> Iterator[Video]:
    """All videos of the originals and of every manipulation method."""
    root = place.root
    dataset = MINIATURE if (root / "people.json").is_file() else FACEFORENSICS
    pairs = official_pairs(place, root / "splits", root)
    splits = split_of_each(pairs)
    methods = [path.name for path in sorted((root / _MANIPULATED).glob("*")) if path.is_dir()]
    place.note_each(set(methods) - {*KNOWN_METHODS, DFD}, "folders passed over, not a method of FaceForensics++")
    videos = [
        *_originals(place, dataset, splits),
        *chain.from_iterable(_fakes(place, dataset, method, splits) for method in methods if method in KNOWN_METHODS),
    ]
    if videos and not pairs:
        place.notes.append(
            "no splits/train.json, val.json, test.json: the splits were built by identity (72, 14 and 14%); "
            "figures on them compare with nobody's. The official lists: see --splits"
        )
        videos = by_identity(videos)
    _expect(place, videos, pairs)
    yield from videos
    yield from _originals(place, DFD, {})
    yield from _fakes(place, DFD, DFD, {})


def people(method: str, stem: str) -> People | None:
    """Who is in a video of this method, by its file's name; None where the name is not as the method's are."""
    pair, _, rest = stem.partition("__")
    if method == ORIGINAL:
        return People(pair)
    target, _, source = pair.partition("_")
    scene = rest.rpartition("__")[0]
    if not target or not source or (not scene if method == DFD else rest):
        return None
    return People(target, source, f"{target}__{scene}" if scene else target)


def _originals(place: Place, dataset: str, splits: dict[str, Split]) -> Iterator[Video]:
    masks: dict[str, str] = {}
    for method in KNOWN_METHODS if dataset != DFD else ():
        for mask in files_below(place.root / _MANIPULATED / method / "masks" / "videos"):
            masks.setdefault(mask.stem.partition("_")[0], place.relative(mask))
    for quality, path in _videos_below(place.root / _ORIGINALS / _KINDS[dataset]):
        identity = path.stem.partition("__")[0]
        yield Video(
            path=place.relative(path),
            label="real",
            method=ORIGINAL,
            compression=quality,
            identity=identity,
            split="test" if dataset == DFD else splits.get(identity),
            mask=masks.get(identity),
            dataset=dataset,
        )


def _fakes(place: Place, dataset: str, method: str, splits: dict[str, Split]) -> Iterator[Video]:
    folder = place.root / _MANIPULATED / method
    misnamed = []
    for quality, path in _videos_below(folder):
        named = people(method, path.stem)
        if named is None:
            misnamed.append(place.relative(path))
            continue
        mask = folder / "masks" / "videos" / path.name
        original = _original_folder(place.root / _ORIGINALS / _KINDS[dataset], path.parts[-3])
        yield Video(
            path=place.relative(path),
            label="fake",
            method=method,
            compression=quality,
            identity=named.identity,
            source=named.source,
            split="test" if dataset == DFD else splits.get(named.identity),
            mask=place.relative(mask) if mask.is_file() else None,
            original=place.relative(original / "videos" / f"{named.original}{path.suffix}"),
            dataset=dataset,
        )
    names = "TARGET_SOURCE__SCENE__ID" if method == DFD else "TARGET_SOURCE"
    place.note_each(misnamed, f"files passed over, their names are not {names}")


def _original_folder(originals: Path, name: str) -> Path:
    """The originals' folder of the quality that a fake's folder is named after: c0 and raw are one."""
    alike = (
        other for other, quality in QUALITIES.items() if quality == QUALITIES[name] and (originals / other).is_dir()
    )
    return originals / next(alike, name)


def _expect(place: Place, videos: list[Video], pairs: dict[Split, list[tuple[str, str]]]) -> None:
    """What the lists name and is not there, of every method and quality of which there is anything."""
    there = {video.path for video in videos}
    folders = {(path.rpartition("/")[0], path.rpartition(".")[2]) for path in there}
    for split, listed in pairs.items():
        for folder, suffix in sorted(folders):
            fakes = folder.startswith(_MANIPULATED)
            for a, b in listed:
                for name in (f"{a}_{b}", f"{b}_{a}") if fakes else (a, b):
                    path = f"{folder}/{name}.{suffix}"
                    if path not in there:
                        place.missing[path] = f"{split}.json"


def _videos_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """(compression, file) of every video in the qualities' folders.

    Raises:
        UserError: `c0` and `raw`, which are one, are both there.
    """
    if (folder / "c0" / "videos").is_dir() and (folder / "raw" / "videos").is_dir():
        raise UserError(f"{folder}: has both c0 and raw, which are the same quality", "remove one of the two")
    for name, quality in QUALITIES.items():
        for path in files_below(folder / name / "videos"):
            yield quality, path
