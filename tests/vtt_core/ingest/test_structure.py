import pytest

from vtt_core.ingest.structure import UnknownStructureError, check


def test_a_fact_that_does_not_hold_is_told() -> None:
    check(True, "all is well")
    with pytest.raises(UnknownStructureError, match="no header"):
        check(False, "no header")
