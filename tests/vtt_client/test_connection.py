"""What cannot be sent as a key is refused before anything is sent, and never shown."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from vtt_client import AsyncClient, BadInputError, Client


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("secret\nmore", "a line break"),
        ("secret\r", "a line break"),
        ("secret more", "a space"),
        ("\tsecret", "a tab"),
        ("secret\0", "a control character"),
        ("geheimschlüssel", "not ASCII"),
        ("secret\udcff", "not ASCII"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_key_that_no_header_can_hold_is_refused_unshown(kind: type[Client | AsyncClient], key: str, what: str) -> None:
    with pytest.raises(BadInputError, match=what) as caught:
        kind("http://service", key)
    assert caught.value.code == "client.bad_key"
    assert "se" + "cret" not in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_key_of_the_environment_is_refused_too() -> None:
    caught = CliRunner().invoke(cli, ["remote", "models"], env={"VTT_KEY": "abc\ndef"}).exception
    assert isinstance(caught, BadInputError)
    assert "a line break" in caught.got


def test_an_idempotency_key_is_looked_at_as_well() -> None:
    with Client("http://service") as client, pytest.raises(BadInputError, match="idempotency key"):
        client.train("set_1", idempotency_key="schlüssel")
