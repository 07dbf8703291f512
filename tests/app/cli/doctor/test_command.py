"""The command as people run it."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.doctor.command import needed_extras
from app.cli.main import cli
from app.infra.settings import Settings


@pytest.mark.slow
def test_a_sound_installation_ends_with_0_and_is_left_as_it_was(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["doctor", "--data-dir", str(tmp_path / "data"), "--json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["is_fit"]) == (0, True), report
    parts = {finding["part"] for finding in report["findings"]}
    assert {"python", "packages", "processor", "device", "scan", "backbone", "database", "store", "redis", "access"} <= parts
    assert all(set(finding) == {"part", "condition", "detail", "remedy"} for finding in report["findings"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_problem_is_told_at_once_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VTT_DATABASE_URL", "postgresql://127.0.0.1:1/vtt")
    monkeypatch.setenv("VTT_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("VTT_HOST", "0.0.0.0")
    result = CliRunner().invoke(cli, ["doctor", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "3 problems" in result.stdout
    for variable in ("VTT_DATABASE_URL", "VTT_BROKER_URL", "VTT_REQUIRE_KEYS"):
        assert variable in result.stdout


def test_a_wrong_setting_is_a_problem_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_PORT", "many")
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 1
    assert "VTT_PORT" in result.stdout


@pytest.mark.slow
def test_a_check_that_fails_itself_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: Settings) -> None:
        raise RuntimeError("out of ideas")

    monkeypatch.setattr("app.cli.doctor.storage.check_store", fail)
    result = CliRunner().invoke(cli, ["doctor", "--data-dir", str(tmp_path), "--json"])
    findings = {finding["part"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert findings["store"]["condition"] == "problem"
    assert "out of ideas" in findings["store"]["detail"]
    assert "access" in findings


def test_role_control_is_not_asked_for_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VTT_ROLE", "control")
    monkeypatch.setattr("app.cli.doctor.packages.version", _missing)
    result = CliRunner().invoke(cli, ["doctor", "--data-dir", str(tmp_path), "--json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["is_fit"]) == (0, True), report
    parts = {finding["part"] for finding in report["findings"]}
    assert {"role", "database", "access"} <= parts
    assert not {"packages", "device", "backbone"} & parts


def _missing(name: str) -> str:
    raise PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        (Settings(database_url="postgresql://db/vtt"), "postgres"),
        (Settings(store_url="s3://bucket"), "s3"),
        (Settings(scan_kernels="mamba-ssm"), "cuda"),
        (Settings(default_backbone="ViT-B-16-SigLIP2/webli"), "siglip"),
    ],
)
def test_what_the_settings_need_is_known(settings: Settings, extra: str) -> None:
    assert set(needed_extras(Settings())) == set()
    assert set(needed_extras(settings)) == {extra}
