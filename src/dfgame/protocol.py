"""The protocol of a run: what it is trained on, validated on and tested on, as one small TOML file.

    title = "Deepfakes at c23, tested at c40"
    source = "paper, table"

    [train]
    datasets = ["FaceForensics++", "mini FaceForensics++"]   # any of these
    methods = ["Deepfakes"]                                  # of the fakes; the real videos always stay
    compressions = ["c23"]
    split = "train"

    [val]
    ...

    [[test]]
    name = "c40"
    ...
    frames = 32                                              # of each video, spread evenly over it

What a selection does not name is not chosen by: all data sets, methods, qualities, frames. Its split is that of its
section unless it names another, or "all". The protocols in the folder `protocols` are known by their names.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pyarrow as pa

from dfgame.manifest import evenly, select
from dfgame.records import SPLITS, Split, UserError

SHIPPED = Path(__file__).with_name("protocols")
_QUALITY = re.compile(r"raw|unknown|c\d{1,2}")
_LISTS = ("datasets", "methods", "compressions")
_OF_VIDEO = ("video", "dataset", "label", "method", "compression", "split", "identity", "source", "sha256")


@dataclass(frozen=True, slots=True)
class Selection:
    """Some rows of a manifest. An empty tuple, and 0 frames, choose all; `methods` chooses among the fakes only."""

    name: str
    split: Split | Literal["all"]
    datasets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    compressions: tuple[str, ...] = ()
    frames: int = 0

    @property
    def where(self) -> str:
        """Its data sets and its split, in words."""
        split = "" if self.split == "all" else f" in the split {self.split}"
        return f"{' or '.join(self.datasets) or 'any data set'}{split}"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol and, in `text`, its file."""

    name: str
    title: str
    source: str
    train: Selection
    val: Selection
    tests: tuple[Selection, ...]
    text: str

    @property
    def facts(self) -> dict[str, Any]:
        """What is kept of it beside a run and a result, as plain JSON values."""
        content = hashlib.sha256(self.text.encode()).hexdigest()
        named = {name: getattr(self, name) for name in ("name", "title", "source", "text")}
        return named | {"sha256": content, "train": _plain(self.train), "val": _plain(self.val)}


def _plain(selection: Selection) -> dict[str, Any]:
    """The selection in JSON's types; the order of its names chooses nothing."""
    return {key: sorted(value) if isinstance(value, tuple) else value for key, value in asdict(selection).items()}


