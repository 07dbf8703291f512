"""What the dashboard and the alerts ask for is what the service tells, and every alert is explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.http_api import Api, encode_image
from worker.metrics import WorkerMetrics

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
RUNBOOK = ROOT / "docs" / "runbook.md"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def panel_expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "args"):
        child = getattr(node, name, None)
        for one in child if isinstance(child, list) else [child] if child is not None else []:
            yield from selectors(one)


def parse(expression: str) -> list[promql_parser.VectorSelector]:
    found = list(selectors(promql_parser.parse(expression.replace("$__rate_interval", "5m"))))
    assert found, expression
    return found


@pytest.fixture
def told(api: Api) -> dict[str, set[str]]:
    """Names of the samples that a used API and a worker tell, each with the labels it has."""
    model_id = api.publish()
    api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a", encode_image(1)))])
    texts = (api.client.get("/metrics").text, generate_latest(WorkerMetrics().registry).decode())
    labels: dict[str, set[str]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in rules()), *panel_expressions()])
def test_an_expression_names_metrics_and_labels_of_the_service(told: dict[str, set[str]], expression: str) -> None:
    for selector in parse(expression):
        assert selector.name in told
        assert {matcher.name for matcher in selector.matchers.matchers} <= told[selector.name]
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    assert grouped <= set().union(*(told[str(selector.name)] for selector in parse(expression)))


def test_a_metric_that_the_service_does_not_have_would_be_noticed(told: dict[str, set[str]]) -> None:
    assert parse("max(vtt_jobz)")[0].name not in told


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_all_that_a_reader_needs(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Vtt[A-Z][A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 10


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_in_the_runbook_what_it_means_how_to_see_it_and_what_to_do(rule: dict[str, Any]) -> None:
    section = re.search(rf"^### {rule['alert']}\n(.*?)(?=^##|\Z)", RUNBOOK.read_text(encoding="utf-8"), re.M | re.S)
    assert section is not None
    for part in ("**Means:**", "**See:**", "**Do:**"):
        assert part in section.group(1)


def test_the_runbook_explains_no_alert_that_does_not_exist() -> None:
    explained = set(re.findall(r"^### (Vtt\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.M))
    assert explained == {rule["alert"] for rule in rules()}


def test_panels_do_not_overlap_and_have_unique_ids() -> None:
    every = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [
        (x, y)
        for panel in every
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert all(panel["title"] and panel["targets"] for panel in panels())
