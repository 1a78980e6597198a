"""A camera for each person: light, colours, focus, sharpening, noise, and the compression of an upload.

The videos of a data set such as FaceForensics++ come from as many cameras as people. Where all come from one, whatever
a forgery does to the sharpness of a picture gives it away; where each has its own, it has to be told from what a
camera does. The forgeries are made in the filmed clip, as those of others are made in videos that were uploaded.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.forgery.clip import Clip
from dfgame.forgery.photographs import Person
from dfgame.media import RgbImage, through_h264

_STREAM = 11
"""What keeps these dice apart from those of the clip, which have the same seed."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What is done to every frame, in this order; sigmas are in pixels, noise is a standard deviation of 0 to 255.

    `curves` are as `exposure` gives them; None leaves the brightness as it is. `upload` is the
    H.264 CRF of an encoding before the forger had the clip; None is none.
    """

    curves: NDArray[np.uint8] | None
    blur: float
    sharpening: float
    noise: float
    upload: int | None


def camera_of(person: Person, seed: int) -> Camera:
    """The person's camera; the same seed gives the same one."""
    rng = np.random.default_rng((seed, _STREAM, int(person.id)))
    curves = exposure(rng) if rng.random() < 0.5 else None
    blur = rng.uniform(0.4, 1.6) if rng.random() < 0.4 else 0.0
    sharpening = rng.uniform(0.3, 1.0) if not blur and rng.random() < 0.4 else 0.0
    noise = rng.uniform(0, 4)
    upload = int(rng.integers(17, 28, endpoint=True)) if rng.random() < 0.7 else None
    return Camera(curves, blur, sharpening, noise, upload)


def filmed(clip: Clip, camera: Camera, seed: tuple[int, ...]) -> Clip:
    """The clip as this camera shows it, of the same shape."""
    rng = np.random.default_rng((*seed, _STREAM))
    frames: list[RgbImage] = []
    for frame in clip.frames:
        image = frame if camera.curves is None else np.asarray(cv2.LUT(frame, camera.curves), np.uint8)
        seen = image.astype(np.float32)
        if camera.blur:
            seen = cv2.GaussianBlur(seen, (0, 0), camera.blur)
        if camera.sharpening:
            seen = cv2.addWeighted(
                seen, 1 + camera.sharpening, cv2.GaussianBlur(seen, (0, 0), 1.2), -camera.sharpening, 0
            )
        noisy = seen + camera.noise * rng.standard_normal(frame.shape, dtype=np.float32)
        frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    if camera.upload is not None:
        frames = through_h264(frames, camera.upload)
    return replace(clip, frames=np.stack(frames))


def exposure(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another exposure, brightness curve and white balance, as (1, 256, 3): a table for `cv2.LUT`."""
    levels = np.linspace(0, 1, 256)
    gamma, gain, black = np.exp(rng.normal(0, 0.35)), rng.uniform(0.55, 1.2), rng.uniform(0, 0.1)
    balance = np.exp(rng.normal(0, 0.05, 3))
    curves = black + (1 - black) * gain * balance * levels[:, None] ** gamma
    return np.clip(np.rint(255 * curves), 0, 255).astype(np.uint8)[None]
