"""Replay recorded values through the method."""
