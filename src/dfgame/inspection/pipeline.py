"""Files -> verdicts: readers find faces while those found before are scored here. No more than a few crops are held.

Faces are scored in batches of one file, in the order in which they were seen: a verdict depends on nothing else, not
on what else was inspected, nor on how fast.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dfgame.batches import fitted, to_unit
from dfgame.boxed import BoxedDetector, Thresholds, load_detector
from dfgame.config import InspectConfig
from dfgame.extract.records import reason
from dfgame.faces.detect import default_detector
from dfgame.faces.sample import Sample, SampleJob, SeenFace
from dfgame.inspection.judge import ScoredFace, judged
from dfgame.inspection.places import files_below
from dfgame.inspection.progress import looking
from dfgame.inspection.readers import Readers
from dfgame.jobs import available_cores
from dfgame.records import Failure, FileVerdict, UserError


def inspect(path: Path | str, detector: BoxedDetector | Path | str | None = None, **settings: Any) -> FileVerdict:
    """What a detector says of a picture or a video.

    Args:
        path: the file.
        detector: one of `load_detector`, or the file it is in; None is the one inside the package. Whoever inspects
            many files loads it once.
        settings: those of InspectConfig, by name: frames, every, max_frames, threshold, max_turn, batch_size, timeout,
            device.

    Raises:
        UserError: the file cannot be read.
        SettingError: a setting is wrong.
    """
    config = InspectConfig(**settings)
    (said,) = inspect_files([Path(path)], _loaded(detector, config), config, shown=False)
    if isinstance(said, Failure):
        raise UserError(f"{said.path}: {said.reason}", "name a picture or a video that can be read")
    return said


def inspect_many(
    paths: Path | str | Iterable[Path | str], detector: BoxedDetector | Path | str | None = None, **settings: Any
) -> Iterator[FileVerdict | Failure]:
    """What a detector says of each of many files, in their order; one that cannot be read is a Failure.

    Args:
        paths: files, and folders, which stand for all pictures and videos below them; or one of these.
        detector: see `inspect`.
        settings: those of InspectConfig, by name; with `workers`, how many files are read at a time.

    Raises:
        UserError: a folder is empty.
        SettingError: a setting is wrong.
    """
    config = InspectConfig(**settings)
    files = files_below([Path(path) for path in ([paths] if isinstance(paths, Path | str) else paths)])
    yield from inspect_files(files, _loaded(detector, config), config, shown=False)


def _loaded(detector: BoxedDetector | Path | str | None, config: InspectConfig) -> BoxedDetector:
    return detector if isinstance(detector, BoxedDetector) else load_detector(detector, config.device)


def inspect_files(
    files: Sequence[Path],
    detector: BoxedDetector,
    config: InspectConfig,
    in_order: bool = True,
    shown: bool = True,
    watch: Callable[[float], None] = lambda _: None,
) -> Iterator[FileVerdict | Failure]:
    """What a detector says of each file; a file that cannot be read stops no other.

    Args:
        files: pictures and videos.
        detector: what scores them; the settings `detector` and `device` say nothing here.
        config: the settings.
        in_order: the files' order, or else that in which they are done.
        shown: draw a progress bar where stderr is a terminal.
        watch: is told the share of all files that was looked at, 0 to 1, after each frame and at least every few
            seconds; what it raises ends the inspection at once.

    Raises:
        UserError: there is no face detector.
    """
    default_detector(detector.facts.crop.min_score)
    detector = with_threshold(detector, config.threshold)
    jobs = [SampleJob(file, config.frames, detector.facts.crop, config.every, config.max_frames) for file in files]
    workers = min(config.workers or available_cores(), len(jobs))
    scoring = _Scoring(detector, config.batch_size)
    said: dict[int, FileVerdict | Failure] = {}
    expected = 0
    with Readers(jobs, workers, config.timeout) as readers, looking(len(files), shown, watch) as bar:
        for number, answer in readers.answers(bar.nothing_new):
            if isinstance(answer, SeenFace):
                scoring.take(number, answer)
                continue
            if isinstance(answer, tuple):
                bar.at(number, answer[0] / answer[1])
                continue
            said[number] = _said(files[number], answer, scoring.finished(number), detector, config)
            bar.at(number, 1.0)
            while said and (not in_order or expected in said):
                yield said.pop(expected if in_order else number)
                expected += 1


def with_threshold(detector: BoxedDetector, fake: float | None) -> BoxedDetector:
    """The detector with another probability from which any face is fake; None leaves it as it is.

    How often it errs by that is not known.
    """
    if fake is None:
        return detector
    limits = replace(detector.facts.thresholds, fake=fake, real=min(detector.facts.thresholds.real, fake))
    conditions = tuple(
        replace(
            one,
            limits=_real_kept(one.limits, fake),
            rates=replace(one.rates, real_called_fake=None, fake_called_real=None),
        )
        for one in detector.facts.conditions
    )
    return replace(detector, facts=replace(detector.facts, thresholds=limits, conditions=conditions))


def _real_kept(limits: Thresholds | None, fake: float) -> Thresholds | None:
    """Stricter limits of some faces with another probability of fake."""
    return limits and Thresholds(fake=fake, real=min(limits.real, fake))


def settings_of(detector: BoxedDetector, config: InspectConfig) -> dict[str, Any]:
    """What a verdict depends on beside the file and the detector, as plain JSON values.

    `threshold` is the one asked for; None is the detector's own, which may be stricter for some faces.
    """
    looked = {"every": config.every} if config.every else {"frames": config.frames}
    limits = detector.facts.thresholds
    found = {"threshold": config.threshold, "fake_from": limits.fake, "real_up_to": limits.real}
    return (
        looked
        | {"max_frames": config.max_frames, "max_turn": config.max_turn, "batch_size": config.batch_size}
        | found
    )


def _said(
    file: Path,
    answer: Sample | Exception,
    tracks: dict[int, list[ScoredFace]],
    detector: BoxedDetector,
    config: InspectConfig,
) -> FileVerdict | Failure:
    if isinstance(answer, Exception):
        return Failure(str(file), reason(answer, file))
    return judged(file, answer, tracks, detector, config.max_turn, settings_of(detector, config))


class _Scoring:
    """Scores the faces of several files, in batches of one file each."""

    def __init__(self, detector: BoxedDetector, batch_size: int) -> None:
        self._detector, self._batch_size = detector, batch_size
        self._waiting: dict[int, list[tuple[Tensor, SeenFace]]] = defaultdict(list)
        self._scored: dict[int, dict[int, list[ScoredFace]]] = defaultdict(lambda: defaultdict(list))

    def take(self, file: int, seen: SeenFace) -> None:
        """Take a face of a file, and score those that wait if they make a batch."""
        self._waiting[file].append((fitted(seen.crop, self._detector.facts.image_size), seen))
        if len(self._waiting[file]) >= self._batch_size:
            self._score(file)

    def finished(self, file: int) -> dict[int, list[ScoredFace]]:
        """All faces of a file by track; it is then forgotten."""
        self._score(file)
        self._waiting.pop(file, None)
        return dict(self._scored.pop(file, {}))

    def _score(self, file: int) -> None:
        batch = self._waiting.pop(file, [])
        if not batch:
            return
        raw = self._detector.probabilities(to_unit(torch.stack([crop for crop, _ in batch]))).cpu().double().tolist()
        for (_, seen), score in zip(batch, raw, strict=True):
            one = ScoredFace(seen.frame, seen.time, seen.face, seen.detail, score)
            self._scored[file][seen.track].append(one)
