"""Give HTTP tests an application on a real database and broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.infra.settings import Role, Settings
from app.main import create_app
from tests.fixtures.http_api import OWN_URL, Api, FakeEngine, MakeApi
from vtt_core.contract.limits import Limits


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str, broker_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=sqlite_url,
        broker_url=broker_url,
        event_poll_seconds=0.02,
        limits=Limits(max_image_bytes=200_000, max_image_pixels=1_000_000, max_unpacked_bytes=2**22, max_compression_ratio=50),
    )


@pytest.fixture
def make_api(settings: Settings) -> Iterator[MakeApi]:
    """Start applications whose settings differ from the usual ones in some fields."""
    opened: list[TestClient] = []

    def start(*, engine: FakeEngine | None = None, **changes: Any) -> Api:
        chosen = engine or FakeEngine()
        app = create_app(settings.model_copy(update=changes), lambda _: chosen)
        client = TestClient(app, base_url=OWN_URL, raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        context = app.state.context
        if context.predictor is not None:
            context.predictor.wait()
        return Api(client, context, chosen)

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    return make_api(role=Role.ALL)
