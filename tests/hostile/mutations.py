"""Mutations of valid files that find parser bugs: flip, cut, splice, repeat."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import settings
from hypothesis import strategies as st

FUZZ = settings(max_examples=200, deadline=None, derandomize=True, database=None)
MAX_PEAK_BYTES = 64 * 2**20


@st.composite
def mutated(draw: st.DrawFn, *originals: bytes) -> bytes:
    """One of the files with a few mutations."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        change = draw(st.sampled_from(["flip", "cut", "splice", "repeat", "number", "end"]))
        if change == "flip" and start < len(content):
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del content[start:end]
        elif change == "splice":
            content[start:end] = draw(st.binary(max_size=40))
        elif change == "repeat":
            content[start:start] = content[start:end] * draw(st.integers(1, 50))
        elif change == "number":
            content[start : start + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
            )
        elif change == "end":
            del content[start:]
    return bytes(content)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fail if the block allocates more Python memory than a small file needs."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MAX_PEAK_BYTES
    finally:
        tracemalloc.stop()
