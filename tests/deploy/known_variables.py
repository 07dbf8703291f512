"""Names of environment variables that this service reads."""

from __future__ import annotations

from dataclasses import fields

from app.infra.settings import Settings
from vtt_core.contract.limits import Limits

KNOWN = {f"VTT_{name.upper()}" for name in Settings.model_fields} | {
    f"VTT_LIMITS__{limit.name.upper()}" for limit in fields(Limits)
}


def unknown_settings(names: set[str]) -> set[str]:
    """Return the names with our prefix that are not settings."""
    return {name for name in names if name.startswith("VTT_")} - KNOWN
