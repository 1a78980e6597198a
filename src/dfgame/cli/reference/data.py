"""Where the published commands find their data: list files where there are any, the manifest otherwise."""

import os
from pathlib import Path

import pyarrow as pa

from dfgame.datasets.faceforensics import FACEFORENSICS, MINIATURE
from dfgame.datasets.lists import read_lists
from dfgame.manifest import read_manifest, write_manifest
from dfgame.records import METHODS, ORIGINAL, Split, UserError

MANIFEST = "manifest.parquet"
DEFAULT_ROOT = "ff++"
NAMES = {"default": "", "ff": "", "dfd": "dfd", "celebdf": "celebdf", "dfdc": "dfdc"}
"""Folder of each data set below the root."""


def data_root(given: str | None) -> Path:
    """--data_root, else the environment's DFGAME_DATA, else ./ff++."""
    return Path(given or os.environ.get("DFGAME_DATA") or DEFAULT_ROOT)


def find_data(root: Path, dataset: str, lists: dict[Split, str], multi: bool, made: Path) -> Path:
    """The manifest of a data set. From list files it is made as `made`, with the lists that are there.

    Args:
        root: of all data sets.
        dataset: one of NAMES, or a folder, or a manifest.
        lists: name of each split's list, looked for in `benchmark/` in the data set's folder and, for
            FaceForensics++ and folders, here.
        multi: how the lists' numbers are to be read.
        made: where to write the table of list files.

    Raises:
        UserError: there are neither lists nor a manifest, or a list cannot be read.
    """
    folder = root / NAMES[dataset] if dataset in NAMES else Path(dataset)
    if folder.is_file():
        return folder
    found: dict[Split, Path] = {}
    for split, name in lists.items():
        here = [Path("benchmark") / name] if is_ff(dataset) or dataset not in NAMES else []
        for place in (folder / "benchmark" / name, *here):
            if place.is_file() and split not in found:
                found[split] = place
    if found:
        table = read_lists(found, folder, multi)
        if not (made.is_file() and read_manifest(made).equals(table)):
            write_manifest(made, table, {"lists": {split: str(path) for split, path in found.items()}})
        return made
    if (folder / MANIFEST).is_file():
        return folder / MANIFEST
    raise UserError(
        f"{folder}: no {MANIFEST}, and no list such as benchmark/{next(iter(lists.values()))}",
        "`dfgame extract` makes one from videos; --data_root or DFGAME_DATA says where it is",
    )


def training_lists(dataset_type: str, compressions: tuple[str, ...]) -> dict[Split, str]:
    """The lists' names in training: videos at all qualities, or frames at one."""
    quality = compressions[0] if len(compressions) == 1 else "all"
    train = "ff_train_all.lst" if dataset_type == "video" else f"ff_train_{quality}.lst"
    return {"train": train, "val": f"ff_val_{quality}.lst"}


def test_lists(methods: tuple[str, ...], compressions: tuple[str, ...]) -> dict[Split, str]:
    """The list's name in a test: of all methods, or of one."""
    quality = compressions[0] if len(compressions) == 1 else "all"
    kind = f"{methods[0]}_" if len(methods) == 1 else ""
    return {"test": f"ff_test_{kind}{quality}.lst"}


def is_ff(dataset: str) -> bool:
    """Whether it is FaceForensics++: other data sets have neither its methods nor its qualities."""
    return NAMES.get(dataset) == ""


def compressions_of(level: str | None, dataset: str) -> tuple[str, ...]:
    """--cmp_level as the settings have it; without it c23 of FaceForensics++, and all there is of another data set."""
    level = level or ("c23" if is_ff(dataset) else "all")
    return () if level == "all" else ("raw",) if level in ("c0", "raw") else (level,)


def methods_of(fake_type: str | None) -> tuple[str, ...]:
    """--fake_type as the settings have it; all without one."""
    return (fake_type,) if fake_type in METHODS else ()


def of_ff(table: pa.Table, dataset: str, methods: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The data sets and methods that FaceForensics++ means in a manifest that holds others, too; () are all there are.

    Without `methods` they are its four: FaceShifter, say, is not among them.
    """
    there = set(table["dataset"].to_pylist())
    own = there & {FACEFORENSICS, MINIATURE}
    if not (is_ff(dataset) and own):
        return (), methods
    pairs = zip(table["dataset"].to_pylist(), table["method"].to_pylist(), strict=True)
    of_own = {method for name, method in pairs if name in own} - {ORIGINAL}
    four = tuple(method for method in METHODS if method in of_own)
    return tuple(sorted(own)) if there - own else (), methods or (four if of_own - set(four) else ())
