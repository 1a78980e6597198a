"""Deepfake forensics via an adversarial game.

The rooms of this package are listed, in the order the data flows through them, in the README.
"""

__version__ = "0.1.0"
