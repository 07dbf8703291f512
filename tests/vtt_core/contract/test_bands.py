"""A choice of bands from a manifest is whole, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import AdapterFormatError

GOOD: dict[str, Any] = {"bands": [4, 3, 2], "black": [0, 0.5, -1], "white": [100, 1, 0]}


def test_a_choice_survives_json() -> None:
    choice = BandChoice.from_json(GOOD)
    assert choice == BandChoice((4, 3, 2), (0.0, 0.5, -1.0), (100.0, 1.0, 0.0))
    assert BandChoice.from_json(choice.to_json()) == choice


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        GOOD | {"more": 1},
        GOOD | {"bands": [1, 2]},
        GOOD | {"bands": [0, 1, 2]},
        GOOD | {"bands": [1, 2, 65]},
        GOOD | {"bands": [True, 2, 3]},
        GOOD | {"white": [100, 0.5, 0]},
        GOOD | {"white": [100, float("nan"), 0]},
        GOOD | {"white": [100, float("inf"), 0]},
        GOOD | {"black": "abc"},
    ],
)
def test_anything_else_is_refused(values: object) -> None:
    with pytest.raises(AdapterFormatError):
        BandChoice.from_json(values)
