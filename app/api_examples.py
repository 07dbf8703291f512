"""Add an example to every body of the API's description; `tests/architecture/write_api_examples.py` records them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).with_name("api_examples.json")
"""By the id of an operation: `request`, and `answers` by status and media type."""


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
