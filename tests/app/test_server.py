"""How uvicorn runs the application."""

from __future__ import annotations

import pytest

from app.infra.settings import Settings
from app.main import create_app
from app.server import make_server_config


def test_the_times_follow_the_settings(settings: Settings) -> None:
    changed = settings.model_copy(update={"head_seconds": 3.0, "answer_pause_seconds": 4.0, "body_bytes_per_second": 5.0})
    protocol = make_server_config(create_app(changed), changed).http
    times = protocol.times  # type: ignore[union-attr]
    assert (times.head_seconds, times.refused_body_seconds) == (3.0, 9.0)
    assert (times.answer_seconds, times.answer_bytes_per_second) == (4.0, 5.0)


@pytest.mark.parametrize(
    ("trusted", "address", "is_proxy"),
    [
        (None, "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("10.0.0.0/8,::1", "10.9.8.7", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("*", "11.0.0.1", True),
    ],
)
def test_a_proxy_is_what_the_environment_names(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, trusted: str | None, address: str, is_proxy: bool
) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    if trusted is not None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    protocol = make_server_config(create_app(settings), settings).http
    assert protocol.is_proxy(address) is is_proxy  # type: ignore[union-attr]


def test_all_connections_share_one_table(api, settings: Settings) -> None:  # type: ignore[no-untyped-def]
    protocol = make_server_config(api.client.app, settings).http
    assert protocol.find_table() is api.context.bounds.connections  # type: ignore[union-attr]


def test_the_server_speaks_no_websocket(settings: Settings) -> None:
    config = make_server_config(create_app(settings), settings)
    config.load()
    assert config.ws_protocol_class is None
