"""Splits: the official lists of pairs, and splits built by identity where there are none."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dfgame.files import read_json
from dfgame.records import SPLITS, Split, UserError, Video

SHARES: dict[Split, float] = {"train": 0.72, "val": 0.14, "test": 0.14}
"""FaceForensics++ has 720, 140 and 140 of its 1,000 videos in them."""


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


def by_identity(videos: Sequence[Video]) -> list[Video]:
    """The videos, those without a split given one so that nobody is in two.

    People who meet in a video, as target and source, stay together, and go where one of them is already. The others
    are dealt out by a hash of their names: the same people give the same splits, on every machine.
    """
    group: dict[tuple[str, str], tuple[str, str]] = {}

    def head(person: tuple[str, str]) -> tuple[str, str]:
        while group.setdefault(person, person) != person:
            person = group[person] = group[group[person]]
        return person

    for video in videos:
        a = head((video.dataset, video.identity))
        b = head((video.dataset, video.source if video.source is not None else video.identity))
        group[max(a, b)] = min(a, b)
    known: dict[tuple[str, str], Split] = {}
    for video in videos:
        if video.split is not None:
            known.setdefault(head((video.dataset, video.identity)), video.split)
    return [
        video if video.split is not None else replace(video, split=known.get(of := head(_person(video))) or _dealt(of))
        for video in videos
    ]


def _person(video: Video) -> tuple[str, str]:
    return video.dataset, video.identity


def _dealt(person: tuple[str, str]) -> Split:
    share = int.from_bytes(hashlib.sha256("/".join(person).encode()).digest()[:8]) / 2**64
    for split, of_all in SHARES.items():
        share -= of_all
        if share < 0:
            return split
    return SPLITS[-1]
