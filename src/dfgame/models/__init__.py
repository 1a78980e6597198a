"""The players as modules: the detector with its heads and auxiliary BatchNorm, and the generator."""

from dfgame.models.detector import Detector, probabilities
from dfgame.models.generator import Generator

__all__ = ["Detector", "Generator", "probabilities"]
