"""What the service answers about exports; held to the description of the API as `models.py` is."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from vtt_client.models import FINAL_STATES, Answer, JobFailure

ExportKind: TypeAlias = Literal["peft", "open_clip", "onnx", "web"]
"""Forms that are made in the background; `adapter` and `report` are there at once."""
MADE_KINDS: tuple[ExportKind, ...] = ("peft", "open_clip", "onnx", "web")


class ExportLinks(Answer):
    """Where to go from an export."""

    model: str
    download: str | None


class Export(Answer):
    """A model in a form that other programs read."""

    id: str
    kind: Literal["peft", "open_clip", "onnx", "web", "adapter"]
    state: Literal["queued", "running", "succeeded", "failed"]
    size_bytes: int
    report: dict[str, Any] | None
    error: JobFailure | None
    created_at: datetime
    finished_at: datetime | None
    links: ExportLinks

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL_STATES


class ExportForm(Answer):
    """A form, and whether a model can have it."""

    kind: Literal["peft", "open_clip", "onnx", "web", "adapter"]
    offered: bool
    reason: str | None
    remedy: str | None


class ExportList(Answer):
    """The exports of a model."""

    items: list[Export]
    forms: list[ExportForm]
