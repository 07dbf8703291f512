from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from vtt_core.contract.limits import DEFAULT_LIMITS, Limits


def test_limits_leave_room_for_something() -> None:
    assert all(value > 0 for value in asdict(DEFAULT_LIMITS).values())
    assert 2 <= DEFAULT_LIMITS.min_way < DEFAULT_LIMITS.max_way
    assert DEFAULT_LIMITS.max_image_bytes < DEFAULT_LIMITS.max_archive_bytes < DEFAULT_LIMITS.max_unpacked_bytes
    assert DEFAULT_LIMITS.min_side_pixels**2 < DEFAULT_LIMITS.max_image_pixels


def test_the_largest_support_set_fits_an_archive() -> None:
    assert DEFAULT_LIMITS.max_way * DEFAULT_LIMITS.max_shot < DEFAULT_LIMITS.max_archive_entries


def test_limits_are_exchanged_and_not_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULT_LIMITS.max_way = 3  # type: ignore[misc]
    assert replace(DEFAULT_LIMITS, max_way=3) == Limits(max_way=3)
