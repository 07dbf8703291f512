from pathlib import Path

import pytest

from app.domain.errors import SettingsError
from app.infra.settings import Settings, load_settings, socket_in


def test_defaults_are_files_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VTT_BROKER_URL", raising=False)
    settings = Settings(data_dir=tmp_path)
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/vtt.sqlite"
    assert settings.resolved_store_url == f"file://{tmp_path}/blobs"
    assert settings.resolved_broker_url == f"redis+socket://{settings.redis_socket}"


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_DATABASE_URL", "postgresql://db/vtt")
    monkeypatch.setenv("VTT_LIMITS__MAX_SHOT", "8")
    settings = Settings()
    assert settings.resolved_database_url == "postgresql://db/vtt"
    assert settings.limits.max_shot == 8


def test_a_data_folder_too_deep_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    assert len(str(socket_in(deep))) <= 100
    assert socket_in(deep) == socket_in(deep)
    assert socket_in(deep) != socket_in(tmp_path / ("e" * 120))


@pytest.mark.parametrize("value", ["https://a.example, https://b.example/", '["https://a.example", "https://B.example"]'])
def test_a_list_is_separated_by_commas_or_json(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_CORS_ORIGINS", value)
    monkeypatch.setenv("VTT_ALLOWED_HOSTS", "a.example,*.b.example,")
    assert Settings().cors_origins == ("https://a.example", "https://b.example")
    assert Settings().allowed_hosts == ("a.example", "*.b.example")
    monkeypatch.setenv("VTT_ALLOWED_HOSTS", "")
    assert Settings().allowed_hosts == ()


@pytest.mark.parametrize("value", ["lab.example", "[https://lab.example", "https://"])
def test_a_wrong_origin_is_refused_at_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_CORS_ORIGINS", value)
    with pytest.raises(SettingsError, match="VTT_CORS_ORIGINS"):
        load_settings()


@pytest.mark.parametrize("value", ["https://a.example", "a.example:8000", "a.example/path", "a.example,b example"])
def test_an_allowed_host_is_a_name_and_nothing_else(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_ALLOWED_HOSTS", value)
    with pytest.raises(SettingsError, match="VTT_ALLOWED_HOSTS to be valid .a host name has no scheme, port or path") as wrong:
        load_settings()
    assert wrong.value.remedy == "Correct VTT_ALLOWED_HOSTS"


@pytest.mark.parametrize("value", ["a.example", "*", "*.a.example", ".a.example", "10.0.0.1", "[::1]", "::1"])
def test_names_and_addresses_are_allowed_hosts(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_ALLOWED_HOSTS", value)
    assert Settings().allowed_hosts == (value,)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VTT_LIMITS__MAX_SHOT", "-1"),
        ("VTT_LIMITS__MAX_SIDE_RATIO", "nan"),
        ("VTT_LIMITS__MIN_WAY", "900"),
        ("VTT_LOG_FORMAT", "xml"),
        ("VTT_LEASE_SECONDS", "0"),
        ("VTT_DECODE_THREADS", "0"),
        ("VTT_CHECKPOINT_STEPS", "-5"),
        ("OMP_NUM_THREADS", "abc"),
        ("OMP_NUM_THREADS", "0"),
    ],
)
def test_a_value_that_cannot_work_stops_the_process_with_its_name(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    load_settings.cache_clear()
    with pytest.raises(SettingsError, match=variable):
        load_settings()


def test_threads_of_nested_regions_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    load_settings.cache_clear()
    assert load_settings().port
