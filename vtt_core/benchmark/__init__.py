"""Measure methods on few-shot episodes."""
