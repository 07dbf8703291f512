"""Refuse in time what a process could not answer in time."""
