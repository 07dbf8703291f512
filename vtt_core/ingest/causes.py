"""Group errors that have one cause, so that a cause is told once and not once a file."""

from __future__ import annotations

from collections.abc import Sequence

from vtt_core.contract.errors import VttError

FEW = 5
"""Up to this many files with the same cause are told one by one."""


def by_cause(errors: Sequence[VttError]) -> list[list[int]]:
    """Return the positions of the errors: those of one cause together if there are more than FEW, all others alone.

    Two errors have one cause if their code, what they expected and their remedy are the same; only what came differs.
    The groups are in the order of their first error.
    """
    positions: dict[tuple[str, str, str], list[int]] = {}
    for position, error in enumerate(errors):
        positions.setdefault((error.code, error.expected, error.remedy), []).append(position)
    groups = [group for together in positions.values() for group in _split_few(together)]
    return sorted(groups)


def _split_few(together: list[int]) -> list[list[int]]:
    return [together] if len(together) > FEW else [[position] for position in together]
