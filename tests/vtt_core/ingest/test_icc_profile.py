from tests.fixtures.planted_metadata import SRGB
from vtt_core.ingest.icc_profile import clean_icc


def test_a_profile_is_kept_without_trailing_bytes() -> None:
    assert clean_icc(SRGB) == SRGB
    assert clean_icc(SRGB + b"more") == SRGB


def test_bytes_that_are_not_a_profile_are_dropped() -> None:
    for other in (b"", b"text" * 50, SRGB[:-1], SRGB[:36] + b"text" + SRGB[40:]):
        assert clean_icc(other) == b""
