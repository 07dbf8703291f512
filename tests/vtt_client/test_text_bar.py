"""A bar of text."""

import io

from vtt_client import TextBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_every_step_and_a_file_the_end() -> None:
    for stream, num_bars in ((Terminal(), 2), (io.StringIO(), 1)):
        bar = TextBar("sending", stream)
        bar(1, 2)
        bar(2, 2)
        assert stream.getvalue().count("sending [") == num_bars
        assert stream.getvalue().endswith("100 %\n")
