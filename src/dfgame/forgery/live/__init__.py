"""Forgeries made while training, from real photographs alone: one file a family, a new fake in every round."""

from dfgame.forgery.live.forger import Forger
from dfgame.forgery.live.still import Still

__all__ = ["Forger", "Still"]
