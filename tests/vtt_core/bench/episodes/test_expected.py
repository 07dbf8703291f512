import pytest

from vtt_core.bench.episodes.episode_log import EpisodeLine
from vtt_core.bench.episodes.expected import expected_lines, expected_markdown, summarise


def line(episode: int, expected: float | None, real: float) -> EpisodeLine:
    facts = (
        {}
        if expected is None
        else {"expected_accuracy": expected, "expected_low": expected - 0.1, "expected_high": expected + 0.1}
    )
    return EpisodeLine("key", "frozen", episode, real, 1.0, "cpu", facts)


LINES = expected_lines("maps", [line(0, 0.8, 0.75), line(1, 0.7, 0.75), line(2, 0.9, 0.75), line(3, None, 0.5)])


def test_only_lines_with_an_expectation_count() -> None:
    assert [(one.name, one.expected, one.real, one.holds) for one in LINES] == [
        ("maps", 0.8, 0.75, True),
        ("maps", 0.7, 0.75, True),
        ("maps", 0.9, 0.75, False),
    ]


def test_bias_and_share_are_those_worked_out_by_hand() -> None:
    found = summarise(LINES)
    # Gaps 0.05, -0.05, 0.15: mean 0.05, deviation 0.1.
    assert found["bias"] == pytest.approx(0.05)
    assert found["deviation"] == pytest.approx(0.1)
    assert found["ci95"] == pytest.approx(4.302653 * 0.1 / 3**0.5)
    assert found["held"] == pytest.approx(2 / 3)
    assert found["held_low"] < 2 / 3 < found["held_high"]


def test_markdown_is_in_percent() -> None:
    text = expected_markdown({"frozen": {"maps": summarise(LINES), "one": summarise(LINES[:1])}})
    assert "| frozen | maps | 3 | 80.00 | 75.00 | +5.00 ± 24.84 | 10.0 | 66.7 (20.8 to 93.9) |" in text
    assert "| frozen | one | 1 | 80.00 | 75.00 | +5.00 | - | 100.0" in text
