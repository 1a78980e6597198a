"""A data set beside what was seen of its files, and what the checks ask of the two."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from dfgame.datasets import DataSet
from dfgame.datasets.layout import FILE_SUFFIXES
from dfgame.doctor.probe import Probe
from dfgame.records import COMPRESSIONS, UNKNOWN, Video

_QUALITY = re.compile(r"(?<![a-z0-9])(raw|c\d{1,2})(?![a-z0-9])", re.IGNORECASE)


def clip(video: Video) -> tuple[str, str]:
    """What the qualities of a clip have in common: the data set, and the path without quality and suffix."""
    path = PurePosixPath(video.path)
    stem = str(path.with_suffix("") if path.suffix.lower() in FILE_SUFFIXES else path)
    return video.dataset, stem if video.compression == UNKNOWN else _QUALITY.sub("*", stem)


def crf_of(compression: str) -> int | None:
    """The constant rate factor that a quality stands for, raw being 0; None of one that is not known."""
    if compression == "raw":
        return 0
    return int(compression[1:]) if re.fullmatch(r"c\d{1,2}", compression) else None


def people(video: Video) -> tuple[str, ...]:
    """Whose body and whose face are in it."""
    return (video.identity,) if video.source in (None, video.identity) else (video.identity, video.source or "")


@dataclass(frozen=True)
class Examined:
    """A data set, what was seen of each video and mask by its path, and the SHA-256 of those that may be copies."""

    data: DataSet
    probes: Mapping[str, Probe]
    digests: Mapping[str, str]

    @cached_property
    def sound(self) -> dict[str, Video]:
        """The videos whose files are not damaged, by path."""
        return {video.path: video for video in self.data.videos if not self.probes[video.path].damage}

    @cached_property
    def clips(self) -> dict[tuple[str, str], list[Video]]:
        """All qualities of each clip."""
        return by_clip(self.data.videos)

    @property
    def one_quality(self) -> Iterator[Video]:
        """Of each clip that has hashes, the one quality that is compared with other clips."""
        for qualities in self.clips.values():
            hashed = [video for video in qualities if self.probes[video.path].hashes]
            if hashed:
                yield preferred(hashed)

    def with_originals(self) -> Iterator[tuple[Video, Probe, Probe]]:
        """The fakes beside what was seen of them and of the real videos they were made from, where both are sound."""
        for video in self.sound.values():
            if video.label == "fake" and video.original in self.sound:
                yield video, self.probes[video.path], self.probes[video.original]


def preferred(videos: Iterable[Video]) -> Video:
    """The quality by which a clip is compared with others: c23, which most data sets have, or else raw, c40, any."""
    order = ("c23", *COMPRESSIONS)
    return min(videos, key=lambda video: order.index(video.compression) if video.compression in order else len(order))


def by_clip(videos: Iterable[Video]) -> dict[tuple[str, str], list[Video]]:
    """The videos by clip: all qualities of each."""
    clips: dict[tuple[str, str], list[Video]] = {}
    for video in videos:
        clips.setdefault(clip(video), []).append(video)
    return clips


def by_group(videos: Iterable[Video], *names: str) -> dict[tuple[str, ...], list[Video]]:
    """The videos by the values of these fields."""
    groups: dict[tuple[str, ...], list[Video]] = {}
    for video in videos:
        groups.setdefault(tuple(getattr(video, name) for name in names), []).append(video)
    return groups
