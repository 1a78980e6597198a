"""A detector over face crops: those of a manifest, and those of an analyst's pictures and videos.

Validation in training and an evaluation are the same numbers. A picture or a video is judged from the face up: the
raw score of a track is the mean over its frames, as that of a video is in an evaluation; it is then calibrated. The
`p_fake` of a single frame is calibrated by the same map, though that was fitted to means over videos.
"""

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfgame.augment import Augmentation
from dfgame.batches import crop_loader
from dfgame.boxed import BoxedDetector
from dfgame.checkpoint import load_detector, read_record
from dfgame.config import EvaluateConfig, InspectConfig
from dfgame.devices import pick_device
from dfgame.extract.records import reason
from dfgame.faces.detect import default_detector
from dfgame.faces.sample import Sample, SampleJob, sample_faces
from dfgame.faces.video import FoundFace
from dfgame.jobs import available_cores, progress_bar, run_jobs
from dfgame.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from dfgame.models import Detector, class_names, probabilities
from dfgame.records import FaceScore, Failure, FileVerdict, TrackScore, UserError, Verdict

ENOUGH_FRAMES, ENOUGH_SHARE = 3, 4
"""A track of a video is judged by itself if it has 3 of the frames looked at, or a quarter of them."""


def score_crops(
    detector: Detector, paths: list[Path], image_size: int, batch_size: int, workers: int
) -> NDArray[np.float64]:
    """The probability of fake of each crop, in [0, 1], in the order of `paths`: all that is not real."""
    return 1 - class_probabilities(detector, paths, image_size, batch_size, workers)[:, 0]


