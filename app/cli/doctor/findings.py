"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """How a part is."""

    OK = "ok"
    NOTE = "note"
    """It works; whoever reads this may want to know it."""
    PROBLEM = "problem"
    """Something that the settings ask for does not work, or others can do what they should not."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    part: str
    """What was looked at, in a word or two."""
    condition: Condition
    detail: str
    """What was found, as a phrase."""
    remedy: str | None = None
    """What to do; None where there is nothing to do."""


def ok(part: str, detail: str) -> Finding:
    """Return the finding that a part is as it should be."""
    return Finding(part, Condition.OK, detail)


def note(part: str, detail: str, remedy: str | None = None) -> Finding:
    """Return a finding that is worth knowing and breaks nothing."""
    return Finding(part, Condition.NOTE, detail, remedy)


def problem(part: str, detail: str, remedy: str) -> Finding:
    """Return a finding that keeps something from working."""
    return Finding(part, Condition.PROBLEM, detail, remedy)
