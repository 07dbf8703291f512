"""Write JSON columns without NaN and infinity, which are not JSON and which PostgreSQL refuses."""

from __future__ import annotations

import json
import math
from typing import Any


def dump_json(value: Any) -> str:
    """Return the value as JSON, with null in place of NaN and infinity."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
