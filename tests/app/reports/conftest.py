"""Facts of models for reports: measured, of an earlier release, hostile."""

from __future__ import annotations

from typing import Any

import pytest

from app.reports.data import DataFacts, data_digest
from app.reports.facts import ReportFacts
from app.reports.metrics import Metrics
from tests.fixtures.manifests import make_manifest
from vtt_core.contract.manifest import HeadFacts
from vtt_core.contract.recipe import make_recipe

LABELS = ("rings", "stars", "dots")
HEAD = HeadFacts("sum", {"ridge": 5.0, "text": 0.0}, (0.1, 0.7), {"mean": 0.8, "deviation": 0.05, "num_values": 12})


def accuracy(right: int, low: float, high: float) -> dict[str, Any]:
    return {"accuracy": right / 12, "low": low, "high": high, "num_images": 12}


@pytest.fixture
def metrics() -> dict[str, Any]:
    """Of a frozen tower with a head, in the form of this release."""
    mistakes = [{"image": f"{number}.png", "label": "stars", "said": "dots", "probability": 0.913} for number in range(2)]
    return {
        "num_support_images": 12,
        "training_accuracy": 1.0,
        "expected_accuracy": accuracy(10, 0.517, 0.956) | {"how": "4-fold cross-validation, in 5 rounds", "widening": 1.6},
        "zero_shot": accuracy(3, 0.083, 0.551),
        "linear_probe": accuracy(9, 0.442, 0.921),
        "frozen_head": accuracy(10, 0.517, 0.956),
        "fine_tuned": None,
        "per_class": [
            {"label": label, "num_images": 4, "num_held_out": 4, "recall": recall}
            for label, recall in zip(LABELS, (1.0, 0.5, 1.0), strict=True)
        ],
        "confusion": [[4, 0, 0], [0, 2, 2], [0, 0, 4]],
        "mistakes": mistakes,
        "calibration_error": {"before": 0.213, "after": 0.087},
        "largest_coverage": 12 / 13,
        "unknown": {"threshold": 0.62, "num_images": 12},
        "groups": 12,
        "choice": {"method": "auto", "tower": "frozen", "scales": {"ridge": 5.0, "text": 0.0}},
        "advice": ["2 of 4 left-out images of 'stars' were taken for 'dots': more images of both would help most."],
    }


@pytest.fixture
def data() -> DataFacts:
    digest = data_digest((f"{number:064x}", LABELS[number % 3]) for number in range(12))
    return DataFacts(digest, tuple((label, 4) for label in LABELS), num_groups=0, num_negatives=0)


@pytest.fixture
def facts(metrics: dict[str, Any], data: DataFacts) -> ReportFacts:
    manifest = make_manifest(LABELS, "frozen", format_version=2, head=HEAD)
    return ReportFacts(manifest, Metrics.from_json(metrics), data, again=(("Send:", "POST /v1/jobs"),), name="shapes")


@pytest.fixture
def tuned_facts(metrics: dict[str, Any], data: DataFacts) -> ReportFacts:
    """Of a fine-tuning with VtT, beside a frozen head in the same folds."""
    metrics["choice"] |= {"method": "clip-lora+vtt", "tower": "fine-tuned", "scales": {"ridge": 5.0, "text": 0.3}}
    metrics |= {"fine_tuned": metrics["expected_accuracy"], "frozen_head": accuracy(8, 0.362, 0.878)}
    recipe = make_recipe("clip-lora+vtt", changes={"head": "sum", "validation_folds": 2}, backbone_id="mini").to_json()
    head = HeadFacts("sum", {"ridge": 5.0, "text": 0.3}, (0.1,), None)
    manifest = make_manifest(LABELS, format_version=2, head=head, recipe=recipe, absorption_stopped_at=51)
    return ReportFacts(manifest, Metrics.from_json(metrics), data, name="shapes")


@pytest.fixture
def old_facts(data: DataFacts) -> ReportFacts:
    """Of a model of release 0.2."""
    metrics = {
        "num_support_images": 12,
        "support": {"accuracy": 1.0, "ci95": 0.121},
        "zero_shot": {"accuracy": 0.25, "ci95": 0.226},
        "linear_probe_leave_one_out": {"accuracy": 0.75, "ci95": 0.228},
    }
    return ReportFacts(make_manifest(LABELS), Metrics.from_json(metrics), data, model_id="mdl_1")
