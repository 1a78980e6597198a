"""What an evaluation says beside detectors' rows: pairs, groups, classes, what became of inputs; and runs compared."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from dfgame.records import Interval

Level = Literal["frame", "track", "video"]
"""What is scored: a crop, a face of a video (its column `track`), a video."""
LEVELS: tuple[Level, ...] = ("frame", "track", "video")
Unit = Literal["crop", "video"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two detectors on the same videos of one cell, by video: who is ahead, and whether that may be chance.

    `difference` is the AUC of `first` less that of `second`; its interval is over people, drawn alike for both. `p` is
    of DeLong's test of both AUCs being equal, which takes videos for independent. `missing` is how many videos only
    one of the two scored, which are left out. Where it cannot be said, the numbers are None, and `undefined` says why.
    """

    first: str
    second: str
    test_method: str
    test_compression: str
    dataset: str
    n_real: int
    n_fake: int
    missing: int
    first_auc: float | None
    second_auc: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    undefined: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A detector on the videos with one value of a column, of one data set and quality, by video.

    Fakes of all methods together, against the real videos of the group. `real_called_fake` and `fake_called_real` are
    the error rates at `threshold`, which is the same for all groups; intervals are over people, and there are none
    where a class has too few of them (`summary.FEWEST_PEOPLE`). A number that is not defined is None, and `undefined`
    says why.
    """

    run: str
    column: str
    value: str
    dataset: str
    compression: str
    n_real: int
    n_fake: int
    auc: float | None
    auc_interval: Interval | None
    threshold: float | None
    real_called_fake: float | None
    real_called_fake_interval: Interval | None
    fake_called_real: float | None
    fake_called_real_interval: Interval | None
    undefined: str = ""


Measure = Literal["auc", "real_called_fake", "fake_called_real"]


@dataclass(frozen=True, slots=True)
class Gap:
    """How far the best group of a column is from the worst one in one measure, of one data set and quality.

    The interval is that of the difference of these two groups; as they were picked for being the extremes, the gap is
    on average larger than that between groups drawn anew. `few` names the groups that have too few people for an
    interval; where one of the two is among them, the gap has none.
    """

    run: str
    column: str
    dataset: str
    compression: str
    measure: Measure
    best: str
    worst: str
    gap: float
    low: float | None
    high: float | None
    few: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """What a detector that names the method called crops, or videos, of one data set and quality.

    `counts[k][j]` is how often class k was called class j; `classes` names them. `balanced_accuracy` is the mean of
    the classes' shares of right answers, over the classes that are there. `without_class` are those of a method that
    the detector has no class for; they are not counted.
    """

    run: str
    dataset: str
    compression: str
    level: Level
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    accuracy: float
    balanced_accuracy: float
    without_class: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A cell on which a detector could not be measured at all, and why."""

    run: str
    test_method: str
    test_compression: str
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every input of one detector; the numbers after `inputs`, and `not_sampled`, add up to it.

    Inputs are the videos that were to be tested, those included of which extraction made no crop, or the crops of the
    manifest in the chosen split, data sets, methods and qualities. `no_face` and `unreadable` failed in extraction,
    `failed` did, too, and the manifest does not say why. `too_small` were narrower than --min-face, and of the others
    `not_sampled` are those that --frames, or a protocol's number of frames, leaves out. `not_scored` is what the
    detector gave no score. `unknown_paths` were in a table of scores and in no manifest; they are no inputs.
    `failures_known` is false where a manifest does not say what extraction failed on.
    """

    run: str
    unit: Unit
    inputs: int
    scored: int
    no_face: int
    too_small: int
    unreadable: int
    failed: int
    not_scored: int
    unknown_paths: int = 0
    failures_known: bool = True
    not_sampled: int = 0

    def __post_init__(self) -> None:
        lost = (self.no_face, self.too_small, self.not_sampled, self.unreadable, self.failed, self.not_scored)
        parts = (self.scored, *lost)
        if sum(parts) != self.inputs or min(parts) < 0:
            raise ValueError(f"{self.run}: {self.inputs} {self.unit}s are not the sum of {parts}")


@dataclass(frozen=True, slots=True)
class Tested:
    """A mean of video-level AUCs over `cells` cells, and how far ahead of the first run's it is.

    The intervals are over people, `ahead` paired; None where the evaluation's scores do not give them (it was one of
    a protocol), and `ahead` also where the first run's mean is over other cells, and of the first run itself.
    """

    auc: float
    interval: tuple[float, float] | None
    ahead: float | None
    ahead_interval: tuple[float, float] | None
    cells: int


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run: its settings by their flags' names, what it learned from, and what it did.

    `epochs` are the numbers after each epoch, as run.json has them: losses of its last round, `val_auc`, `val_loss`.
    `images_per_second` and `seconds`, of playing alone, are None while it has not ended; after a resume the speed is
    that of the last part. `tested` holds the subjects of the evaluation that was asked for, if it has the run.
    """

    name: str
    path: str
    version: str
    settings: dict[str, Any]
    data: dict[str, Any]
    protocol: str | None
    checkpoints: tuple[str, ...]
    epochs: tuple[dict[str, float], ...]
    epochs_planned: int
    rounds: int
    best_epoch: int | None
    images_per_second: float | None
    waited_for_data: float | None
    seconds: float | None
    tested: dict[str, Tested] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compared:
    """Runs in the order in which they were named, and the flags whose values differ, in the order of the settings."""

    runs: tuple[ComparedRun, ...]
    differing: tuple[str, ...]
    evaluation: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)
