"""Predictions: label probabilities for images."""
