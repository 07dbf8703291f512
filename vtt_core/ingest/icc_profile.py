"""Keep ICC profiles, and nothing that only looks like one.

Source: ICC.1:2022, section 7.2: bytes 0 to 3 are the size, bytes 36 to 39 the signature `acsp`.
"""

from __future__ import annotations

HEADER_BYTES = 128


def clean_icc(profile: bytes) -> bytes:
    """Return the profile without any bytes after its end, or nothing if it is not an ICC profile."""
    size_bytes = int.from_bytes(profile[:4], "big")
    if profile[36:40] != b"acsp" or not HEADER_BYTES < size_bytes <= len(profile):
        return b""
    return profile[:size_bytes]
