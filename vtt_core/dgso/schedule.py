"""Remember recent gradient conflict and switch absorption off, once and for good.

DGSO = dynamic gradient supervised optimization.
Source: Zhang et al. 2026, arXiv:2603.05235, DGSO; METHOD.md, row "queue"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: paper and released code disagree at the edge: the paper switches off below zero, the code at or
    below zero. Both are offered; the code's is the default. Neither has a last step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SwitchOff = Literal["at-zero", "below-zero", "never"]


@dataclass
class Dgso:
    """The queue of conflict cosines and the one-way switch."""

    window: int
    """lambda: number of recent entries whose mean decides."""
    is_absorbing: bool = True
    stopped_at: int | None = None
    """Number of steps after which absorption was off, or None."""
    queue: list[float] = field(default_factory=lambda: [1.0])
    """Starts with a 1 that is added to the sum but not counted, as released."""
    switch_off: SwitchOff = "at-zero"
    """Recent mean that ends absorption."""
    max_steps: int | None = None
    """Steps after which absorption ends at the latest, or None."""

    def observe(self, cosine: float) -> None:
        """Enter one step's mean conflict cosine; the step itself still used its projected gradient.

        Args:
            cosine: mean over the host's tensors, between -1 and 1.
        """
        assert self.is_absorbing, "nothing is observed once absorption is off"
        self.queue.append(cosine)
        mean, num_steps = self.recent_mean(), len(self.queue) - 1
        conflicts = (self.switch_off == "at-zero" and mean <= 0) or (self.switch_off == "below-zero" and mean < 0)
        if conflicts or num_steps == self.max_steps:
            self.is_absorbing = False
            self.stopped_at = num_steps

    def recent_mean(self) -> float:
        """Return the mean that decides: of all entries while they fit the window, else of the last ones."""
        if len(self.queue) <= self.window:
            return sum(self.queue) / (len(self.queue) - 1)
        return sum(self.queue[-self.window :]) / self.window
