from datetime import UTC

from app.infra.clock import utc_now


def test_the_present_moment_knows_its_zone() -> None:
    assert utc_now().tzinfo is UTC
