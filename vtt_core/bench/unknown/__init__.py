"""Measure how well models tell images of none of their classes."""
