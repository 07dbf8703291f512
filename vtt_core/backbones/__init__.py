"""Frozen CLIP models and their two towers."""
