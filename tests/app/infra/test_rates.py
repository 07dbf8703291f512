import pytest

from app.domain.errors import RateLimitedError
from app.infra.rates import RateLimits


def test_a_request_over_the_rate_says_when_to_try_again(broker_url: str) -> None:
    rates = RateLimits(broker_url)
    for _ in range(3):
        rates.count("things", "me", 3)
    with pytest.raises(RateLimitedError, match="at most 3 things a minute") as refused:
        rates.count("things", "me", 3)
    assert 1 <= refused.value.retry_after_seconds <= 60
    rates.count("things", "somebody else", 3)
    rates.count("things", "me", None)


def test_processes_count_together(broker_url: str) -> None:
    RateLimits(broker_url).count("things", "me", 3, amount=3)
    with pytest.raises(RateLimitedError):
        RateLimits(broker_url).count("things", "me", 3)


def test_a_request_with_more_than_a_minute_allows_says_so(broker_url: str) -> None:
    with pytest.raises(RateLimitedError, match="at most 3 at once"):
        RateLimits(broker_url).count("things", "me", 3, amount=4)


def test_without_redis_a_process_counts_alone() -> None:
    rates = RateLimits("redis://127.0.0.1:1/0")
    rates.count("things", "me", 1)
    with pytest.raises(RateLimitedError):
        rates.count("things", "me", 1)
