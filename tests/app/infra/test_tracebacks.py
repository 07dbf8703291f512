import sys

from app.infra.tracebacks import MAX_LINE_CHARACTERS, MAX_LINES, ExcInfo, format_page


def caught(num_causes: int, message: str) -> ExcInfo:
    secret_key = "vtt_key_0123456789"  # a local variable, as a request's handler has them

    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        else:
            raise ValueError(message)

    try:
        try:
            fail(num_causes)
        except ValueError as error:
            if num_causes:
                caught_before = caught(num_causes - 1, message)[1]
                raise error from caught_before
            raise
    except ValueError:
        kind, error, trace = sys.exc_info()
        assert kind is not None
        assert error is not None
        assert secret_key
        return kind, error, trace


def test_no_value_of_a_variable_is_written() -> None:
    assert "vtt_key_0123456789" not in format_page(caught(0, "broken"))


def test_a_traceback_fits_on_a_page_and_keeps_both_ends() -> None:
    lines = format_page(caught(30, "broken")).splitlines()
    assert len(lines) == MAX_LINES
    assert lines[0] == "Traceback (most recent call last):"
    assert any("lines left out" in line for line in lines)
    assert lines[-1] == "ValueError: broken"


def test_a_long_message_is_cut() -> None:
    longest = max(map(len, format_page(caught(0, "x" * 10**6)).splitlines()))
    assert longest == MAX_LINE_CHARACTERS


def test_a_message_of_many_lines_is_cut() -> None:
    page = format_page(caught(0, "\n".join(["line"] * 90_000)))
    assert len(page.splitlines()) == MAX_LINES
