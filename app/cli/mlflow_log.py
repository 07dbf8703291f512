"""Record an adapter, its numbers and its report in MLflow, for `vtt export --mlflow`."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.adapter_folder import ADAPTER_FILES, METRICS_FILE
from app.cli.report import read_facts
from app.reports.facts import ReportFacts
from app.reports.page import render_report
from vtt_core.contract.errors import InputError, MissingPackageError
from vtt_core.contract.extras import install_extra

if TYPE_CHECKING:
    from mlflow import MlflowClient

ADAPTER_FOLDER, REPORT_FILE = "adapter", "report.html"
LONGEST_REASON = 200
"""Characters that are shown of an error of MLflow."""
LONGEST_PARAMETER = 500
"""Characters of a parameter: what every store of MLflow takes."""


def log_model(adapter_dir: Path, tracking_uri: str, *, experiment: str = "vtt", name: str = "") -> str:
    """Record an adapter as a run of MLflow; return the id of the run.

    Args:
        adapter_dir: folder that `vtt adapt` wrote.
        tracking_uri: of a server, a database or a folder.
        experiment: name of the experiment; made if there is none.
        name: of the run; empty for the name of the folder.

    Raises:
        AdapterFormatError: the folder is no readable adapter.
        MissingPackageError: mlflow-skinny is not installed.
        InputError: MLflow does not answer, or cannot take it.
    """
    title = name or adapter_dir.resolve().name
    facts = read_facts(adapter_dir, title)
    try:
        return _record(_client(tracking_uri), adapter_dir, facts, experiment, title)
    except (MissingPackageError, KeyboardInterrupt):
        raise
    except Exception as error:
        # From HTTP, SQL and files alike, and not all of it is an MlflowException.
        reason = " ".join(str(error).split())
        raise InputError(
            expected="the address of an MLflow that takes runs, such as http://127.0.0.1:5000 or sqlite:///runs.db",
            got=f"{tracking_uri!r} ({type(error).__name__}: {reason[:LONGEST_REASON]})",
            remedy="Check --mlflow, and whether the server runs",
        ) from error


def _record(client: MlflowClient, adapter_dir: Path, facts: ReportFacts, experiment: str, title: str) -> str:
    found = client.get_experiment_by_name(experiment)
    experiment_id = client.create_experiment(experiment) if found is None else found.experiment_id
    run_id = str(client.create_run(experiment_id, run_name=title).info.run_id)
    state = "FAILED"
    try:
        _log(client, run_id, adapter_dir, facts)
        state = "FINISHED"
    finally:
        client.set_terminated(run_id, state)
    return run_id


def _log(client: MlflowClient, run_id: str, adapter_dir: Path, facts: ReportFacts) -> None:
    manifest = facts.manifest
    parameters = {**manifest.recipe, "backbone": manifest.backbone_id, "seed": manifest.seed, "way": len(manifest.labels)}
    for key, value in parameters.items():
        client.log_param(run_id, key, str(value)[:LONGEST_PARAMETER])
    now = int(time.time() * 1000)
    for key, number in numbers_of(_measured(adapter_dir)):
        client.log_metric(run_id, key, number, now)
    client.set_tag(run_id, "vtt.labels", ", ".join(manifest.labels))
    client.set_tag(run_id, "vtt.backbone_sha256", manifest.backbone_sha256)
    for file in (*ADAPTER_FILES, METRICS_FILE):
        if (adapter_dir / file).is_file():
            client.log_artifact(run_id, str(adapter_dir / file), ADAPTER_FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / REPORT_FILE
        report.write_text(render_report(facts), encoding="utf-8")
        client.log_artifact(run_id, str(report))


def _measured(adapter_dir: Path) -> dict[str, Any]:
    """Return what `vtt adapt` has measured, as it wrote it; nothing where the file is not there."""
    path = adapter_dir / METRICS_FILE
    return dict(json.loads(path.read_bytes())["metrics"]) if path.is_file() else {}


def numbers_of(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the single numbers of what was measured, by their path, such as `expected_accuracy.low`."""
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from numbers_of(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{prefix}{key}", float(value)


def _client(tracking_uri: str) -> MlflowClient:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody has asked for reports to its makers
    # By default it tries a port that refuses for minutes, and says nothing meanwhile.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    try:
        mlflow = import_module("mlflow")
    except ImportError as error:
        raise MissingPackageError(
            expected="the package mlflow-skinny, which talks to MLflow",
            got="an environment without it",
            remedy=install_extra("mlflow"),
        ) from error
    client: MlflowClient = mlflow.MlflowClient(tracking_uri=tracking_uri)
    return client
