"""The videos of a measurement: made worse by other processes, scored here, their scores kept, one by one."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa

from dfgame.config import RobustnessConfig
from dfgame.jobs import run_jobs
from dfgame.records import Face, Failure, UserError
from dfgame.robustness.attack import attacked
from dfgame.robustness.job import Crops, VideoJob, make_worse
from dfgame.robustness.points import NOTHING, Point
from dfgame.robustness.scores import ScoreStore, VideoScores
from dfgame.robustness.source import Source
from dfgame.robustness.subjects import BlackBox, Subject

Row = dict[str, Any]
"""A row of a manifest."""


class NoNumberError(ValueError):
    """A detector's score of a video is no number."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a call is to do: every video's rows, which detectors, at which points, and where the scores are kept."""

    subjects: list[Subject | BlackBox]
    source: Source
    videos: dict[str, list[Row]]
    store: ScoreStore
    config: RobustnessConfig

    def points_of(self, subject: Subject | BlackBox) -> list[Point]:
        """The points at which a detector can be measured: adversaries follow a slope, which a black box hides."""
        return [point for point in self.source.points if isinstance(subject, Subject) or not point.is_attack]


def by_video(table: pa.Table, people: int) -> dict[str, list[Row]]:
    """The rows of each video, in the order of time, of at most so many people, spread evenly over all."""
    rows = table.sort_by([("video", "ascending"), ("frame", "ascending"), ("track", "ascending")]).to_pylist()
    everybody = sorted({person(row) for row in rows})
    if people and people < len(everybody):
        chosen = {everybody[place] for place in np.linspace(0, len(everybody) - 1, people).round().astype(int)}
        rows = [row for row in rows if person(row) in chosen]
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["video"], []).append(row)
    return found


def person(row: Row) -> str:
    """The person of a row: the same name in two data sets is two people."""
    return f"{row['dataset']}/{row['identity']}"


def score_videos(task: Task) -> list[Failure]:
    """Score every video at every point where it has no score yet; returns the videos that could not be used."""
    jobs = [job for job in _jobs(task) if job.points]
    task.store.clear_crops()
    failures: list[Failure] = []
    with closing(run_jobs(make_worse, jobs, task.config.workers, "robustness")) as outcomes:
        for job, result in outcomes:
            if isinstance(result, Exception):
                failures.append(_failure(job, result))
                continue
            crops: Crops = np.load(job.to, mmap_mode="r")
            try:
                task.store.add(job.video, _scores(task, job, crops))
            except NoNumberError as error:
                failures.append(Failure(job.video, str(error)))
            del crops
            job.to.unlink()
    task.store.remove_crops()
    return sorted(failures, key=lambda failure: failure.path)


def _jobs(task: Task) -> Iterator[VideoJob]:
    """A job for each video, with the points that some detector has no score at."""
    for video, rows in task.videos.items():
        missing = {point for of_subject in _missing(task, video).values() for point in of_subject}
        if any(point.is_attack for point in missing):
            missing.add(NOTHING)  # what the adversaries set out from
        yield VideoJob(
            video=video,
            file=task.source.file(video, rows[0]["dataset"], rows[0]["sha256"]),
            content=rows[0]["sha256"],
            frames=tuple(row["frame"] for row in rows),
            faces=tuple(map(_face, rows)),
            crops=tuple(task.source.folder / row["path"] for row in rows),
            cutting=task.source.cutting,
            points=tuple(point for point in task.source.points if point in missing and not point.is_attack),
            around=task.config.around,
            seed=task.config.seed,
            to=task.store.crops_path(video),
        )


def _missing(task: Task, video: str) -> dict[str, list[Point]]:
    """The points at which a video has no score yet, by the detector's key."""
    there = task.store.read(video)
    return {
        subject.key: [point for point in task.points_of(subject) if point.key not in there.get(subject.key, {})]
        for subject in task.subjects
    }


def _face(row: Row) -> Face:
    points = tuple(zip(row["landmarks"][::2], row["landmarks"][1::2], strict=True))
    return Face((row["left"], row["top"], row["right"], row["bottom"]), points, row["score"])


def _scores(task: Task, job: VideoJob, crops: Crops) -> VideoScores:
    """A video's scores at the points where it had none: the means over its frames."""
    missing, is_fake = _missing(task, job.video), task.videos[job.video][0]["label"] == "fake"
    places = {point: place for place, point in enumerate(job.points)}
    found: VideoScores = {}
    for subject in task.subjects:
        scores = found.setdefault(subject.key, {})
        for point in missing[subject.key]:
            if point.is_attack and is_fake and isinstance(subject, Subject):
                parts = _parts(task, crops[places[NOTHING]])
                each = [attacked(subject, part, point, task.config.adversary_steps) for part in parts]
            else:  # nobody attacks a real one
                parts = _parts(task, crops[places[NOTHING if point.is_attack else point]])
                each = [subject.scores(part) for part in parts]
            mean = float(np.concatenate(each).mean())
            if not isfinite(mean):
                raise NoNumberError(f"{subject.name} gives it no number at {point.key}")
            scores[point.key] = mean
    return found


def _parts(task: Task, crops: Crops) -> list[Crops]:
    """A video's crops at a point in batches; they are the same whatever else is to be done, and so are the scores."""
    size = task.config.batch_size
    return [np.array(crops[start : start + size]) for start in range(0, len(crops), size)]


def _failure(job: VideoJob, error: Exception) -> Failure:
    known = isinstance(error, UserError | RuntimeError)
    message = str(error) if known else f"{type(error).__name__}: {error}"
    return Failure(job.video, message.removeprefix(f"{job.file}: "))
