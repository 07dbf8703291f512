"""Group errors with the same cause, so that it is reported once and not once for each file."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from vtt_core.contract.errors import VttError

FEW = 5
"""Up to this many files with the same cause are reported one by one."""


def cause_of(error: VttError) -> tuple[str, str, str]:
    """Return what errors with the same cause share: code, expectation and remedy."""
    return error.code, error.expected, error.remedy


def by_cause(causes: Sequence[Hashable]) -> list[list[int]]:
    """Return groups of positions: more than FEW equal causes make one group, any others are groups of one.

    Groups are in the order of their first position.
    """
    positions: dict[Hashable, list[int]] = {}
    for position, cause in enumerate(causes):
        positions.setdefault(cause, []).append(position)
    groups = [group for together in positions.values() for group in _split_few(together)]
    return sorted(groups)


def _split_few(together: list[int]) -> list[list[int]]:
    return [together] if len(together) > FEW else [[position] for position in together]