def shipped() -> list[str]:
    """The names of the protocols that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read_protocol(name_or_path: str) -> Protocol:
    """A protocol that comes with the package, by name, or one of the user's: a path that ends in .toml.

    Raises:
        UserError: there is none of this name, or its file cannot be read or says what a protocol cannot say.
    """
    path = Path(name_or_path) if name_or_path.endswith(".toml") else SHIPPED / f"{name_or_path}.toml"
    if not path.is_file():
        there = f"name a file that ends in .toml, or one of: {', '.join(shipped())}"
        raise UserError(f"--protocol {name_or_path}: there is none of this name", there)
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: not a TOML file ({error})") from None
    return _Reader(path).protocol(values, text)


@dataclass(frozen=True)
class _Reader:
    """Makes a protocol of a file's values, and refuses by file and key what it cannot be."""

    path: Path

    def protocol(self, values: dict[str, Any], text: str) -> Protocol:
        self._keys(values, {"title", "source", "train", "val", "test"}, "")
        tests = values.get("test")
        if not isinstance(tests, list) or not tests:
            self._refuse("test", "must be there at least once, as [[test]]")
        places = [f"test {number}" for number in range(1, len(tests) + 1)]
        selections = [
            self._selection(self._table(one, place), place, "test") for one, place in zip(tests, places, strict=True)
        ]
        names = [selection.name for selection in selections]
        if len(set(names)) < len(names):
            self._refuse("test", "each needs a name of its own")
        return Protocol(
            self.path.stem,
            self._text(values, "title", "title"),
            self._text(values, "source", "source"),
            self._selection(self._table(values.get("train"), "train"), "train", "train"),
            self._selection(self._table(values.get("val"), "val"), "val", "val"),
            tuple(selections),
            text,
        )

    def _selection(self, values: dict[str, Any], place: str, split: str) -> Selection:
        is_test = split == "test"
        self._keys(values, {*_LISTS, "split", *(("name", "frames") if is_test else ())}, place)
        name = self._text(values, "name", f"{place}.name") if is_test else place
        lists = {key: self._names(values.get(key, []), f"{place}.{key}") for key in _LISTS}
        for quality in lists["compressions"]:
            if not _QUALITY.fullmatch(quality):
                self._refuse(f"{place}.compressions", f"{quality} is none: raw, c23, c40, unknown")
        split = values.get("split", split)
        if split not in (*SPLITS, "all"):
            self._refuse(f"{place}.split", f"must be one of {', '.join(SPLITS)}, all")
        frames = values.get("frames", 0)
        if type(frames) is not int or frames < 0 or ("frames" in values and not frames):
            self._refuse(f"{place}.frames", "must be a number from 1")
        return Selection(name, split, **lists, frames=frames)

    def _names(self, value: Any, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            self._refuse(key, "must be a list of names")
        return tuple(value)

    def _text(self, values: dict[str, Any], name: str, key: str) -> str:
        value = values.get(name)
        if not isinstance(value, str) or not value.strip():
            self._refuse(key, "must be there, as text")
        return value

    def _table(self, value: Any, key: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(key, "must be there, as a section of its own")
        return value

    def _keys(self, values: dict[str, Any], known: set[str], place: str) -> None:
        for key in values:
            if key not in known:
                self._refuse(f"{place}.{key}".lstrip("."), f"no such key; there are: {', '.join(sorted(known))}")

    def _refuse(self, key: str, why: str) -> NoReturn:
        raise UserError(f"{self.path}: {key}: {why}")


def rows(table: pa.Table, selection: Selection) -> pa.Table:
    """The selection's rows, in the table's order."""
    if selection.datasets:
        table = table.filter(pa.array(np.isin(table["dataset"].to_pylist(), selection.datasets)))
    split = None if selection.split == "all" else selection.split
    return evenly(select(table, split, selection.methods, selection.compressions), selection.frames)


def absent(table: pa.Table, selection: Selection) -> list[str]:
    """What the selection names and the table lacks; of the data sets that it names one is enough."""
    videos = rows(videos_of(table), replace(selection, methods=(), compressions=(), frames=0))
    if not videos.num_rows:
        return [f"nothing of {selection.where}"]
    qualities = set(videos["compression"].to_pylist())
    lacking = [name for name in selection.compressions if name not in qualities]
    methods = set(select(videos, None, (), selection.compressions)["method"].to_pylist())
    lacking = lacking or [name for name in selection.methods if name not in methods]
    return [f"no {name} of {selection.where}" for name in lacking]


def videos_of(table: pa.Table) -> pa.Table:
    """A row a video, of the columns that a selection looks at."""
    return table.group_by(_OF_VIDEO).aggregate([])


def check_protocol(protocol: Protocol, table: pa.Table) -> None:
    """Refuse a table in which something of a test set is in the training or validation set, or of this in that.

    Compared are the videos' names, the people of a data set, as target or source, and the videos' contents.

    Raises:
        UserError: names the two sets, and the first videos or people that they share.
    """
    videos = videos_of(table)
    found = {part: _Content.of(rows(videos, replace(part, frames=0))) for part in _parts(protocol)}
    pairs = [(protocol.train, protocol.val)]
    pairs += [(earlier, test) for test in protocol.tests for earlier in (protocol.train, protocol.val)]
    for earlier, later in pairs:
        shared = found[earlier].shared(found[later])
        if shared:
            kind = "test " if later in protocol.tests else ""
            raise UserError(
                f"protocol {protocol.name}: {kind}{later.name} shares {shared} with {earlier.name}",
                "what a detector is tested on must be new to it: mend the splits or the protocol",
            )


def _parts(protocol: Protocol) -> tuple[Selection, ...]:
    return (protocol.train, protocol.val, *protocol.tests)


@dataclass(frozen=True, slots=True)
class _Content:
    """What makes two sets overlap: videos' names, people by data set, videos by the hash of their content."""

    videos: set[str]
    people: set[str]
    files: dict[str, str]

    @classmethod
    def of(cls, videos: pa.Table) -> "_Content":
        facts = videos.select(["video", "dataset", "identity", "source", "sha256"]).to_pylist()
        people = {f"{fact['dataset']} {fact[side]}" for fact in facts for side in ("identity", "source") if fact[side]}
        files = {fact["sha256"]: fact["video"] for fact in facts if fact["sha256"]}
        return cls({fact["video"] for fact in facts}, people, files)

    def shared(self, later: "_Content") -> str:
        """What `later` shares with this, in words; empty where it is nothing."""
        if self.videos & later.videos:
            return f"videos ({_first(self.videos & later.videos)})"
        copies = [name for content, name in later.files.items() if content in self.files]
        if copies:
            return f"copies of videos ({_first(copies)})"
        return f"people ({_first(self.people & later.people)})" if self.people & later.people else ""


def _first(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
