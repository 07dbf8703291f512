import pytest

from app.domain.errors import StaleLeaseError, StoreUnavailableError
from worker import outage_retry
from worker.outage_retry import OutageRetry

AWAY = StoreUnavailableError(expected="a", got="b", remedy="c")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_retry, "PAUSE_SECONDS", 0.01)


def failing(num_times: int, error: Exception):
    tries = []

    def act() -> int:
        tries.append(1)
        if len(tries) <= num_times:
            raise error
        return len(tries)

    return act


def test_an_outage_is_waited_out() -> None:
    checks: list[int] = []
    assert OutageRetry(60, lambda: checks.append(1)).wait_for(failing(3, AWAY)) == 4
    assert len(checks) == 3


def test_an_outage_that_lasts_is_raised() -> None:
    with pytest.raises(StoreUnavailableError):
        OutageRetry(0.05, lambda: None).wait_for(failing(10**9, AWAY))


def test_a_failing_check_ends_the_retry() -> None:
    stale = StaleLeaseError(expected="a", got="b", remedy="c")

    def check() -> None:
        raise stale

    with pytest.raises(StaleLeaseError):
        OutageRetry(60, check).wait_for(failing(10**9, AWAY))


def test_what_is_no_outage_is_raised_at_once() -> None:
    with pytest.raises(RuntimeError):
        OutageRetry(60, lambda: None).wait_for(failing(1, RuntimeError()))
