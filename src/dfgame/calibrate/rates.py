"""How strict thresholds must be for faces of some width and some amount of detail, and how often they err."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from dfgame.boxed import Calibration, Condition, Thresholds
from dfgame.calibrate.maps import FOLDS, stricter
from dfgame.calibrate.views import BANDS, View, band_of
from dfgame.metrics import auc_bootstrap, interval, measures, video_means
from dfgame.records import ErrorRates

FEWEST = 20
"""Real and fake videos that a condition needs, of each."""
REPLICATES, SEED = 1_000, 0
_AMOUNTS = {
    0: (),
    1: ("any amount of detail",),
    2: ("little detail", "much detail"),
    3: ("little detail", "some detail", "much detail"),
}
"""Into how many parts of equal size a band is cut by detail, and what they are called."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SeenVideos:
    """Videos of one band of widths, an element each: class number, calibrated score, detail, group of people."""

    labels: Integers
    p_fake: Floats
    detail: Floats
    groups: Integers


def conditions(
    views: Sequence[View],
    labels: Mapping[str, int],
    groups: Mapping[str, int],
    calibration: Calibration,
    thresholds: Thresholds,
) -> tuple[Condition, ...]:
    """Limits and error rates of each band of widths (see `BANDS`), cut by detail into as many parts as videos bear.

    Each part has at least FEWEST real and FEWEST fake videos, of two groups of people or more each; a band that has
    not is left out. Its limits are the thresholds, stricter where more than 5% of either kind would be called the
    other. Its rates are of people held out in turn, by the limits found on the others; the map and the thresholds
    for all were chosen on the same videos.

    Args:
        views: of `scored_views`.
        labels: class number of each video, by name.
        groups: the group of people of each, by name.
        calibration: the map from raw scores to probabilities.
        thresholds: of the verdicts.
    """
    found = []
    for number, videos in _by_band(views, labels, groups, calibration).items():
        widths = (BANDS[number], BANDS[number + 1] if number + 1 < len(BANDS) else None)
        found += _of_band(videos, widths, thresholds)
    return tuple(found)


def _by_band(
    views: Sequence[View], labels: Mapping[str, int], groups: Mapping[str, int], calibration: Calibration
) -> dict[int, SeenVideos]:
    rows: dict[int, list[tuple[int, float, float, int]]] = {number: [] for number in range(len(BANDS))}
    for view in views:
        names, means = video_means(view.videos, view.raw)
        of_video = np.asarray(view.videos)
        for name, p_fake in zip(names.tolist(), calibration(means).tolist(), strict=True):
            own = of_video == name
            band = band_of(float(np.median(view.width[own])))
            if band >= 0:
                rows[band].append((labels[name], p_fake, float(np.median(view.detail[own])), groups[name]))
    return {
        number: SeenVideos(*(np.array(column) for column in zip(*of, strict=True)))
        for number, of in rows.items()
        if of
    }


def _of_band(videos: SeenVideos, widths: tuple[float, float | None], thresholds: Thresholds) -> Iterator[Condition]:
    low, high = widths
    wide = f"{low:.0f} pixels wide or more" if high is None else f"{low:.0f} to {high:.0f} pixels wide"
    cuts = _cuts(videos)
    for amount, details in zip(_AMOUNTS[len(cuts)], cuts, strict=True):
        part = _part(videos, *details)
        rates, auc = _rates(part, f"{wide}, {amount}", thresholds)
        yield Condition(widths, details, rates, auc, _limits(part.labels, part.p_fake, thresholds))


def _cuts(videos: SeenVideos) -> list[tuple[float, float | None]]:
    """The bounds of the most parts by detail of which each has enough videos, the last open; none of too few."""
    lowest = float(np.floor(videos.detail.min() * 100) / 100)
    for parts in range(max(_AMOUNTS), 0, -1):
        inner = np.quantile(videos.detail, np.arange(1, parts) / parts).round(2).tolist()
        bounds = list(zip([lowest, *inner], [*inner, None], strict=True))
        if all(_is_enough(_part(videos, *details)) for details in bounds):
            return bounds
    return []


def _part(videos: SeenVideos, start: float, end: float | None) -> SeenVideos:
    inside = (videos.detail >= start) & (videos.detail < (np.inf if end is None else end))
    return SeenVideos(videos.labels[inside], videos.p_fake[inside], videos.detail[inside], videos.groups[inside])


def _is_enough(videos: SeenVideos) -> bool:
    each = [videos.groups[videos.labels == label] for label in (0, 1)]
    return all(len(groups) >= FEWEST and len(np.unique(groups)) > 1 for groups in each)


def _rates(videos: SeenVideos, faces: str, thresholds: Thresholds) -> tuple[ErrorRates, tuple[float, float]]:
    """The rates, and the AUC's interval over groups of people, whose videos are alike."""
    called_fake, called_real = _held_out_calls(videos, thresholds)
    people = [f"{label}/{group}" for label, group in zip(videos.labels, videos.groups, strict=True)]
    draws = auc_bootstrap(videos.labels, videos.p_fake, people, "frame", REPLICATES, SEED)
    rates = ErrorRates(
        faces=faces,
        real=int((videos.labels == 0).sum()),
        real_called_fake=float(called_fake[videos.labels == 0].mean()),
        fake=int((videos.labels == 1).sum()),
        fake_called_real=float(called_real[videos.labels == 1].mean()),
        auc=measures(videos.labels, videos.p_fake).auc,
    )
    return rates, interval(draws)


def _limits(labels: Integers, p_fake: Floats, thresholds: Thresholds) -> Thresholds:
    return stricter(thresholds, p_fake[labels == 0], p_fake[labels == 1])


def _held_out_calls(videos: SeenVideos, thresholds: Thresholds) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each video is called fake, and real, by the limits found on the other people."""
    fake, real = (np.zeros(len(videos.labels), bool) for _ in range(2))
    parts = min(FOLDS, len(np.unique(videos.groups)))
    for fitted, held in GroupKFold(parts).split(videos.p_fake, groups=videos.groups):
        limits = _limits(videos.labels[fitted], videos.p_fake[fitted], thresholds)
        fake[held], real[held] = videos.p_fake[held] >= limits.fake, videos.p_fake[held] <= limits.real
    return fake, real
