"""Who is where: fakes without their real videos, people and clips in two splits, copies."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dfgame.doctor.examined import Examined, people
from dfgame.doctor.findings import Finding, of
from dfgame.doctor.likeness import BITS, nearest, unpacked
from dfgame.records import SPLITS, Video


def check_people(examined: Examined) -> Iterator[Finding]:
    """Everything that is to do with who is in a video."""
    yield from _orphans(examined)
    yield from _identities(examined)
    yield from _copies(examined)
    yield from _near_copies(examined)


def _orphans(examined: Examined) -> Iterator[Finding]:
    """Fakes whose target's video or source's person is not there; not where there is no real video at all."""
    videos = examined.data.videos
    there = {video.path for video in videos}
    reals = [video for video in videos if video.label == "real"]
    qualities = {(video.dataset, video.compression) for video in reals}
    persons = {(video.dataset, video.identity) for video in reals}
    datasets = {video.dataset for video in reals}
    targets, sources = {}, {}
    for video in videos:
        if video.label == "real":
            continue
        lacks = video.original is not None and video.original not in there
        if lacks and (video.dataset, video.compression) in qualities:
            targets[video.path] = f"made from {video.original}"
        if video.source and video.dataset in datasets and (video.dataset, video.source) not in persons:
            sources[video.path] = f"the source is {video.source}"
    yield from of("target-missing", "fake without the real video that it was made from", targets)
    yield from of("source-missing", "fake without any real video of its source", sources)


def _identities(examined: Examined) -> Iterator[Finding]:
    """People in two splits; their videos outside the split that has most of them."""
    seen: dict[tuple[str, str], list[Video]] = {}
    for video in examined.data.videos:
        if video.split is not None:
            for person in people(video):
                seen.setdefault((video.dataset, person), []).append(video)
    files, torn = {}, []
    for (_, person), videos in seen.items():
        splits = Counter(video.split for video in videos)
        if len(splits) > 1:
            torn.append(person)
            home = splits.most_common(1)[0][0]
            others = (video for video in videos if video.split != home)
            files |= {video.path: f"{person}, here in {video.split}, mostly in {home}" for video in others}
    persons = "person" if len(torn) == 1 else "people"
    yield from of("identities", f"outside the split of most videos of its person ({len(torn):,} {persons})", files)


def _copies(examined: Examined) -> Iterator[Finding]:
    """Files of the same bytes: worse where their splits or labels differ."""
    groups: dict[str, list[Video]] = {}
    for video in examined.data.videos:
        if video.path in examined.digests:
            groups.setdefault(examined.digests[video.path], []).append(video)
    across, within = {}, {}
    for videos in groups.values():
        first, *copies = videos
        apart = len({(video.split, video.label) for video in videos}) > 1
        for copy in copies:
            told = f"same bytes as {first.path}"
            (across if apart else within)[copy.path] = f"{told}, {_whose(copy)} and {_whose(first)}" if apart else told
    yield from of("split-copies", "byte for byte a video of another split or label", across)
    yield from of("copies", "byte for byte another video", within)


def _whose(video: Video) -> str:
    return f"{video.label} in {video.split or 'no split'}"


def _near_copies(examined: Examined) -> Iterator[Finding]:
    """Clips of different people in two splits that look the same."""
    clips = sorted(
        (video for video in examined.one_quality if video.split is not None),
        key=lambda video: SPLITS.index(video.split),
    )
    if len({video.split for video in clips}) < 2:
        return
    hashes = unpacked([examined.probes[video.path].hashes for video in clips])
    splits = np.array([SPLITS.index(video.split) for video in clips if video.split is not None])
    found = {}
    for one, other, apart in nearest(hashes, splits, [_person_numbers(clips), _byte_numbers(examined, clips)]):
        like = f"in {clips[one].split}; like {clips[other].path} in {clips[other].split}"
        found[clips[one].path] = f"{like}, {apart:.0f} of {BITS} bits differ"
    yield from of("near-copies", "looks the same as a clip of another person in another split", found)


def _person_numbers(clips: Sequence[Video]) -> NDArray[np.int64]:
    """Clips x (target, source) as numbers; -1 where there is no source."""
    numbers: dict[tuple[str, str], int] = {}
    rows = np.full((len(clips), 2), -1, np.int64)
    for row, video in zip(rows, clips, strict=True):
        for column, person in enumerate(people(video)):
            row[column] = numbers.setdefault((video.dataset, person), len(numbers))
    return rows


def _byte_numbers(examined: Examined, clips: Sequence[Video]) -> NDArray[np.int64]:
    """Clips x 1: a number for each group of copies, which are told elsewhere."""
    numbers: dict[str, int] = {}
    digests = (examined.digests.get(video.path) for video in clips)
    return np.array([[-1 if one is None else numbers.setdefault(one, len(numbers))] for one in digests], np.int64)
