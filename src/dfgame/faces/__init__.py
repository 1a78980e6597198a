"""Faces in frames: found, followed, cut out."""
