"""What video does to a face before anyone sees it: light, focus, size, motion, a sensor's noise, and H.264.

Once or twice, as clips that are downloaded and uploaded again. A real crop and the forgery made from it go through
the same, from the same seed.
"""

import cv2
import numpy as np

from dfgame.config import FootageConfig
from dfgame.forgery.cameras import exposure
from dfgame.media import RgbImage, through_h264

PRESETS = ("superfast", "veryfast", "faster", "medium")
FIRST_CRF = (17, 28)
"""Range of the first of two encodings: what is uploaded again was good once."""
MOST_FRAMES = 4
DRIFT = 1.2
"""Spread of the camera's motion in pixels a frame."""
NOISE = (0.0, 3.0)
"""Range of the sensor noise's standard deviation, on the 0-255 scale."""

OUT_OF_FOCUS = 8 / 13
"""Of the clips that are not sharp, how many are out of focus; the others moved."""
GRAIN = 16
"""The noise of a clip is one field, seen through another window in every frame: this much is it larger."""


class Footage:
    """One frame of the clip that a crop is shown as."""

    def __init__(self, config: FootageConfig) -> None:
        self._config = config

    def __call__(self, image: RgbImage, seed: int) -> RgbImage:
        """A frame, (H, W, 3), both sides even and as a rule smaller than the crop's."""
        config, rng = self._config, np.random.default_rng((seed, 1))
        if rng.random() >= config.chance:
            return image
        clip = _clip(image, config, rng)
        if rng.random() < config.twice:
            clip = through_h264(clip, int(rng.integers(*FIRST_CRF, endpoint=True)), _preset(rng))
            share = rng.uniform(0.7, 1.0)
            clip = [_resized(frame, share) for frame in clip]
        clip = through_h264(clip, int(rng.integers(*config.crf, endpoint=True)), _preset(rng))
        return clip[rng.integers(len(clip))]


def _clip(image: RgbImage, config: FootageConfig, rng: np.random.Generator) -> list[RgbImage]:
    """The crop made smaller and moved along a line, noise new in every frame."""
    small = _resized(image, rng.uniform(*config.scale))
    lit = np.asarray(cv2.LUT(small, exposure(rng)), np.uint8) if rng.random() < config.light else small
    still = _in_focus(lit, config, rng)
    height, width = still.shape[:2]
    drift, strength = rng.normal(0, DRIFT, 2), rng.uniform(*NOISE)
    grain = rng.standard_normal((height + GRAIN, width + GRAIN, 3), dtype=np.float32) * np.float32(strength)
    frames = []
    for number in range(rng.integers(1, MOST_FRAMES, endpoint=True)):
        matrix = np.column_stack([np.eye(2), number * drift])
        moved = still
        if number:
            moved = cv2.warpAffine(
                still, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
        top, left = rng.integers(GRAIN, size=2)
        noise = grain[top : top + height, left : left + width]
        frames.append(np.clip(np.rint(moved + noise), 0, 255).astype(np.uint8))
    return frames


def _in_focus(image: RgbImage, config: FootageConfig, rng: np.random.Generator) -> RgbImage:
    """Now and then out of focus, blurred by motion, or sharpened."""
    kind = rng.random()
    if kind < OUT_OF_FOCUS * config.focus:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)
    if kind < config.focus:
        length, angle = rng.integers(3, 8), rng.uniform(0, np.pi)
        kernel = np.zeros((9, 9), np.float32)
        reach = length / 2 * np.array([np.cos(angle), np.sin(angle)])
        ends = np.rint(16 * np.array([4 - reach, 4 + reach])).astype(int)
        cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, shift=4)
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
    if config.sharpened and rng.random() < config.sharpened:
        gain, soft = rng.uniform(0.3, 1.2), cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 1.6))
        return np.asarray(cv2.addWeighted(image, 1 + gain, soft, -gain, 0), np.uint8)
    return image


def _resized(image: RgbImage, share: float) -> RgbImage:
    height, width = (max(round(side * share / 2), 16) * 2 for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _preset(rng: np.random.Generator) -> str:
    return PRESETS[rng.integers(len(PRESETS))]
