"""Give tests of pages a browser without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx2
import pytest

from app.infra.settings import Role
from tests.app.access.conftest import make_caller as make_caller
from tests.fixtures.http_api import Api, MakeApi


@dataclass
class Browser:
    """Opens pages and sends their forms; keeps cookies, follows no redirect."""

    api: Api

    def open(self, path: str) -> httpx2.Response:
        return self.api.client.get(path, headers={"Accept": "text/html"}, follow_redirects=False)

    def send(self, path: str, *, page: str = "/sign-in", **fields: str | list[str]) -> httpx2.Response:
        """Send a form that a page has."""
        csrf = csrf_in(self.api.client.get(page, headers={"Accept": "text/html"}, follow_redirects=True).text)
        return self.api.client.post(path, data={**fields, "csrf": csrf}, follow_redirects=False)

    def upload(self, path: str, files: Sequence[tuple[str, tuple[str, bytes]]], **fields: str) -> httpx2.Response:
        """Send a form with files, as the first page has one."""
        csrf = csrf_in(self.open("/").text)
        return self.api.client.post(path, data={**fields, "csrf": csrf}, files=files, follow_redirects=False)


def csrf_in(page: str) -> str:
    found = re.search(r'name="csrf" content="([0-9a-f]+)"', page)
    assert found is not None, page
    return found[1]


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)


@pytest.fixture
def locked(make_api: MakeApi) -> Api:
    return make_api(role=Role.ALL, require_keys=True)


@pytest.fixture
def locked_browser(locked: Api) -> Browser:
    return Browser(locked)


@pytest.fixture
def make_key(make_caller: Callable[..., dict[str, str]]) -> Callable[..., str]:
    """Return a new key of a tenant."""
    return lambda *args, **options: make_caller(*args, **options)["Authorization"].removeprefix("Bearer ")
