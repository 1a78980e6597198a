"""Photographs of faces -> people, each with an id, a split, and photographs whose face is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from dfgame.config import ForgeConfig
from dfgame.datasets.photographs import find_photographs
from dfgame.faces.detect import FaceDetector, default_detector
from dfgame.faces.track import area
from dfgame.jobs import run_jobs
from dfgame.media import MediaError, RgbImage, read_image
from dfgame.records import SPLITS, Failure, Split, UserError

MIN_SCORE = 0.6
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture and its face's five points, in pixels of the picture as `prepared` gives it."""

    path: Path
    points: Points


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the photographs: `id` is their number in the tree, `name` what the files call them."""

    id: str
    name: str
    photographs: tuple[Photograph, ...]


def find_people(folder: Path, config: ForgeConfig) -> tuple[list[Person], list[Failure]]:
    """The people of a folder of photographs, in the order of their names, with ids 000, 001, ...

    Photographs that cannot be read or show no face come back as failures; a person without any other is left out.

    Raises:
        UserError: fewer than two people are left.
    """
    waiting = list(find_photographs(folder).items())
    most = config.people or len(waiting)
    named: list[tuple[str, tuple[Photograph, ...]]] = []
    failures: list[Failure] = []
    while waiting and len(named) < most:
        missing = most - len(named)
        now, waiting = waiting[:missing], waiting[missing:]
        found, failed = _find_faces([path for _, paths in now for path in paths], config)
        failures += failed
        of_person = ((name, tuple(found[path] for path in paths if path in found)) for name, paths in now)
        named += [(name, photographs) for name, photographs in of_person if photographs]
    if len(named) < 2:
        found_who = "only one person" if named else "nobody"
        reasons = f"; {failures[0].path}: {failures[0].reason}" if failures else ""
        raise UserError(
            f"{folder}: a face was found of {found_who}{reasons}",
            "a forgery needs two people: one subfolder each, or files named PERSON_anything",
        )
    digits = max(3, len(str(len(named) - 1)))
    people = [Person(f"{number:0{digits}}", *person) for number, person in enumerate(named)]
    return people, sorted(failures, key=lambda failure: failure.path)


def _find_faces(paths: Sequence[Path], config: ForgeConfig) -> tuple[dict[Path, Photograph], list[Failure]]:
    found, failures = {}, []
    jobs = [(path, config.size) for path in paths]
    for (path, _), result in run_jobs(find_face, jobs, config.workers, "find faces"):
        if isinstance(result, Exception):
            failures.append(Failure(str(path), str(result).removeprefix(f"{path}: ")))
        else:
            found[path] = result
    return found, failures


def find_face(job: tuple[Path, int]) -> Photograph:
    """The largest face of a photograph.

    Raises:
        MediaError: it cannot be read, or shows no face.
    """
    path, size = job
    faces = _detector()(prepared(path, size))
    if not faces:
        raise MediaError(f"{path}: no face was found")
    return Photograph(path, max(faces, key=lambda face: area(face.box)).points)


def prepared(path: Path, size: int) -> RgbImage:
    """A photograph with its longer side brought to `size` and both sides even, as H.264 wants them."""
    image = read_image(path)
    scale = size / max(image.shape[:2])
    height, width = (max(2 * round(side * scale / 2), 2) for side in image.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


def split_pairs(people: list[str], shares: tuple[float, float, float], seed: int) -> dict[Split, list[list[str]]]:
    """Pairs of people for each split, as the official lists have them; nobody is in two pairs.

    People are shuffled, then paired; the pairs are shared out. With an odd number one person is left over. Train
    has at least one pair, and each split with a share above 0 has one as soon as there are enough pairs.
    """
    rng = np.random.default_rng((seed, 0))
    order: list[str] = [people[i] for i in rng.permutation(len(people))]
    pairs: list[list[str]] = [sorted(order[i : i + 2]) for i in range(0, len(order) - 1, 2)]
    counts = [round(share * len(pairs)) for share in shares]
    for number in (2, 1):
        if shares[number] > 0 and counts[number] == 0 and len(pairs) > sum(c > 0 for c in counts[1:]) + 1:
            counts[number] = 1
    counts[1:] = _fitting(counts[1:], len(pairs) - 1)
    counts[0] = len(pairs) - counts[1] - counts[2]
    starts = np.cumsum([0, *counts])
    return {split: sorted(pairs[starts[i] : starts[i + 1]]) for i, split in enumerate(SPLITS)}


def _fitting(counts: list[int], most: int) -> list[int]:
    """Val's and test's counts, made smaller, the larger one first, until they leave a pair for train."""
    counts = list(counts)
    while sum(counts) > most:
        counts[counts.index(max(counts))] -= 1
    return counts


@cache
def _detector() -> FaceDetector:
    return default_detector(MIN_SCORE)
