"""How strict thresholds must be for faces of some width and some amount of detail, and how often they err."""

from collections.abc import Iterator, Sequence

import numpy as np

from dfgame.boxed import Condition
from dfgame.calibrate.maps import Choice, ScoredVideos, held_out, stricter
from dfgame.calibrate.views import BANDS, band_of
from dfgame.metrics import auc_interval, fewest_of_a_class, measures, people_bootstrap
from dfgame.records import ErrorRates, Interval

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


def conditions(videos: ScoredVideos, choice: Choice, by_fold: Sequence[Choice]) -> tuple[Condition, ...]:
    """Limits and error rates of each band of widths (see `BANDS`), cut by detail into as many parts as videos bear.

    Each part has at least FEWEST real and FEWEST fake videos, of two groups of people or more each; a band that has
    not is left out. Its limits are the thresholds, stricter where more than 5% of either kind would be called the
    other. Its rates are of people held out in turn, by a map, thresholds and limits found on the others.

    Args:
        videos: as they are and shrunk, one an element for each width.
        choice: the map and the thresholds of the verdicts.
        by_fold: of `choose_by_fold`.
    """
    bands = np.array([band_of(width) for width in videos.widths])
    found = []
    for number, low in enumerate(BANDS):
        widths = (low, BANDS[number + 1] if number + 1 < len(BANDS) else None)
        found += _of_band(videos.where(bands == number), widths, choice, by_fold)
    return tuple(found)


def _of_band(
    videos: ScoredVideos, widths: tuple[float, float | None], choice: Choice, by_fold: Sequence[Choice]
) -> Iterator[Condition]:
    low, high = widths
    wide = f"{low:.0f} pixels wide or more" if high is None else f"{low:.0f} to {high:.0f} pixels wide"
    cuts = _cuts(videos)
    for amount, details in zip(_AMOUNTS[len(cuts)], cuts, strict=True):
        part = _part(videos, *details)
        rates, auc = _rates(part, f"{wide}, {amount}", by_fold)
        yield Condition(widths, details, rates, auc, stricter(choice, part))


def _cuts(videos: ScoredVideos) -> list[tuple[float, float | None]]:
    """The bounds of the most parts by detail of which each has enough videos, the last open; none of too few."""
    if not _is_enough(videos):
        return []
    lowest = float(np.floor(videos.details.min() * 100) / 100)
    for parts in range(max(_AMOUNTS), 1, -1):
        inner = np.quantile(videos.details, np.arange(1, parts) / parts).round(2).tolist()
        bounds = list(zip([lowest, *inner], [*inner, None], strict=True))
        if all(_is_enough(_part(videos, *details)) for details in bounds):
            return bounds
    return [(lowest, None)]


def _part(videos: ScoredVideos, start: float, end: float | None) -> ScoredVideos:
    return videos.where((videos.details >= start) & (videos.details < (np.inf if end is None else end)))


def _is_enough(videos: ScoredVideos) -> bool:
    each = [videos.groups[videos.labels == label] for label in (0, 1)]
    return all(len(groups) >= FEWEST and len(np.unique(groups)) > 1 for groups in each)


def _rates(videos: ScoredVideos, faces: str, by_fold: Sequence[Choice]) -> tuple[ErrorRates, Interval]:
    """The rates, and the AUC's interval over groups of people, whose videos are alike."""
    real, fake = (videos.labels == label for label in (0, 1))
    _, verdicts = held_out(videos, by_fold)
    auc = measures(videos.labels, videos.raw).auc
    people = videos.groups.astype(str)
    draws = people_bootstrap(videos.labels, videos.raw, people, REPLICATES, SEED)
    rates = ErrorRates(
        faces=faces,
        real=int(real.sum()),
        real_called_fake=float((verdicts[real] == "fake").mean()),
        fake=int(fake.sum()),
        fake_called_real=float((verdicts[fake] == "real").mean()),
        auc=auc,
    )
    return rates, auc_interval(auc, draws, fewest_of_a_class(videos.labels, people))
