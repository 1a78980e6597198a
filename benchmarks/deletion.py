"""Are the heat maps true? Without its hottest region a crop's score must move more than without another one.

    python benchmarks/deletion.py FOLDER_OF_CROPS_OR_MANIFEST [BOX] [MOST]

Takes all PNG and JPEG files below a folder, or the crops of a manifest; at most MOST of them (default 60), evenly
spread. BOX is a detector's file (default, or -: the packaged one). Of each crop 15% of the pixels are taken away, once
the hottest, eight times the same shape at random places, and once those in the middle (a face is there; a map that
knew nothing else would point there), in two ways: `filled` from around, as in a report, so that nothing of the
region is left, and `blurred` by a Gaussian twice as wide as that of the map's own baseline, which is less independent
of how the map is made. JSON on stdout: for each way the share of crops in which the hottest region moves the log-odds
more, its change over the others' (the ratio of the means), and the seconds of processor time that a map takes.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.boxed import BoxedDetector, load_detector, logit
from dfgame.explain.deletion import HOT_SHARE, PLACES, Region, elsewhere, hottest, without
from dfgame.explain.heat import BASELINE, heat_map
from dfgame.explain.scoring import raw_of
from dfgame.manifest import read_manifest
from dfgame.media import RgbImage
from dfgame.stored import read_stored

Deletion = Callable[[RgbImage, Region], RgbImage]


def blurred(crop: RgbImage, region: Region) -> RgbImage:
    soft = cv2.GaussianBlur(crop, (0, 0), 2 * BASELINE * len(crop), borderType=cv2.BORDER_REFLECT_101)
    return np.where(region[:, :, None], soft, crop)


WAYS: dict[str, Deletion] = {"filled": without, "blurred": blurred}


def crops_of(place: Path, most: int) -> list[Path]:
    if place.is_dir():
        files = sorted(path for path in place.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
        files = [path for path in files if not path.name.endswith(".mask.png")]
    else:
        files = [place.parent / path for path in read_manifest(place).column("path").to_pylist()]
    return [files[round(n)] for n in np.linspace(0, len(files) - 1, min(most, len(files)))]


def middle(side: int) -> Region:
    across = np.arange(side) - (side - 1) / 2
    return hottest(-np.hypot(across, across[:, None]))


def moved(detector: BoxedDetector, crop: RgbImage, hot: Region, way: Deletion, seed: int) -> NDArray[np.float64]:
    """How much the log-odds move without the hottest region, without others (their mean), without the middle."""
    regions = [hot, middle(len(crop)), *elsewhere(hot, seed=seed)]
    odds = logit(raw_of(detector, [crop, *(way(crop, region) for region in regions)]))
    change = np.abs(odds[1:] - odds[0])
    return np.array([change[0], change[2:].mean(), change[1]])


def summary(changes: NDArray[np.float64]) -> dict[str, float]:
    hot, random, centre = changes.T
    return {
        "hottest": round(float(hot.mean()), 3),
        "random": round(float(random.mean()), 3),
        "middle": round(float(centre.mean()), 3),
        "share of crops in which the hottest moves more than random": round(float((hot > random).mean()), 3),
        "hottest over random": round(float(hot.mean() / random.mean()), 2),
        "share of crops in which the hottest moves more than the middle": round(float((hot > centre).mean()), 3),
        "hottest over middle": round(float(hot.mean() / centre.mean()), 2),
    }


def main(place: Path, box: Path | None = None, most: int = 60) -> None:
    """Print the JSON."""
    detector, files = load_detector(box, "cpu"), crops_of(place, most)
    found: dict[str, list[NDArray[np.float64]]] = {way: [] for way in WAYS}
    seconds = 0.0
    for number, file in enumerate(files):
        crop = read_stored(file)
        start = time.process_time()
        hot = hottest(heat_map(detector, crop))
        seconds += time.process_time() - start
        for name, way in WAYS.items():
            found[name].append(moved(detector, crop, hot, way, number))
    facts = {"crops": len(files), "share deleted": HOT_SHARE, "random regions": PLACES}
    results = {name: summary(np.array(changes)) for name, changes in found.items()}
    print(json.dumps(facts | results | {"processor seconds a map": round(seconds / len(files), 3)}, indent=1))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), Path(given[1]) if given[1:2] not in ([], ["-"]) else None, *map(int, given[2:3]))
