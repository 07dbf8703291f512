"""Make every test start from the same place: fixed seeds, no network, nothing left behind."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ["tests.fixtures.services", "tests.fixtures.object_stores", "tests.fixtures.logs"]

# Read when torch loads. Test processes run side by side; more threads in each would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if shutil.which("nvidia-smi") is None:
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined; its body then runs on the CPU

# A shared machine may be slow at any moment.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_LOOPBACK = ("127.", "::1", "localhost")
SERVERS = {"postgres_server", "redis_server", "s3_endpoint", "service_url"}
"""Fixtures that start a server."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark every test that uses a server."""
    if SERVERS & set(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.services)


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    random.seed(0)


@pytest.fixture(autouse=True)
def _settings_of_its_own() -> Iterator[None]:
    """Let no test read settings that another one left in the environment or in memory."""
    before = dict(os.environ)
    _forget_settings()
    yield
    os.environ.clear()
    os.environ.update(before)
    _forget_settings()


def _forget_settings() -> None:
    module = sys.modules.get("app.infra.settings")
    if module is not None:
        module.load_settings.cache_clear()


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    """Undo what a test may change in torch, without importing it for tests that never touch it."""
    torch = sys.modules.get("torch")
    num_threads = None
    if torch is not None:
        torch.manual_seed(0)
        num_threads = torch.get_num_threads()
    yield
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_default_dtype(torch.float32)
        if num_threads is not None and torch.get_num_threads() != num_threads:
            torch.set_num_threads(num_threads)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@pytest.fixture(autouse=True)
def _network_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that leave this machine."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(_LOOPBACK):
            raise OSError(f"tests stay on this machine, {address!r} is elsewhere")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)


@pytest.fixture(autouse=True)
def _processes_only_where_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only tests that are marked `services` start other processes."""
    if request.node.get_closest_marker("services") is not None:
        return

    def refuse(self: object, command: object, *_: object, **__: object) -> None:
        raise AssertionError(f"a test that starts a process ({command!r:.200}) must be marked `services`")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
