"""The report of one optimiser step, for progress bars and job events."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Phase = Literal["validation", "fine-tuning"]


@dataclass(frozen=True)
class StepReport:
    """What one step did; losses are those before its update."""

    step: int
    """Number of finished steps, 1 after the first."""
    num_steps: int
    """Steps of the whole recipe."""
    classification_loss: float
    """Mean cross-entropy of the mini-batch."""
    absorption_loss: float | None
    """Minus the mean cosine of absorbed text and image features; None once absorption is off."""
    conflict_cosine: float | None
    """Mean over the LoRA tensors of cos(combined gradient, classification gradient); None once absorption is off."""
    is_absorbing: bool
    """Whether the next step still absorbs."""
    absorption_stopped_at: int | None
    """Step that switched absorption off, or None."""
    phase: Phase = "fine-tuning"
    """`validation`: a fine-tuning on a part of the support set, to measure on the rest."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)