@torch.inference_mode()
def class_probabilities(
    detector: Detector,
    paths: list[Path],
    image_size: int,
    batch_size: int,
    workers: int,
    augmentation: Augmentation | None = None,
) -> NDArray[np.float64]:
    """The probability of each class for each crop, (crops, classes); see `class_names`."""
    detector.eval()
    device = next(detector.parameters()).device
    found = [np.empty((0, len(class_names(detector.multi))))]
    batches = crop_loader(paths, image_size, batch_size, workers, augmentation)
    with contextlib.closing(progress_bar(batches, -(-len(paths) // batch_size), "scoring")) as bar:
        for images in bar:
            images = images.to(device, memory_format=torch.channels_last)
            found.append(probabilities(detector(images)).cpu().double().numpy())
    return np.concatenate(found)


def score_run(run: Path, table: pa.Table, folder: Path, config: EvaluateConfig) -> pa.Table:
    """The manifest's rows with a column `p_fake`: the probability of fake that the run's detector gives.

    `folder` is the manifest's; the rows' paths are relative to it.
    """
    detector, settings = load_detector(run, config.checkpoint, pick_device(config.device))
    paths = [folder / path for path in table.column("path").to_pylist()]
    scores = score_crops(detector, paths, settings.image_size, config.batch_size, config.workers)
    return table.append_column("p_fake", pa.array(scores, pa.float64()))


def run_info(run: Path) -> dict[str, Any]:
    """What a run was trained on: name, game, methods and compressions (empty: all), seed, config, version.

    Then how its data and its protocol are recorded, and how its checkpoints came about.
    """
    record = read_record(run)
    settings = record["settings"]
    chosen = (record["protocol"] or {}).get("train", settings)
    return {
        "name": run.name,
        "game": settings["game"],
        "methods": chosen["methods"],
        "compressions": chosen["compressions"],
        "seed": settings["seed"],
        "config": settings,
        "version": record["version"],
        "data": record["data"],
        "protocol": record["protocol"],
        "best_epoch": record.get("best_epoch"),
        "validated": any("val_auc" in entry for entry in record["history"]),
        "epochs_done": len(record["history"]),
    }


def raw_scores(
    score: Callable[[Tensor], Tensor], paths: Sequence[Path], image_size: int, batch_size: int, workers: int = 0
) -> Generator[NDArray[np.float64], None, None]:
    """The raw probability of fake of each crop, a batch after the other, in the order of `paths`."""
    for images in crop_loader(paths, image_size, batch_size, workers) if paths else ():
        yield score(images).cpu().double().numpy()


def files_below(places: Sequence[Path]) -> list[Path]:
    """The files that are named, and all pictures and videos below the folders that are named.

    Raises:
        UserError: a folder holds none.
    """
    found: list[Path] = []
    for place in places:
        inside = [place]
        if place.is_dir():
            known = PICTURE_SUFFIXES | VIDEO_SUFFIXES
            files = (path for path in place.rglob("*") if path.suffix.lower() in known and path.is_file())
            inside = sorted(path for path in files if not path.name.startswith("."))
            if not inside:
                raise UserError(f"{place}: no picture or video below", "name a folder that has some")
        found += inside
    return list(dict.fromkeys(found))


def inspect_files(
    files: Sequence[Path], detector: BoxedDetector, config: InspectConfig
) -> Iterator[FileVerdict | Failure]:
    """What a detector says of each file, in their order; a file that cannot be read stops no other.

    Faces are found by processes of their own where there are several files, and scored here, one file at a time.

    Raises:
        UserError: there is no face detector.
    """
    default_detector(detector.facts.crop.min_score)
    said: dict[Path, FileVerdict | Failure] = {}
    waiting = iter(files)
    expected = next(waiting, None)
    with TemporaryDirectory(prefix="dfgame-") as folder:
        jobs = [
            SampleJob(file, Path(folder) / str(number), config.frames, detector.facts.crop)
            for number, file in enumerate(files)
        ]
        workers = min(config.workers or available_cores(), len(jobs))
        samples = run_jobs(sample_faces, jobs, workers, "inspecting") if workers > 1 else _sampled_here(jobs)
        with contextlib.closing(samples):
            for job, sample in samples:
                said[job.file] = _judged(job.file, sample, detector, config.batch_size)
                shutil.rmtree(job.to, ignore_errors=True)
                while expected in said:
                    yield said.pop(expected)
                    expected = next(waiting, None)


def _sampled_here(jobs: Sequence[SampleJob]) -> Generator[tuple[SampleJob, Sample | Exception], None, None]:
    for job in jobs:
        try:
            yield job, sample_faces(job)
        except Exception as error:
            yield job, error


def _judged(file: Path, sample: Sample | Exception, detector: BoxedDetector, batch_size: int) -> FileVerdict | Failure:
    if isinstance(sample, Exception):
        return Failure(str(file), reason(sample, file))
    paths = [found.file for track in sample.tracks.values() for found in track]
    batches = raw_scores(detector.probabilities, paths, detector.facts.image_size, batch_size)
    scores = np.concatenate([np.empty(0), *batches])
    ends = accumulate((len(track) for track in sample.tracks.values()), initial=0)
    raw = {number: scores[start:end] for number, (start, end) in zip(sample.tracks, pairwise(ends), strict=True)}
    tracks = tuple(_track(number, sample.tracks[number], raw[number], detector) for number in sample.tracks)
    verdict, p_fake = _verdict(sample, raw, tracks, detector)
    error = reason(sample.problem, file) if sample.problem else None
    return FileVerdict(str(file), sample.sha256, sample.kind, verdict, p_fake, tracks, detector.model, error)


def _track(number: int, faces: Sequence[FoundFace], raw: NDArray[np.float64], detector: BoxedDetector) -> TrackScore:
    frames = tuple(
        FaceScore(round(found.time, 3), detector.calibrated(score), tuple(round(side, 1) for side in found.face.box))
        for found, score in zip(faces, raw, strict=True)
    )
    return TrackScore(number, detector.calibrated(raw.mean()), frames[0].time, frames[-1].time, frames)


def _verdict(
    sample: Sample, raw: dict[int, NDArray[np.float64]], tracks: Sequence[TrackScore], detector: BoxedDetector
) -> tuple[Verdict, float | None]:
    """That of the long enough track with the highest probability.

    Where no track is long enough, as in a video of short shots, that of all frames of the main face; these being too
    few, too, nothing can be concluded.
    """
    if not tracks:
        return "no face", None
    enough = 1 if sample.kind == "picture" else min(ENOUGH_FRAMES, -(-sample.looked_at // ENOUGH_SHARE))
    judged = [track.p_fake for track in tracks if len(track.frames) >= enough]
    if judged:
        return detector.verdict(max(judged)), max(judged)
    together = np.concatenate([raw[number] for number in sample.main])
    p_fake = detector.calibrated(together.mean())
    return detector.verdict(p_fake) if len(together) >= enough else "inconclusive", p_fake
