"""Numbers and times are said as people say them."""

from datetime import UTC, datetime, timedelta

import pytest

from app.pages.words import ago, breakable, duration, file_size, half_width, percent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 second"), (30, "30 seconds"), (58, "1 minute"), (150, "2 minutes"), (3500, "1 hour"), (86400 * 3, "3 days")],
)
def test_a_time_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_moment_is_said_from_now() -> None:
    assert ago(NOW - timedelta(seconds=3), NOW) == "just now"
    assert ago(NOW - timedelta(hours=2), NOW) == "2 hours ago"


def test_shares_and_sizes() -> None:
    assert percent(0.854) == "85\u00a0%"
    assert half_width(0.061) == "±\u00a06"
    assert [file_size(n) for n in (12, 1200, 3_400_000)] == ["12\u00a0B", "1.2\u00a0kB", "3.4\u00a0MB"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("PermanentCrop", "Permanent<wbr>Crop"),
        ("T_LB_03", "T_<wbr>LB_<wbr>03"),
        ("leaf-blight", "leaf-<wbr>blight"),
        ("tomato leaf", "tomato leaf"),
        ("<b>Bold</b>_", "&lt;b&gt;Bold&lt;/<wbr>b&gt;_"),
        ("", ""),
    ],
)
def test_a_long_name_breaks_between_its_words(name: str, shown: str) -> None:
    assert breakable(name) == shown
