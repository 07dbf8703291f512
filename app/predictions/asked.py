"""Read what a prediction should say besides probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from app.domain.answer_ranges import COVERAGE_RANGE, FALSE_REJECTS_RANGE
from app.infra.served_models import ServedModel
from app.infra.tables import ModelRow
from vtt_core.contract.serving import DEFAULT_COVERAGE, DEFAULT_FALSE_REJECTS, AnswerOptions


@dataclass(frozen=True)
class Asked:
    """What a request wants to know besides probabilities."""

    coverage: float
    false_rejects: float | None
    """None for what is set for the model, or else the usual share."""

    def options(self, model: ModelRow | ServedModel) -> AnswerOptions:
        """Return what the engine is asked for."""
        shares = (self.false_rejects, model.false_rejects, DEFAULT_FALSE_REJECTS)
        return AnswerOptions(self.coverage, next(share for share in shares if share is not None))


CoverageQuery = Annotated[
    float,
    Query(
        ge=COVERAGE_RANGE[0],
        le=COVERAGE_RANGE[1],
        description="Share of images whose true class should be in `prediction_set`",
    ),
]
FalseRejectsQuery = Annotated[
    float | None,
    Query(
        ge=FALSE_REJECTS_RANGE[0],
        le=FALSE_REJECTS_RANGE[1],
        description="Share of images of the classes that may be taken for none of them: the lower, the fewer images are "
        f"`none_of_these`. Without it, that of the model, or {DEFAULT_FALSE_REJECTS}",
    ),
]


async def _asked(coverage: CoverageQuery = DEFAULT_COVERAGE, false_rejects: FalseRejectsQuery = None) -> Asked:
    return Asked(coverage, false_rejects)


AskedDep = Annotated[Asked, Depends(_asked)]
