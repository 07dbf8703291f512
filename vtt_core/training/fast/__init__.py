"""Faster forms of a training step, each with the same numbers as the plain form."""
