"""Who may open a connection, and which one makes room; tests/hostile/test_slow_clients.py has real ones."""

from __future__ import annotations

import resource

import pytest

from app.domain.errors import OverloadedError, TooManyAtOnceError
from app.overload.connections import ConnectionBounds, ConnectionTable, connection_bounds, raise_file_limit


class FakeConnection:
    is_closed = False

    def make_room(self) -> None:
        self.is_closed = True


def fill(table: ConnectionTable, number: int, client: str | None, *, is_waiting: bool = True) -> list[FakeConnection]:
    connections = [FakeConnection() for _ in range(number)]
    for connection in connections:
        table.admit(connection, client)
        table.note(connection, is_waiting=is_waiting)
    return connections


def test_a_client_with_too_many_closes_its_own_longest_waiting_one() -> None:
    table = ConnectionTable(ConnectionBounds(10, 3))
    [other] = fill(table, 1, "other")
    first, second, third = fill(table, 3, "greedy")
    table.note(first, is_waiting=False)
    fill(table, 1, "greedy")
    assert [one.is_closed for one in (other, first, second, third)] == [False, False, True, False]
    assert (len(table), table.num_closed, table.num_refused) == (4, 1, 0)


def test_a_connection_that_waits_again_is_the_last_to_make_room() -> None:
    table = ConnectionTable(ConnectionBounds(2, 2))
    first, second = fill(table, 2, "a")
    table.note(first, is_waiting=False)
    table.note(first, is_waiting=True)
    fill(table, 1, "a")
    assert (first.is_closed, second.is_closed) == (False, True)


def test_a_client_whose_connections_all_work_is_refused_and_others_are_not() -> None:
    table = ConnectionTable(ConnectionBounds(10, 3))
    fill(table, 3, "greedy", is_waiting=False)
    with pytest.raises(TooManyAtOnceError, match="at most 3 connections at once from one address"):
        table.admit(FakeConnection(), "greedy")
    fill(table, 1, "other")
    assert (len(table), table.num_refused) == (4, 1)


def test_all_together_are_bounded_too() -> None:
    table = ConnectionTable(ConnectionBounds(3, 3))
    fill(table, 2, "a", is_waiting=False)
    [waiting] = fill(table, 1, "b")
    fill(table, 1, "c", is_waiting=False)
    assert waiting.is_closed
    with pytest.raises(OverloadedError):
        table.admit(FakeConnection(), "d")
    assert len(table) == 3


def test_a_trusted_proxy_has_no_bound_of_its_own() -> None:
    table = ConnectionTable(ConnectionBounds(5, 1))
    assert not any(connection.is_closed for connection in fill(table, 5, None))
    fill(table, 5, None, is_waiting=False)
    with pytest.raises(OverloadedError):
        table.admit(FakeConnection(), None)


def test_a_connection_that_has_left_is_not_counted() -> None:
    table = ConnectionTable(ConnectionBounds(10, 3))
    for connection in fill(table, 3, "a"):
        table.remove(connection)
        table.remove(connection)
        table.note(connection, is_waiting=True)
    fill(table, 3, "a", is_waiting=False)
    assert len(table) == 3


def test_the_bounds_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert connection_bounds(2048, 0.5, 256) == ConnectionBounds(256, 128)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert connection_bounds(2048, 0.5, 256) == ConnectionBounds(2048, 1024)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    assert connection_bounds(2048, 0.001, 256) == ConnectionBounds(64, 1)


def test_the_file_limit_is_raised_as_far_as_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == (
            65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
