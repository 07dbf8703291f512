"""Render a report as one HTML file: no script, nothing that is loaded, all that users named escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from app.reports.chart import Chart, Row, make_chart
from app.reports.data import DIGEST_RULE
from app.reports.facts import ReportFacts
from app.reports.methods_text import methods_text
from app.reports.references import Citations
from app.reports.wording import percent, printable, span
from vtt_core.inspection.words import counted

MAX_NAMED = 12
"""Labels that the summary names."""
MAX_MATRIX = 40
"""Classes up to which the confusion matrix is shown; of more, only pairs that were confused."""
MAX_MISTAKES = 200
HEAT_LEVELS = 10


def render_report(facts: ReportFacts) -> str:
    """Return the report of a model."""
    cite = Citations()
    text = methods_text(facts, cite)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            facts=facts,
            manifest=facts.manifest,
            metrics=facts.metrics,
            chart=_chart(facts),
            confused=_confused_pairs(facts),
            methods=text,
            references=cite.cited,
            recipe=_recipe_rows(facts),
        )
    )


@lru_cache(maxsize=1)
def style_source() -> str:
    """Return the style of reports as a source of a content security policy: the hash of its text."""
    digest = hashlib.sha256(_style().encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def content_policy(frame_ancestors: str | None = None) -> str:
    """Return the content security policy of a report.

    Args:
        frame_ancestors: who may show it in a frame; None inside the file, where browsers do not read this.
    """
    parts = ["default-src 'none'", f"style-src {style_source()}", "base-uri 'none'", "form-action 'none'"]
    return "; ".join(parts if frame_ancestors is None else [*parts, f"frame-ancestors {frame_ancestors}"])


@lru_cache(maxsize=1)
def _style() -> str:
    return _read("report.css")


def _read(name: str) -> str:
    return files("app.reports").joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader({"report.html.jinja": _read("report.html.jinja")}),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "span": span, "counted": counted}
    environment.globals |= {
        "style": _style(),
        "policy": content_policy(),
        "digest_rule": DIGEST_RULE,
        "max_named": MAX_NAMED,
        "max_mistakes": MAX_MISTAKES,
        "heat": _heat,
    }
    return environment


def _finalize(value: Any) -> Any:
    """Take what HTML cannot hold out of texts that are not markup."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _chart(facts: ReportFacts) -> Chart | None:
    metrics = facts.metrics
    tower = "fine-tuned" if facts.is_fine_tuned else "unchanged backbone"
    named = [
        (f"This model ({tower})", metrics.expected),
        ("Fine-tuned, with a head", None if facts.is_fine_tuned else metrics.fine_tuned),
        ("Unchanged backbone, with a head", metrics.frozen_head if facts.is_compared or facts.is_fine_tuned else None),
        ("Linear probe on the unchanged backbone", metrics.linear_probe),
        ("Class names alone (zero-shot)", metrics.zero_shot),
    ]
    rows = [Row(name, one, is_served=place == 0) for place, (name, one) in enumerate(named) if one is not None]
    return make_chart(rows, 1 / len(facts.manifest.labels)) if rows else None


def _confused_pairs(facts: ReportFacts) -> list[tuple[str, str, int]] | None:
    """Return (class, taken for, images) where there are too many classes for a matrix, the most frequent first."""
    metrics = facts.metrics
    if len(metrics.confusion) <= MAX_MATRIX:
        return None
    labels = [row.label for row in metrics.per_class]
    pairs = [
        (labels[truth], labels[said], count)
        for truth, row in enumerate(metrics.confusion)
        for said, count in enumerate(row)
        if said != truth and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:MAX_MISTAKES]


def _heat(count: int, total: int) -> int:
    """Return the level of colour of a cell, 0 for none."""
    return 0 if not count else max(1, round(HEAT_LEVELS * count / total))


def _recipe_rows(facts: ReportFacts) -> list[tuple[str, Any]]:
    """Return the fields that were read; a frozen tower reads few of them."""
    values = facts.recipe.to_json()
    names = values if facts.is_fine_tuned else ("method", "head", "prompt_template")
    return [(name, values[name]) for name in names]
