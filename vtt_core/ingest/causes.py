"""Group errors that have one cause, so that a cause is told once and not once a file."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from vtt_core.contract.errors import VttError

FEW = 5
"""Up to this many files with the same cause are told one by one."""


def cause_of(error: VttError) -> tuple[str, str, str]:
    """Return what two errors of one cause have in common: code, expectation and remedy. Only what came differs."""
    return error.code, error.expected, error.remedy


def by_cause(causes: Sequence[Hashable]) -> list[list[int]]:
    """Return the positions of the causes: those of one cause together if there are more than FEW, all others alone.

    The groups are in the order of their first position.
    """
    positions: dict[Hashable, list[int]] = {}
    for position, cause in enumerate(causes):
        positions.setdefault(cause, []).append(position)
    groups = [group for together in positions.values() for group in _split_few(together)]
    return sorted(groups)


def _split_few(together: list[int]) -> list[list[int]]:
    return [together] if len(together) > FEW else [[position] for position in together]
