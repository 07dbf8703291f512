"""Evaluations: what was measured of models on labelled query images."""
