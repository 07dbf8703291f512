"""Suggest a name that no other model has."""

from __future__ import annotations

import re

from app.dependencies import AppContext
from app.infra.job_repository import JobRepository
from app.infra.model_repository import ModelRepository
from app.pages.texts import text

MAX_NAME = 200
"""Characters of a name."""
NAMES_AT_ONCE = 50
"""Names that are looked up together."""


def free_model_name(context: AppContext, set_name: str) -> str:
    """Return a name for a model of a set: that of the set, with a number if a model or a job has that already."""
    ending = text("set.copy_name", name="")
    base = set_name
    while base.endswith(ending):
        base = base.removesuffix(ending)
    if not base:
        return ""
    numbered = re.fullmatch(r"(.*\S) \d+", base)
    stem = numbered[1] if numbered else base
    if not _taken(context, [base]):
        return base[:MAX_NAME]
    if not _taken(context, [stem]):  # its number is a part of the name, such as that of a year
        stem = base
    first = 2
    while True:
        names = [f"{stem[: MAX_NAME - 5]} {number}" for number in range(first, first + NAMES_AT_ONCE)]
        taken = _taken(context, names)
        if len(taken) < len(names):
            return next(name for name in names if name not in taken)
        first += NAMES_AT_ONCE


def _taken(context: AppContext, names: list[str]) -> set[str]:
    with context.readers() as session:
        return JobRepository(session).taken_names(names) | ModelRepository(session).taken_names(names)
