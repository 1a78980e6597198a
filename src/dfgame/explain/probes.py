"""How firm a score is: what becomes of it as the crop is blurred, compressed and scaled.

The blur is the game's own, with one sigma everywhere, and once as the adversary of the gradient game places it. A
pass has a window of 15 pixels, enough for a sigma of 7/3; a larger one is made by several passes, since the
variances of Gaussians add up.
"""

from collections.abc import Sequence
from math import ceil
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from dfgame.adversaries import GradientAdversary
from dfgame.blur import pixelwise_gaussian_blur, sigma
from dfgame.boxed import BoxedDetector, Thresholds
from dfgame.config import AdversaryConfig, BlurConfig
from dfgame.explain.scoring import TwoSided, images_of, raw_of
from dfgame.media import RgbImage, scaled, through_h264
from dfgame.models import Detector
from dfgame.perturb.blur import GaussianBlur
from dfgame.records import Probe

SIGMAS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Of the uniform blur, in pixels of the crop."""
CRFS = (23, 32, 40)
SCALES = (3 / 4, 1 / 2, 1 / 3)
STEP = 0.1
"""Of the sigma that turns a verdict, in pixels of the crop: it is found to this."""
WINDOW = 15
_MOST_SIGMA = (WINDOW // 2) / 3
_LONG_STEP = 1e9


def blurred(crop: RgbImage, sigma: float) -> RgbImage:
    """The crop under the game's blur with one sigma, in pixels, everywhere; 0 leaves it as it is."""
    if sigma <= 0:
        return crop
    passes = max(ceil((sigma / _MOST_SIGMA) ** 2 - 1e-9), 1)
    image = torch.tensor(crop).permute(2, 0, 1)[None].float().contiguous()
    precision = torch.full((1, 1, *image.shape[2:]), passes / sigma**2)
    for _ in range(passes):
        image = pixelwise_gaussian_blur(image, precision, WINDOW)
    return _as_crop(image[0])


def compressed(crop: RgbImage, crf: int) -> RgbImage:
    """The crop as a video of one frame, H.264 at a CRF, shows it."""
    return through_h264([crop], crf)[0]


def probe(detector: BoxedDetector, crops: Sequence[RgbImage], raw: NDArray[np.float64]) -> list[tuple[Probe, ...]]:
    """The stability band of each crop.

    Args:
        detector: whose scores they are.
        crops: the crops.
        raw: the raw score of each.

    Returns:
        For each crop its probes: blur by sigma, adversary, h264 by CRF, scale by what is left.
    """
    ways = [
        *(("blur", value, blurred) for value in SIGMAS),
        *(("h264", value, compressed) for value in CRFS),
        *(("scale", value, scaled) for value in SCALES),
    ]
    scores = raw_of(detector, [alter(crop, value) for crop in crops for _, value, alter in ways])
    found = []
    for number, (strength, score) in enumerate(_by_the_adversary(detector, crops, raw)):
        of_one = scores[number * len(ways) : (number + 1) * len(ways)]
        probes = [Probe(kind, value, detector.calibrated(s)) for (kind, value, _), s in zip(ways, of_one, strict=True)]
        probes.insert(len(SIGMAS), Probe("adversary", strength, detector.calibrated(score)))
        found.append(tuple(probes))
    return found


def turning_blurs(
    detector: BoxedDetector,
    crops: Sequence[RgbImage],
    raw: NDArray[np.float64],
    probes: Sequence[Sequence[Probe]],
    limits: Sequence[Thresholds],
) -> list[float | None]:
    """The smallest sigma, in pixels of the crop and a multiple of STEP, whose uniform blur changes the verdict.

    The verdict on each crop is by its own thresholds, `limits`.

    It is looked for between the first blur probe that changes it and the one before, by halves: where a verdict
    turns and turns back between two probes, that is not seen. None where no probe changes it.
    """
    own = [limit.verdict(detector.calibrated(score)) for limit, score in zip(limits, raw, strict=True)]
    steps = [0, *(round(value / STEP) for value in SIGMAS)]
    brackets: dict[int, tuple[int, int]] = {}
    for number, of_one in enumerate(probes):
        turned = [limits[number].verdict(one.p_fake) != own[number] for one in of_one if one.kind == "blur"]
        if True in turned:
            brackets[number] = steps[turned.index(True)], steps[turned.index(True) + 1]
    while open_ := [number for number, (below, above) in brackets.items() if above - below > 1]:
        middles = [sum(brackets[number]) // 2 for number in open_]
        scores = raw_of(detector, [blurred(crops[n], STEP * m) for n, m in zip(open_, middles, strict=True)])
        for number, middle, score in zip(open_, middles, scores, strict=True):
            turned = limits[number].verdict(detector.calibrated(score)) != own[number]
            below, above = brackets[number]
            brackets[number] = (below, middle) if turned else (middle, above)
    return [round(STEP * brackets[n][1], 1) if n in brackets else None for n in range(len(crops))]


def _by_the_adversary(
    detector: BoxedDetector, crops: Sequence[RgbImage], raw: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Of each crop the adversary's greatest sigma in pixels of the crop, and the raw score of what it made.

    It is that of the gradient game, in the detector's own pixels, with a step so long that its clamp decides: each
    pixel is blurred by a sigma of 1 where that speaks against the detector's answer, and sharp where it does not.
    """
    adversary = GradientAdversary(GaussianBlur(BlurConfig(constraint="clamp")), AdversaryConfig(step=_LONG_STEP))
    found = []
    for crop, score in zip(crops, raw, strict=True):
        with torch.inference_mode(False):
            device = next(detector.ensemble.parameters()).device
            image = images_of(detector, [crop]).to(device)
            answer = torch.tensor([int(detector.calibrated(score) >= 0.5)], device=device)
            played = adversary.perturb(image, answer, cast("Detector", TwoSided(detector)))
        strength = float(sigma(played.maps).max()) * len(crop) / detector.facts.image_size
        found.append((strength, float(detector.probabilities(played.images))))
    return found


def _as_crop(image: torch.Tensor) -> RgbImage:
    return image.permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).contiguous().numpy()
