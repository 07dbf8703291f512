"""Batches: many images that a model predicts in the background."""
