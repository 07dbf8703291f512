"""A report is whole, says what was measured and no more, and lets nobody's label become markup."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from app.reports.facts import ReportFacts
from app.reports.metrics import Metrics
from app.reports.page import MAX_MATRIX, content_policy, render_report
from tests.fixtures.manifests import make_manifest

VOID = {"meta", "line", "circle"}
HOSTILE = (
    "<script>alert(1)</script>",
    "\"' onload='x' style=\"",
    "{{ 7 * 7 }}",
    "مرحبا بالعالم",
    "🦠 spots & stripes",
    "</style><img src=x>",
)


class Balanced(HTMLParser):
    """Follows the tags of a page, and collects its text and its attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"td", "th"}:
            self.text += " "

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def read(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def text_of(page: str) -> str:
    return " ".join(read(page).text.split())


def check_loads_nothing(page: str) -> None:
    found = read(page)
    assert not found.tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base"}
    assert not found.attributes & {"src", "srcset", "style", "srcdoc", "background", "xlink:href"}
    assert not {name for name in found.attributes if name.startswith("on")}
    style = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]


@pytest.mark.parametrize("name", ["facts", "tuned_facts", "old_facts"])
def test_a_report_is_balanced_html_that_loads_and_runs_nothing(name: str, request: pytest.FixtureRequest) -> None:
    page = render_report(request.getfixturevalue(name))
    assert page.startswith("<!DOCTYPE html>")
    check_loads_nothing(page)


def test_the_policy_allows_the_one_style_of_the_file_and_nothing_else(facts: ReportFacts) -> None:
    page = render_report(facts)
    (style,) = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    expected = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert content_policy() == expected
    assert f'content="{html.escape(expected)}"'.replace("&#x27;", "&#39;") in page
    assert content_policy("'self'") == expected + "; frame-ancestors 'self'"


def test_every_number_that_was_measured_is_in_the_report(facts: ReportFacts) -> None:
    text = text_of(render_report(facts))
    for number in (
        *("83.3 %", "51.7 to 95.6 %", "4-fold cross-validation, in 5 rounds", "variance times 1.6"),
        *("25.0 %", "8.3 to 55.1 %", "75.0 %", "44.2 to 92.1 %"),
        *("2 of 4 (50.0 %)", "4 of 4 (100.0 %)", "91.3 %", "8.7 %", "21.3 %", "92.3 %", "33.3 %"),
    ):
        assert number in text, number
    for named in ("0.png", "1.png", "more images of both would help most", facts.manifest.tensors_sha256, "POST /v1/jobs"):
        assert named in text, named
    assert facts.data is not None
    assert facts.data.sha256 in text


def test_hostile_names_are_shown_and_are_no_markup(metrics: dict[str, Any], facts: ReportFacts) -> None:
    metrics["per_class"] = [{"label": label, "num_images": 2, "num_held_out": 2, "recall": 1.0} for label in HOSTILE]
    metrics["confusion"] = [[2 if row == column else 0 for column in range(6)] for row in range(6)]
    metrics["mistakes"] = [
        {"image": f"{label}\x00\ud83d.png", "label": label, "said": label, "probability": 0.5} for label in HOSTILE
    ]
    metrics["advice"] = [f"{label!r} has one image" for label in HOSTILE]
    manifest = make_manifest(HOSTILE, "frozen", format_version=2, head=facts.manifest.head)
    page = render_report(replace(facts, manifest=manifest, metrics=Metrics.from_json(metrics), name=HOSTILE[0]))
    check_loads_nothing(page)
    text = text_of(page)
    for label in HOSTILE:
        assert text.count(label) >= 4, label
        assert f"{label}\ufffd\ufffd.png" in text
    assert f"<bdi>{HOSTILE[3]}</bdi>" in page
    assert "\x00" not in page
    page.encode()


def test_a_model_of_an_earlier_release_claims_no_accuracy_that_was_not_measured(old_facts: ReportFacts) -> None:
    text = text_of(render_report(old_facts))
    assert "was not measured" in text
    assert "expected accuracy" not in text
    assert "upper bound" in text
    for number in ("25.0 %", "2.4 to 47.6 %", "75.0 %", "52.2 to 97.8 %", "100.0 %"):
        assert number in text, number
    for absent in ("Confusion matrix", "The mistakes", "temperature", "conformal", "Wilson interval with"):
        assert absent not in text, absent
    assert "every image gets one of its labels" in text


def test_a_model_of_which_nothing_is_known_gives_a_report_without_numbers(facts: ReportFacts) -> None:
    page = render_report(ReportFacts(facts.manifest, Metrics(), missing=("Nothing is known.",)))
    check_loads_nothing(page)
    text = text_of(page)
    assert "Nothing is known." in text
    assert "<svg" not in page
    assert "data SHA-256" not in text
    assert "images to learn from" not in text


def test_a_comparison_with_a_fine_tuning_says_in_which_folds(tuned_facts: ReportFacts) -> None:
    text = text_of(render_report(tuned_facts))
    assert "This model (fine-tuned) 83.3 %" in text
    assert "Unchanged backbone, with a head 66.7 %" in text
    assert "compared in the same folds" in text


def test_without_groups_it_warns_of_images_that_belong_together(facts: ReportFacts) -> None:
    assert "no groups were named" in text_of(render_report(facts))
    assert facts.data is not None
    grouped = replace(facts, data=replace(facts.data, num_groups=4, num_negatives=3))
    text = text_of(render_report(grouped))
    assert "no groups were named" not in text
    assert "4 groups named" in text
    assert "It has also learnt from 3 examples of none of the classes" in text


def test_of_many_classes_only_those_that_were_confused_are_shown(metrics: dict[str, Any], facts: ReportFacts) -> None:
    way = MAX_MATRIX + 1
    labels = [f"class {number}" for number in range(way)]
    confusion = [[1 if row == column else 0 for column in range(way)] for row in range(way)]
    confusion[3][5], confusion[7][2] = 2, 6
    metrics["confusion"] = confusion
    metrics["per_class"] = [{"label": label, "num_images": 2, "num_held_out": 2, "recall": 0.5} for label in labels]
    manifest = make_manifest(labels, "frozen", format_version=2, head=facts.manifest.head)
    text = text_of(render_report(replace(facts, manifest=manifest, metrics=Metrics.from_json(metrics))))
    assert "Confusion matrix" not in text
    assert "class taken for images class 7 class 2 6 class 3 class 5 2" in text
    assert "class 11 and 29 more." in text
