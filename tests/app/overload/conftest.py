"""Bounds are also those of keys: services that ask for them, and their callers."""

from tests.app.access.conftest import locked, make_caller

__all__ = ["locked", "make_caller"]
