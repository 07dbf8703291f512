"""An adapter becomes a run of MLflow, with its files, its numbers and its report."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.mlflow_log import log_model, numbers_of
from tests.app.cli.test_report import adapter
from vtt_core.contract.errors import AdapterFormatError, InputError, MissingPackageError

__all__ = ["adapter"]


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.filterwarnings("ignore::Warning")  # of MLflow's own code
def test_a_run_has_the_files_the_numbers_and_the_report(adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)  # where a database keeps its artifacts
    (adapter / "adapter.safetensors").write_bytes(b"tensors")
    uri = f"sqlite:///{tmp_path}/runs.db"
    printed = CliRunner().invoke(cli, ["export", str(adapter), "--mlflow", uri, "--experiment", "pets", "--json"])
    assert printed.exit_code == 0, printed.output
    again = log_model(adapter, uri, experiment="pets", name="second")
    client = MlflowClient(tracking_uri=uri)
    first = client.get_run(json.loads(printed.stdout[printed.stdout.index("{") :])["mlflow"]["run_id"])
    second = client.get_run(again)
    assert first.info.experiment_id == second.info.experiment_id
    assert (first.info.status, first.info.run_name, second.info.run_name) == ("FINISHED", "pets", "second")
    assert (first.data.params["method"], first.data.params["backbone"]) == ("frozen", "mini")
    assert first.data.metrics["expected_accuracy.accuracy"] == 0.75
    assert first.data.tags["vtt.labels"] == "cat, dog"
    assert [file.path for file in client.list_artifacts(again)] == ["adapter", "report.html"]
    kept = {Path(file.path).name for file in client.list_artifacts(again, "adapter")}
    assert kept == {"manifest.json", "adapter.safetensors", "metrics.json"}


def test_a_folder_that_is_no_adapter_is_refused_before_mlflow_is_asked(tmp_path: Path) -> None:
    with pytest.raises(AdapterFormatError):
        log_model(tmp_path, "http://127.0.0.1:9")


def test_without_mlflow_the_extra_is_named(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingPackageError, match=r"'\.\[mlflow\]'"):
        log_model(adapter, "sqlite:///runs.db")


def test_only_single_finite_numbers_are_metrics() -> None:
    measured = {"a": {"low": 0.5, "how": "text", "none": None}, "b": True, "c": [1, 2], "d": float("nan"), "e": 3}
    assert list(numbers_of(measured)) == [("a.low", 0.5), ("e", 3.0)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # of MLflow's own code
@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "foo://x", "sqlite:////proc/x/runs.db"])
def test_a_place_that_takes_no_runs_is_said_in_seconds(adapter: Path, uri: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="--mlflow") as caught:
        log_model(adapter, uri)
    assert uri in caught.value.got
    assert time.monotonic() - started < 60
