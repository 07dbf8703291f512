"""The manifests follow the API's schemas, harden every pod, and scale workers by the jobs in the database."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.domain.jobs import FINAL_STATES, JobState
from app.infra.database import make_engine
from app.infra.job_repository import JobRepository, NewJob
from app.infra.tables import SupportSetRow
from tests.deploy.known_variables import unknown_settings
from vtt_core.contract.recipe import FinetuneRecipe

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "kubernetes"
KUBERNETES_VERSIONS = ("1.32", "1.36")
OURS = ("api-control", "api-predict", "worker")


def manifests() -> list[dict[str, Any]]:
    documents = (document for path in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text("utf-8")))
    return [document for document in documents if document is not None]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in manifests() if document["kind"] == kind}


def pod(name: str) -> dict[str, Any]:
    return dict(of_kind("Deployment")[name]["spec"]["template"]["spec"])


def container(name: str) -> dict[str, Any]:
    [only] = pod(name)["containers"]
    return dict(only)


def named(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.slow
@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("manifest", [one for one in manifests() if "keda.sh" not in one["apiVersion"]], ids=named)
def test_a_manifest_follows_the_schema_of_its_kind(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_kustomization_lists_every_manifest_but_the_example_of_secrets() -> None:
    listed = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text("utf-8"))["resources"]
    present = {f"kubernetes/{path.name}" for path in FOLDER.glob("*.yaml")}
    assert set(listed) == present - {"kubernetes/secrets.example.yaml"}


@pytest.mark.services
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl, which has kustomize in it, is not on the PATH")
def test_kustomize_renders_it_all_with_the_front_proxys_own_file() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(DEPLOY)], capture_output=True, text=True, timeout=60, check=True)
    rendered = list(yaml.safe_load_all(done.stdout))
    assert {one["metadata"].get("namespace", "vtt") for one in rendered} == {"vtt"}
    [caddyfile] = [one for one in rendered if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith("caddyfile")]
    assert caddyfile["data"]["Caddyfile"] == (DEPLOY / "Caddyfile").read_text("utf-8")
    images = [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in rendered if one["kind"] == "Deployment"]
    assert all(":" in image.rsplit("/", 1)[-1] for image in images)


@pytest.mark.slow
def test_every_setting_exists() -> None:
    names = set(of_kind("ConfigMap")["settings"]["data"]) | set(of_kind("Secret")["secrets"]["stringData"])
    for name in OURS:
        names |= {variable["name"] for variable in container(name)["env"]}
        sources = [next(iter(source.items())) for source in container(name)["envFrom"]]
        assert sources == [("configMapRef", {"name": "settings"}), ("secretRef", {"name": "secrets"})]
    assert unknown_settings(names) == set()
    assert of_kind("ConfigMap")["settings"]["data"]["VTT_REQUIRE_KEYS"] == "1"
    assert {"VTT_DATABASE_URL", "VTT_BROKER_URL", "VTT_STORE_URL"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OURS, "proxy"])
def test_a_pod_runs_hardened(name: str) -> None:
    assert pod(name)["securityContext"]["runAsNonRoot"]
    assert not pod(name)["automountServiceAccountToken"]
    assert not pod(name)["enableServiceLinks"]
    security = container(name)["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert container(name)["resources"]["limits"]["memory"]
    assert pod(name)["terminationGracePeriodSeconds"] >= 45
    assert container(name)["livenessProbe"]
    assert name in of_kind("PodDisruptionBudget")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["api-control", "api-predict"])
def test_an_api_is_probed_and_grows_with_its_load(name: str) -> None:
    assert container(name)["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container(name)["readinessProbe"]["httpGet"]["path"] == "/readyz"
    scaler = of_kind("HorizontalPodAutoscaler")[name]["spec"]
    assert scaler["scaleTargetRef"]["name"] == name
    assert "replicas" not in of_kind("Deployment")[name]["spec"]
    assert of_kind("Service")[name]["spec"]["selector"] == {"app": name}


def test_a_worker_has_time_to_hand_its_job_back() -> None:
    assert pod("worker")["terminationGracePeriodSeconds"] >= 120


def test_workers_are_scaled_by_the_database_that_they_work_on() -> None:
    scaler = of_kind("ScaledObject")["worker"]["spec"]
    assert scaler["scaleTargetRef"]["name"] in of_kind("Deployment")
    [trigger] = scaler["triggers"]
    assert trigger["type"] == "postgresql"
    authentication = of_kind("TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    [target] = authentication["spec"]["secretTargetRef"]
    assert (target["parameter"], target["name"], target["key"]) == ("connection", "secrets", "VTT_DATABASE_URL")
    assert "replicas" not in of_kind("Deployment")["worker"]["spec"]


@pytest.mark.services
def test_the_query_counts_the_jobs_that_ask_for_a_worker(postgres_url: str) -> None:
    [trigger] = of_kind("ScaledObject")["worker"]["spec"]["triggers"]
    engine = make_engine(postgres_url)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    with Session(engine) as session:
        query = text(trigger["metadata"]["query"])
        assert session.scalar(query) == 0
        session.add(SupportSetRow(id="set_1", empty_labels=[], created_at=now))
        session.flush()
        for state in (*JobState, JobState.QUEUED, JobState.RUNNING):
            new_job = NewJob("set_1", "mini", FinetuneRecipe(iterations=1), seed=1, request_sha256="0" * 64)
            JobRepository(session).create(new_job, now)[0].state = state
        session.flush()
        unfinished = [state for state in JobState if state not in FINAL_STATES]
        assert session.scalar(query) == len(unfinished) + 2 == 5
    engine.dispose()
