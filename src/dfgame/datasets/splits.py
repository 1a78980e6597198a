"""Splits: the official lists of pairs, and splits built by identity where there are none."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dfgame.datasets.layout import Place
from dfgame.files import read_json
from dfgame.records import SPLITS, Split, UserError, Video

SHARES: dict[Split, float] = {"train": 0.72, "val": 0.14, "test": 0.14}
"""FaceForensics++ has 720, 140 and 140 of its 1,000 videos in them."""
Person = tuple[str, str]
"""A data set, and the name of somebody in it."""


def read_pairs(places: Sequence[Path]) -> dict[Split, list[tuple[str, str]]]:
    """The pairs of ids of `train.json`, `val.json` and `test.json`, each from the first of the folders that has it.

    Raises:
        UserError: a list is not pairs of ids, or puts an identity into two splits.
    """
    pairs: dict[Split, list[tuple[str, str]]] = {}
    splits: dict[str, Split] = {}
    for split in SPLITS:
        path = next((place / f"{split}.json" for place in places if (place / f"{split}.json").is_file()), None)
        if path is None:
            continue
        listed = read_json(path)
        if not isinstance(listed, list):
            raise UserError(f"{path}: not a list of pairs of ids", "take the official file again")
        pairs[split] = []
        for pair in listed:
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
                raise UserError(f"{path}: not a list of pairs of ids", "take the official file again")
            for identity in pair:
                if splits.setdefault(identity, split) != split:
                    raise UserError(f"{path}: {identity} is also in {splits[identity]}", "take the official files")
            pairs[split].append((pair[0], pair[1]))
    return pairs


def official_pairs(place: Place, *usual: Path) -> dict[Split, list[tuple[str, str]]]:
    """The pairs where the user says they are, or else in their usual places; empty if those have none.

    Raises:
        UserError: there are none where the user says, or they cannot be read.
    """
    if place.splits is None:
        return read_pairs(usual)
    pairs = read_pairs([place.splits if place.splits.is_dir() else place.splits.parent])
    if not pairs:
        raise UserError(
            f"--splits {place.splits}: no train.json, val.json or test.json there",
            "give the folder of the official lists",
        )
    return pairs


def split_of_each(pairs: Mapping[Split, Sequence[tuple[str, str]]]) -> dict[str, Split]:
    """The split of every id in the pairs."""
    return {name: split for split, listed in pairs.items() for pair in listed for name in pair}


def keep_apart(videos: Sequence[Video], tested: Collection[Person] = ()) -> tuple[list[Video], int]:
    """The videos, those without a split that would put a person into two, and the number of these.

    A person of the test split stays there and leaves val and train, one of val leaves train.

    Args:
        videos: in any order; the result is in the same.
        tested: people of the test split whose videos are not among these.
    """
    taken = set(tested)
    kept = list(videos)
    for split in reversed(SPLITS):
        of_split = [number for number, video in enumerate(kept) if video.split == split]
        leaving = [number for number in of_split if split != "test" and people_of(kept[number]) & taken]
        for number in leaving:
            kept[number] = replace(kept[number], split=None)
        taken = taken.union(*(people_of(kept[number]) for number in set(of_split).difference(leaving)))
    return kept, sum(before.split != after.split for before, after in zip(videos, kept, strict=True))


def by_identity(videos: Sequence[Video]) -> list[Video]:
    """The videos, those without a split given one so that nobody is in two.

    People who meet in such a video, as target and source, stay together, and go where one of them is already. The
    others are dealt out by a hash of their names: the same people give the same splits, on every machine. Where
    people who meet are in different splits already, no split is right, and their videos stay without one.
    """
    group: dict[Person, Person] = {}

    def head(person: Person) -> Person:
        while (above := group.setdefault(person, person)) != person:
            group[person] = group[above]
            person = above
        return person

    for video in videos:
        heads = {head(person) for person in people_of(video)} if video.split is None else ()
        for one in heads:
            group[one] = min(heads)
    known: dict[Person, set[Split]] = {}
    for video in videos:
        if video.split is not None:
            for person in people_of(video):
                known.setdefault(head(person), set()).add(video.split)
    given: dict[Person, Split | None] = {
        one: next(iter(splits)) if len(splits) == 1 else None for one, splits in known.items()
    }
    return [
        video
        if video.split is not None
        else replace(video, split=given[of] if (of := head((video.dataset, video.identity))) in given else _dealt(of))
        for video in videos
    ]


def people_of(video: Video) -> set[Person]:
    """The people in a video, target and source; a name means a person within its data set only."""
    return {(video.dataset, name) for name in (video.identity, video.source) if name is not None}


def _dealt(person: Person) -> Split:
    share = int.from_bytes(hashlib.sha256("/".join(person).encode()).digest()[:8]) / 2**64
    for split, of_all in SHARES.items():
        share -= of_all
        if share < 0:
            return split
    return SPLITS[-1]
