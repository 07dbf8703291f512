"""Keep an ICC profile, and nothing that only pretends to be one.

Source: ICC.1:2022, section 7.2: the size stands in bytes 0 to 3, the signature `acsp` in bytes 36 to 39.
"""

from __future__ import annotations

HEADER_BYTES = 128


def clean_icc(profile: bytes) -> bytes:
    """Return the profile without what lies behind its end; empty where it is no ICC profile."""
    size_bytes = int.from_bytes(profile[:4], "big")
    if profile[36:40] != b"acsp" or not HEADER_BYTES < size_bytes <= len(profile):
        return b""
    return profile[:size_bytes]
