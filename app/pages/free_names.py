"""Suggest a name that no other model has."""

from __future__ import annotations

import re

from app.dependencies import AppContext
from app.infra.job_repository import JobRepository
from app.infra.model_repository import ModelRepository
from app.pages.texts import text

MAX_NAME = 200
"""Characters of a name."""


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
    with context.readers() as session:
        taken = JobRepository(session).names_starting(stem) | ModelRepository(session).names_starting(stem)
    if base not in taken:
        return base[:MAX_NAME]
    if stem not in taken:  # its number is a part of the name, such as that of a year
        stem = base
    number = 2
    while (name := f"{stem[: MAX_NAME - 5]} {number}") in taken:
        number += 1
    return name
