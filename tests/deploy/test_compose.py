"""docker-compose.yml follows the schema, contains no password, and runs nothing as root without need."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from app.infra.settings import Settings
from tests.deploy.compose_file import COMPOSE, ROOT, MissingVariableError, env_example, filled_in_env, read_compose
from tests.deploy.known_variables import unknown_settings

OURS = ("api-control", "api-predict", "worker", "worker-gpu")
ENDING = ("volumes", "bucket")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose(filled_in_env())


def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])


def test_the_file_follows_the_schema_of_the_compose_specification(compose: dict[str, Any]) -> None:
    vendored = files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")
    jsonschema.validate(compose, json.loads(vendored.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", sorted(env_example()))
def test_it_does_not_start_without_a_password_or_an_address(name: str) -> None:
    with pytest.raises(MissingVariableError, match=name):
        read_compose({**filled_in_env(), name: ""})


def test_the_example_environment_has_every_variable_and_no_value() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8")))
    assert used == set(env_example())
    assert set(env_example().values()) == {""}


def test_no_secret_is_in_the_file() -> None:
    raw = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    for service in raw["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|AUTH|ACCESS_KEY|ROOT_USER", name):
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), name
    passwords = re.findall(r"://\w*:(.*)@", COMPOSE.read_text(encoding="utf-8"))
    assert len(passwords) == 2
    assert all(password.startswith("${") for password in passwords)


def test_every_setting_exists_and_can_have_its_value(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        environment = services(compose)[name]["environment"]
        assert unknown_settings(set(environment)) == set()
        assert environment["VTT_REQUIRE_KEYS"] == "1"
        assert environment["VTT_LOG_FORMAT"] == "json"
        assert "VTT_ALLOW_UNAUTHENTICATED" not in environment
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        assert Settings().store_url.startswith("s3://")


def test_images_are_pinned_and_no_running_service_is_root(compose: dict[str, Any]) -> None:
    for name, service in services(compose).items():
        if name not in OURS:
            assert re.search(r":[\w.]*\d+[\w.-]*$", service["image"]), name
        if name != "volumes":
            assert int(service["user"].split(":")[0]) > 0, name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_a_running_service_restarts_and_has_limits(compose: dict[str, Any]) -> None:
    for name, service in services(compose).items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        if name not in ENDING:
            assert service["restart"] == "unless-stopped", name


def test_every_running_service_has_a_health_check(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    stages = dict(re.findall(r"FROM \S+ AS ([\w-]+)\n(.*?)(?=\nFROM|\Z)", dockerfile, flags=re.DOTALL))
    for name, service in services(compose).items():
        if name in OURS:
            target = service["build"]["target"]
            assert "HEALTHCHECK" in stages[target] or f"FROM api AS {target}" in dockerfile, name
        elif name not in ENDING:
            assert service["healthcheck"]["test"], name
    assert "HEALTHCHECK" in stages["api"]


def test_a_service_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    for name in OURS:
        assert services(compose)[name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
            "bucket": {"condition": "service_completed_successfully"},
        }


def test_only_the_proxy_is_reachable_from_outside(compose: dict[str, Any]) -> None:
    assert [name for name, service in services(compose).items() if "ports" in service] == ["proxy"]
    assert compose["networks"]["back"] == {"internal": True}
    for name in ("postgres", "redis", "minio"):
        assert services(compose)[name]["networks"] == ["back"]


def test_a_worker_has_time_to_hand_its_job_back(compose: dict[str, Any]) -> None:
    for name in ("worker", "worker-gpu"):
        assert seconds(services(compose)[name]["stop_grace_period"]) >= 120


def test_gpu_workers_are_a_profile_and_reserve_a_device(compose: dict[str, Any]) -> None:
    worker = services(compose)["worker-gpu"]
    assert worker["profiles"] == ["gpu"]
    assert worker["environment"]["VTT_DEVICE"] == "cuda"
    [device] = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert [name for name, service in services(compose).items() if "profiles" in service] == ["worker-gpu"]


def test_every_mounted_file_and_named_volume_exists(compose: dict[str, Any]) -> None:
    for service in services(compose).values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file()
            elif not source.startswith("/"):
                assert source in compose["volumes"]
