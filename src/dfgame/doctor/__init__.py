"""Is a data set whole and right? Every file is looked at, and what is wrong is said with what to do about it.

Without `deep`, a video costs its header and three key frames; nothing is read whole but files that may be copies,
which are those of one size. One job a file: a file that crashes the decoder is a finding, not the end.
"""

import hashlib
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dfgame import __version__
from dfgame.config import DoctorConfig
from dfgame.config.values import to_dict
from dfgame.datasets import DataSet, find_data
from dfgame.doctor.examined import Examined, by_clip, preferred
from dfgame.doctor.files import Count, check_files, counts
from dfgame.doctor.findings import KINDS, Finding
from dfgame.doctor.people import check_people
from dfgame.doctor.probe import Probe, ProbeJob, probe
from dfgame.doctor.shape import check_shape
from dfgame.files import sha256
from dfgame.jobs import run_jobs
from dfgame.media import PICTURE_SUFFIXES

__all__ = ["SCHEMA", "Report", "examine"]

SCHEMA = 1
"""Version of the report's JSON."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, worst first."""

    data: DataSet
    config: DoctorConfig
    counts: list[Count]
    findings: list[Finding]
    probes: dict[str, Probe]
    seconds: float

    @property
    def is_wrong(self) -> bool:
        """Whether anything is worse than a note."""
        return any(finding.severity != "note" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, with all paths."""
        return {
            "schema": SCHEMA,
            "dfgame": __version__,
            "settings": to_dict(self.config),
            "root": str(self.data.root),
            "layout": self.data.layout,
            "datasets": list(self.data.names),
            "notes": self.data.notes,
            "wrong": self.is_wrong,
            "findings": [finding.to_dict() for finding in self.findings],
            "counts": [_count(one) for one in self.counts],
            "files": [seen.to_dict() for seen in self.probes.values()],
            "seconds": round(self.seconds, 1),
        }


def _count(one: Count) -> dict[str, Any]:
    named = {name: {split or "all": n for split, n in getattr(one, name).items()} for name in ("there", "official")}
    return asdict(one) | named


def examine(root: Path, config: DoctorConfig) -> Report:
    """Look at every file of the data set `root`, and compare.

    Raises:
        UserError: it is no data set, or its lists contradict themselves.
    """
    started = time.monotonic()
    data = find_data(root, config.layout or None, config.splits)
    probes = _probes(data, config)
    examined = Examined(data, probes, _digests(data, probes, config.workers))
    table = counts(examined)
    findings = [*check_files(examined, table), *check_people(examined), *check_shape(examined)]
    order = list(KINDS)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return Report(data, config, table, findings, probes, time.monotonic() - started)


def _probes(data: DataSet, config: DoctorConfig) -> dict[str, Probe]:
    """What is seen of every video and of every fake's mask, by path, in the order of the data set."""
    hashed = {preferred(videos).path for videos in by_clip(data.videos).values()}
    jobs = [
        ProbeJob(video.path, data.root / video.path, video.crops, config.deep, video.path in hashed)
        for video in data.videos
    ]
    masks = dict.fromkeys(video.mask for video in data.videos if video.label == "fake" and video.mask)
    jobs += [ProbeJob(mask, data.root / mask, deep=config.deep, hashed=False) for mask in masks]
    found = {}
    with closing(run_jobs(probe, jobs, config.workers, "examine")) as outcomes:
        for job, seen in outcomes:
            found[job.path] = (
                Probe(job.path, damage="crashed", reason=str(seen)) if isinstance(seen, Exception) else seen
            )
    return {job.path: found[job.path] for job in jobs}


def _digests(data: DataSet, probes: dict[str, Probe], workers: int) -> dict[str, str]:
    """The SHA-256 of every video that has the size of another one."""
    seen = {video.path: probes[video.path] for video in data.videos}
    sizes = {path: (one.length, one.medium) for path, one in seen.items() if one.length}
    times = Counter(sizes.values())
    paths = {data.root / path: path for path, size in sizes.items() if times[size] > 1}
    found = {}
    with closing(run_jobs(digest, list(paths), workers, "compare")) as outcomes:
        for file, result in outcomes:
            if not isinstance(result, Exception):
                found[paths[file]] = result
    return found


def digest(file: Path) -> str:
    """The SHA-256 of a file, or of the pictures of a folder in the order of their names."""
    if not file.is_dir():
        return sha256(file)
    pictures = sorted(path for path in file.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    return hashlib.sha256("".join(map(sha256, pictures)).encode()).hexdigest()
