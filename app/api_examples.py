"""Add an example to every body of the API's description.

`tests/architecture/write_api_examples.py` records those of what goes well, `write_problem_examples.py` those of errors.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from app.error_handlers import PROBLEM_MEDIA_TYPE

EXAMPLES = Path(__file__).with_name("api_examples.json")
"""By the id of an operation: `request`, and `answers` by status and media type."""

PROBLEMS = Path(__file__).with_name("api_problems.json")
"""By the code of an error: a problem document."""
_CODES = re.compile(r"^- `([^`]+)`", re.MULTILINE)
"""Codes in the description of an answer, as `problem_details.py` writes it."""


def add_problems(document: dict[str, Any]) -> None:
    """Add to each answer that is an error an example for each of its codes; each stands once, in the components."""
    known = json.loads(PROBLEMS.read_text(encoding="utf-8")) if PROBLEMS.exists() else {}
    shown = document.setdefault("components", {}).setdefault("examples", {})
    for methods in document["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                body = answer.get("content", {}).get(PROBLEM_MEDIA_TYPE)
                codes = [code for code in _CODES.findall(answer.get("description", "")) if code in known]
                if body is None or not codes:
                    continue
                body["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
                shown |= {code: {"summary": known[code]["title"], "value": known[code]} for code in codes}


def add_examples(document: dict[str, Any]) -> None:
    """Add the examples to the bodies of an API's description that have none."""
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8")) if EXAMPLES.exists() else {}
    for methods in document["paths"].values():
        for operation in methods.values():
            known = examples.get(operation["operationId"], {})
            for body in operation.get("requestBody", {}).get("content", {}).values():
                if "request" in known:
                    body.setdefault("example", known["request"])
            for status, by_media_type in known.get("answers", {}).items():
                content = operation["responses"][status].get("content", {})
                for media_type, example in by_media_type.items():
                    if media_type in content:
                        content[media_type].setdefault("example", example)
