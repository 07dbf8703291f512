"""Refuse requests that a process could not answer in time."""
