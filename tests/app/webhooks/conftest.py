"""Give the tests of webhooks a receiver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running
