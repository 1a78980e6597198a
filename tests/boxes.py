"""Small detectors in boxes, for tests."""

import torch

from dfgame.boxed import BoxedDetector, Calibration, Ensemble, Facts, Thresholds
from dfgame.checkpoint import new_detector
from dfgame.config import DetectorConfig
from dfgame.records import CropRule

TINY = DetectorConfig(backbone="test_efficientnet", pretrained=False)
FACTS = Facts(
    name="tiny",
    version="3",
    detector=TINY,
    image_size=64,
    crop=CropRule(margin=1.3, alignment="none", size=64, min_score=0.6),
    calibration=Calibration(slope=1.0, intercept=0.0),
    thresholds=Thresholds(fake=0.75, real=0.25),
    made={"seeds": [0, 1]},
)


def trained_a_little(seed, config=TINY):
    """A detector whose BatchNorm statistics are not those it began with."""
    torch.manual_seed(seed)
    detector = new_detector(config)
    with torch.no_grad():
        detector.train()(torch.rand(8, 3, 64, 64))
    return detector.eval()


class Brightness(Ensemble):
    """Says that bright crops are fake."""

    def __init__(self):
        super().__init__([])

    def forward(self, images):
        return images.mean(dim=(1, 2, 3))


BRIGHTNESS = BoxedDetector(FACTS, "0" * 64, Brightness())
