from vtt_core.ingest.printable import is_text, printable


def test_bytes_that_are_no_text_are_shown_as_replacement_characters() -> None:
    assert printable("d\udce4chs") == "d\ufffdchs"
    assert printable("dächs 猫") == "dächs 猫"


def test_a_name_is_text_only_without_unknown_bytes() -> None:
    assert is_text("dächs \ufffd")
    assert not is_text("d\udce4chs")
