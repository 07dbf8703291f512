"""Old names of settings work, and one warning names the new ones."""

from collections.abc import Iterator

import pytest

from app.infra import renamed_settings
from app.infra.settings import Settings


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    renamed_settings._warn_once.cache_clear()
    yield
    renamed_settings._warn_once.cache_clear()


def test_old_names_work_and_one_warning_names_the_new_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VTT_ALLOW_OPEN", "1")
    monkeypatch.setenv("VTT_RESEND_SECONDS", "7")
    monkeypatch.setenv("VTT_SCAN_KERNELS", "same-bytes")
    for _ in range(2):
        settings = Settings()
    assert (settings.allow_unauthenticated, settings.requeue_after_seconds) == (True, 7)
    assert settings.scan_kernels == "reproducible"
    (warning,) = [record.getMessage() for record in caplog.records]
    for new_name in ("VTT_ALLOW_UNAUTHENTICATED", "VTT_REQUEUE_AFTER_SECONDS", "VTT_SCAN_KERNELS=reproducible", "version 0.3"):
        assert new_name in warning


def test_the_new_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_RESEND_SECONDS", "7")
    monkeypatch.setenv("VTT_REQUEUE_AFTER_SECONDS", "8")
    assert Settings().requeue_after_seconds == 8


def test_new_names_need_no_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("VTT_ALLOW_UNAUTHENTICATED", "1")
    monkeypatch.setenv("VTT_SCAN_KERNELS", "mamba-ssm")
    assert Settings().allow_unauthenticated
    assert not caplog.records
