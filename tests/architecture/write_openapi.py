"""Record the API's description beside the test that compares it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.infra.settings import Role, Settings
from app.main import create_app

SNAPSHOT = Path(__file__).with_name("openapi.json")


def describe() -> dict[str, Any]:
    """Return the description of a process that answers everything, without its version."""
    document = create_app(Settings(role=Role.ALL, host="127.0.0.1")).openapi()
    document["info"].pop("version")
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(describe(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
