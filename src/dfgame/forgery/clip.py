"""Photographs of one person -> a clip: slow camera motion, sensor noise, one shot after the other."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.align import moved
from dfgame.forgery.photographs import Person, prepared

SHORTEST_SHOT = 2
"""Frames; a person with more photographs than there are such shots in a clip shows the first ones."""
ZOOM = (1.04, 1.12)
"""Range of the zoom, above 1 so that the picture's border stays outside."""
DRIFT, TURN = 0.015, 0.035
"""Largest shift (share of the longer side) and rotation (radians) of the camera's slow motion."""
AROUND = 0.8
"""How far a face reaches beyond its eyes and mouth, as a share of what lies between these."""
NOISE = (0.8, 2.4)
"""Range of the sensor noise's standard deviation, on the 0-255 scale."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames (T, H, W, 3), RGB 0 to 255, and the face's five points in each, (T, 5, 2)."""

    frames: NDArray[np.uint8]
    points: NDArray[np.float64]


def render(person: Person, size: int, length: int, seed: int) -> Clip:
    """The person's clip; the same arguments give the same pixels."""
    rng = np.random.default_rng((seed, 1, int(person.id)))
    shots = min(len(person.photographs), max(length // SHORTEST_SHOT, 1))
    borders = np.linspace(0, length, shots + 1).round().astype(int)
    frames, points = [], []
    height = width = 0
    for photograph, start, end in zip(person.photographs, borders, borders[1:], strict=False):
        still = prepared(photograph.path, size)
        face = np.array(photograph.points)
        if not frames:
            height, width = still.shape[:2]
        path = _motion(rng, still.shape[:2], (height, width), np.arange(start, end) / length)
        for matrix in _held(path, face, still.shape[:2], (height, width)):
            frames.append(
                cv2.warpAffine(
                    still, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
                )
            )
            points.append(moved(face, matrix))
    return Clip(_with_noise(np.stack(frames), rng), np.stack(points))


def _motion(
    rng: np.random.Generator, still: tuple[int, ...], frame: tuple[int, int], time: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """A smooth path of 2 x 3 maps from the still to the frames at `time`, a share of the clip."""
    phases, speeds = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.3, 1.0, 4)
    wave = np.sin(phases[:, None] + 2 * np.pi * speeds[:, None] * time)
    fit = max(frame[0] / still[0], frame[1] / still[1])
    zoom = fit * (np.mean(ZOOM) + (ZOOM[1] - ZOOM[0]) / 2 * wave[0])
    angle = TURN * wave[1]
    shift = DRIFT * max(frame) * wave[2:]
    return [
        _camera(z, a, (still[1] / 2, still[0] / 2), (frame[1] / 2 + dx, frame[0] / 2 + dy))
        for z, a, dx, dy in zip(zoom, angle, *shift, strict=True)
    ]


def _held(
    path: list[NDArray[np.float64]], face: NDArray[np.float64], still: tuple[int, ...], frame: tuple[int, int]
) -> list[NDArray[np.float64]]:
    """The path moved along what of a longer or wider still is cut off, until the face stays in the frame."""
    points = np.concatenate([moved(face, matrix) for matrix in path])
    around = AROUND * np.ptp(points, axis=0).max()
    low, high, sides = points.min(0) - around, points.max(0) + around, np.array(frame[::-1])
    missing = np.where(low < 0, -low, np.minimum(sides - high, 0))
    fit = max(frame[0] / still[0], frame[1] / still[1])
    cut_off = np.maximum((fit * np.array(still[1::-1]) - sides) / 2, 0)
    shift = np.clip(missing, -cut_off, cut_off)
    return [matrix + np.column_stack([np.zeros((2, 2)), shift]) for matrix in path]


def _camera(zoom: float, angle: float, centre: tuple[float, float], goal: tuple[float, float]) -> NDArray[np.float64]:
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.array(goal) - turn @ np.array(centre)])


def _with_noise(frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise of one strength for the whole clip, new in every frame; put on in place."""
    strength = np.float32(rng.uniform(*NOISE))
    for frame in frames:
        noise = rng.standard_normal(frame.shape, dtype=np.float32) * strength
        frame[:] = np.clip(np.rint(frame + noise), 0, 255)
    return frames
