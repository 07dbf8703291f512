import os

import pytest

from app.cli.api import put_in_environment


def test_given_options_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_PORT", "1")
    monkeypatch.setenv("VTT_HOST", "127.0.0.2")
    put_in_environment(port=8080, host=None)
    assert os.environ["VTT_PORT"] == "8080"
    assert os.environ["VTT_HOST"] == "127.0.0.2"
