"""Validation crops as they are, and as smaller faces would look: their scores, widths and detail."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dfgame.batches import fitted, plainly, to_unit
from dfgame.faces.quality import detail, face_width
from dfgame.faces.sample import native_side
from dfgame.jobs import progress_bar
from dfgame.manifest import evenly
from dfgame.media import RgbImage
from dfgame.metrics import Floats
from dfgame.records import CropRule, Face
from dfgame.stored import read_stored

BANDS = (32.0, 52.0, 80.0, 120.0)
"""Widths of faces in pixels at which the bands begin in which error rates are measured; the last has no end."""
SHRUNK_TO = (40.0, 64.0, 96.0)
"""The width to which faces are shrunk for each of the bands but the last."""
SHRUNK_FRAMES = 8
"""Frames of a video that are scored shrunk, at most."""


@dataclass(frozen=True, slots=True)
class View:
    """Crops as they are, or shrunk alike; an element each: their video's name, raw score, width, and detail."""

    videos: list[str]
    raw: Floats
    width: Floats
    detail: Floats


@dataclass(frozen=True, slots=True)
class _Look:
    """A stored crop: its face's width and its own side in pixels of the frame, and the share of them to look at."""

    path: Path
    width: float
    native: float
    share: float


class _Looks(Dataset[tuple[Tensor, float]]):
    """Crops as the detector sees them, (3, H, W) uint8, and how much detail each holds."""

    def __init__(self, looks: Sequence[_Look], image_size: int) -> None:
        self._looks, self._image_size = looks, image_size

    def __len__(self) -> int:
        return len(self._looks)

    def __getitem__(self, number: int) -> tuple[Tensor, float]:
        look = self._looks[number]
        crop = read_stored(look.path)
        if look.share < 1:
            crop = shrunk(crop, look.native * look.share)
        return fitted(crop, self._image_size), detail(crop, look.native * look.share)


def shrunk(crop: RgbImage, native: float) -> RgbImage:
    """A crop as it would be, had it been cut out of so many pixels a side."""
    side = crop.shape[0]
    fewer = max(round(native), 1)
    if fewer >= side:
        return crop
    small = cv2.resize(crop, (fewer, fewer), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def band_of(width: float) -> int:
    """The number of the band that a width lies in; -1 is below all of them."""
    return int(np.searchsorted(BANDS, width, "right")) - 1


def scored_views(
    score: Callable[[Tensor], Tensor],
    table: pa.Table,
    folder: Path,
    rule: CropRule,
    image_size: int,
    batch_size: int,
    workers: int,
) -> Iterator[View]:
    """All crops as they are first, then those of each video shrunk to the width of every band below its own.

    A video is seen at most once in each band. The pixels were compressed before they are shrunk here, and are not
    compressed after it, as those of a small face in a video are; so shrunk faces are, if anything, easier.

    Args:
        score: images in [0, 1] -> raw scores.
        table: a manifest's rows, whose paths are relative to `folder`.
        folder: the manifest's.
        rule: how the faces were cut out.
        image_size: the side of the detector's input.
        batch_size: images at a time.
        workers: processes that load images.
    """
    own = _widths_by_video(table)
    looks = [(table, None), *((_wider(table, own, target), target) for target in SHRUNK_TO)]
    for rows, target in looks:
        if rows.num_rows:
            yield _scored(score, rows, _looks(rows, folder, rule, own, target), image_size, batch_size, workers)


def _wider(table: pa.Table, own: dict[str, float], target: float) -> pa.Table:
    """Some rows of the videos whose faces are of a wider band than a width is in."""
    rows = table.filter(pa.array([band_of(own[video]) > band_of(target) for video in table["video"].to_pylist()]))
    return evenly(rows, SHRUNK_FRAMES) if rows.num_rows else rows


def _looks(rows: pa.Table, folder: Path, rule: CropRule, own: dict[str, float], target: float | None) -> list[_Look]:
    looks = []
    for row in rows.select(["path", "video", *_SIDES]).to_pylist():
        face = Face((row["left"], row["top"], row["right"], row["bottom"]), (), 1.0)
        share = 1.0 if target is None else target / own[row["video"]]
        looks.append(_Look(folder / row["path"], face_width(face), native_side(face, rule), share))
    return looks


def _scored(
    score: Callable[[Tensor], Tensor],
    rows: pa.Table,
    looks: list[_Look],
    image_size: int,
    batch_size: int,
    workers: int,
) -> View:
    loader = DataLoader(_Looks(looks, image_size), batch_size=batch_size, num_workers=workers)
    raw, details = [np.empty(0)], [np.empty(0)]
    with contextlib.closing(progress_bar(plainly(loader), len(loader), "scoring")) as bar:
        for images, detail_of in bar:
            raw.append(score(to_unit(images)).cpu().double().numpy())
            details.append(detail_of.numpy())
    widths = np.array([look.width * look.share for look in looks])
    return View(rows["video"].to_pylist(), np.concatenate(raw), widths, np.concatenate(details))


def _widths_by_video(table: pa.Table) -> dict[str, float]:
    widths: dict[str, list[float]] = {}
    for video, left, right in zip(*(table[name].to_pylist() for name in ("video", "left", "right")), strict=True):
        widths.setdefault(video, []).append(right - left)
    return {video: float(np.median(of)) for video, of in widths.items()}


_SIDES = ("left", "top", "right", "bottom")
