"""Is everything there, and can it be read: counts, missing and damaged files, masks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dfgame.doctor.examined import Examined, by_clip, by_group, preferred
from dfgame.doctor.findings import Finding, of
from dfgame.records import ORIGINAL, SPLITS

_DAMAGE = {
    "empty": "holds nothing",
    "truncated": "ends before the video does",
    "undecodable": "cannot be decoded",
    "crashed": "crashes the decoder",
    "no-pictures": "folder of crops without a picture",
    "missing": "not there, though the data set names it",
}


@dataclass(frozen=True, slots=True)
class Count:
    """The videos of a method at a quality, by split (None: all together), and as many as were published."""

    dataset: str
    method: str
    compression: str
    there: Mapping[str | None, int]
    official: Mapping[str | None, int]
    unsplit: int


def counts(examined: Examined) -> list[Count]:
    """A count for each method and quality of each data set; originals first, raw before c23 before c40."""
    groups = by_group(examined.data.videos, "dataset", "method", "compression")
    found = []
    for (dataset, method, compression), videos in groups.items():
        published = examined.data.official.get(dataset, {})
        official: dict[str | None, int] = {
            split: number for (name, split), number in published.items() if name == method
        }
        if official and None not in official:
            official[None] = sum(official.values())
        splits = Counter(video.split for video in videos)
        there = {**{split: splits[split] for split in SPLITS}, None: len(videos)}
        found.append(Count(dataset, method, compression, there, official, splits[None]))
    names = examined.data.names
    return sorted(
        found,
        key=lambda one: (
            names.index(one.dataset),
            one.method != ORIGINAL,
            one.method,
            one.compression != "raw",
            one.compression,
        ),
    )


def check_files(examined: Examined, table: list[Count]) -> Iterator[Finding]:
    """Everything that is missing or damaged."""
    missing = dict(examined.data.missing)
    damaged: dict[str, dict[str, str]] = {}
    for path, probe in examined.probes.items():
        if probe.damage:
            damaged.setdefault(probe.damage, {})[path] = probe.reason
        for name, (kind, reason) in probe.bad.items():
            damaged.setdefault(kind, {})[f"{path}/{name}"] = reason
    listed = {path: f"named by {by}" for path, by in missing.items()}
    damaged["missing"] = damaged.get("missing", {}) | listed
    for kind, files in damaged.items():
        yield from of(kind, _DAMAGE[kind], files)
    yield from _counts(examined, table)
    yield from of("labels", "labelled by a list against its folder", dict.fromkeys(examined.data.turned, ""))
    yield from _masks(examined)


def _counts(examined: Examined, table: list[Count]) -> Iterator[Finding]:
    """Counts away from the published ones, as far as the missing files do not say so already."""
    named: dict[tuple[str, str, str], int] = {}
    folder_of = {
        video.path.rpartition("/")[0]: (video.dataset, video.method, video.compression)
        for video in examined.data.videos
    }
    for path in examined.data.missing:
        group = folder_of.get(path.rpartition("/")[0])
        if group:
            named[group] = named.get(group, 0) + 1
    off, moved = {}, {}
    for one in table:
        where = " ".join((one.dataset, one.method, one.compression))
        differing = {split: n for split, n in one.official.items() if one.there[split] != n}
        words = ", ".join(f"{split or 'all'} {one.there[split]:,} of {n:,}" for split, n in differing.items())
        if None in differing:
            if differing[None] - one.there[None] != named.get((one.dataset, one.method, one.compression), 0):
                off[where] = words
        elif differing:
            moved[where] = words
    yield from of("counts", "method at a quality with another number of videos than published", off)
    yield from of("splits", "method at a quality that is whole, but split otherwise than published", moved)
    yield from of("absent", "method without a video at a quality", _absent(examined, table))


def _absent(examined: Examined, table: list[Count]) -> dict[str, str]:
    """Methods of the publication that are not there at all, and qualities that only other methods have."""
    found = {}
    for dataset in examined.data.names:
        methods: dict[str, set[str]] = {}
        for one in table:
            if one.dataset == dataset:
                methods.setdefault(one.method, set()).add(one.compression)
        qualities = set().union(*methods.values())
        for method in dict.fromkeys(method for method, _ in examined.data.official.get(dataset, {})):
            if method not in methods:
                found[f"{dataset} {method}"] = "at any quality"
        for method, there in methods.items():
            if there < qualities:
                found[f"{dataset} {method}"] = f"at {', '.join(sorted(qualities - there))}"
    return found


def _masks(examined: Examined) -> Iterator[Finding]:
    """Fakes without a mask though others of the method have one, and masks of another length than their fake."""
    without: dict[str, str] = {}
    fakes = [video for video in examined.data.videos if video.label == "fake"]
    for (_, method), videos in by_group(fakes, "dataset", "method").items():
        clips = by_clip(videos)
        bare = [members for members in clips.values() if not any(video.mask for video in members)]
        if len(bare) < len(clips):
            without |= {
                preferred(members).path: f"{len(clips) - len(bare):,} others of {method} have one" for members in bare
            }
    yield from of("mask-missing", "fake without a mask, where others of its method have one", without)
    differing = {}
    for video in fakes:
        fake, mask = examined.probes[video.path], examined.probes.get(video.mask or "")
        if mask is None or mask.damage or fake.damage or not mask.medium == fake.medium == "video":
            continue
        if mask.frames and fake.frames and mask.frames != fake.frames:
            differing[mask.path] = f"{mask.frames:,} frames, {video.path} has {fake.frames:,}"
    yield from of("mask-length", "mask of another length than its fake", differing)
