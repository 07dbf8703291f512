"""Bodies of the health endpoints."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that machines request every few seconds: always answered, and not logged."""


class Condition(StrEnum):
    """Condition of one part."""

    OK = "ok"
    MISSING = "missing"
    DEGRADED = "degraded"


class Part(BaseModel):
    """One part that the service depends on."""

    condition: Condition
    is_required: bool = Field(description="Whether this process is not ready without it")
    detail: str


class Liveness(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["alive"])


class Readiness(BaseModel):
    """Whether this process can do its work, part by part."""

    is_ready: bool
    role: str
    parts: dict[str, Part] = Field(description="`database`, `store`, `disk`, and by role `queue`, `worker`, `jobs`, `backbone`")
