"""Why a frame got its score: what it shows, where the detector looked, and how firm the score is.

`evidence` puts it together; each view has a file: `amplify`, `heat` and `deletion` (is the heat map true?), `probes`,
`weight` (which frames to show).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dfgame.boxed import BoxedDetector, Thresholds
from dfgame.explain.amplify import amplified
from dfgame.explain.deletion import changes
from dfgame.explain.heat import heat_map, heat_picture
from dfgame.explain.probes import probe, turning_blurs
from dfgame.explain.scoring import raw_of
from dfgame.explain.weight import weightiest
from dfgame.faces.video import png_bytes
from dfgame.media import RgbImage
from dfgame.records import Evidence

__all__ = [
    "Moment",
    "amplified",
    "evidence",
    "heat_map",
    "heat_picture",
    "looked_at",
    "weightiest",
]


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame to explain: its track, its number, its time in seconds, and the crop that was scored.

    The crop is (side, side, 3), RGB, 0 to 255, cut out as the detector's `facts.crop` says. `limits` are the
    thresholds for faces like it, None those for all.
    """

    track: int
    frame: int
    time: float
    crop: RgbImage
    limits: Thresholds | None = None


def evidence(detector: BoxedDetector, moments: Sequence[Moment]) -> tuple[Evidence, ...]:
    """What the score of each moment rests on, in their order; the same moments give the same bytes.

    A moment costs about 30 passes of the detector, a few crops at a time, and no more memory than these.
    """
    crops = [moment.crop for moment in moments]
    raw = raw_of(detector, crops)
    probes = probe(detector, crops, raw)
    limits = [moment.limits or detector.facts.thresholds for moment in moments]
    turning = turning_blurs(detector, crops, raw, probes, limits)
    seen = _seen(detector, moments, raw, png_bytes)
    return tuple(
        replace(one, amplified=png_bytes(amplified(crop)), probes=of_crop, turning_blur=sigma)
        for one, crop, of_crop, sigma in zip(seen, crops, probes, turning, strict=True)
    )


def looked_at(detector: BoxedDetector, moments: Sequence[Moment]) -> tuple[Evidence, ...]:
    """Of each moment only the crop, the heat map and its check: a third of the work, and small JPEG pictures.

    There is no enlarged view (it is empty), no probe and no turning blur.
    """
    raw = raw_of(detector, [moment.crop for moment in moments])
    return tuple(_seen(detector, moments, raw, _jpeg))


def _seen(
    detector: BoxedDetector,
    moments: Sequence[Moment],
    raw: NDArray[np.float64],
    picture: Callable[[RgbImage], bytes],
) -> list[Evidence]:
    """Crop, heat map and check of each moment, its pictures as files that `picture` makes."""
    crops = [moment.crop for moment in moments]
    heats = [heat_map(detector, crop) for crop in crops]
    changed = changes(detector, crops, heats, raw)
    return [
        Evidence(
            track=moment.track,
            frame=moment.frame,
            time=moment.time,
            p_fake=detector.calibrated(score),
            crop=picture(moment.crop),
            amplified=b"",
            heat=picture(heat_picture(moment.crop, heat)),
            hot_change=hot,
            random_change=random,
            probes=(),
            turning_blur=None,
        )
        for moment, score, heat, (hot, random) in zip(moments, raw, heats, changed, strict=True)
    ]


def _jpeg(image: RgbImage) -> bytes:
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return encoded.tobytes()
