"""The players as modules: the detector with its heads and auxiliary BatchNorm, and the generator."""

from dfgame.models.average import follow
from dfgame.models.detector import Detector, class_names, probabilities
from dfgame.models.generator import Generator
from dfgame.models.shared_norm import share_batch_norms

__all__ = ["Detector", "Generator", "class_names", "follow", "probabilities", "share_batch_norms"]
