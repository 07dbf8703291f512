"""Bands that a user writes, or a manifest, are whole, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from vtt_core.contract.bands import BandChoice, BandWish, read_band_wish
from vtt_core.contract.errors import AdapterFormatError, BandsError

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


def test_what_a_user_writes_is_read() -> None:
    assert read_band_wish(None, None) is None
    assert read_band_wish("4, 3,2", None) == BandWish((4, 3, 2), 2, 98)
    assert read_band_wish("4,3,2", "1, 99.5") == BandWish((4, 3, 2), 1, 99.5)
    assert read_band_wish("5", "0,100") == BandWish((5, 5, 5), 0, 100)


@pytest.mark.parametrize(
    ("bands", "stretch"),
    [("4,3", None), ("a,b,c", None), ("0,1,2", None), ("1.5,2,3", None), ("1,2,65", None), ("nan,1,2", None), ("", None)]
    + [("1_0,2,3", None), ("1e1,2,3", None), ("+4,3,2", None), ("٤,3,2", None), ("4,3,2", "2,9_8"), ("4,3,2", "2,98e0")]
    + [("1,2,3", "98,2"), ("1,2,3", "2"), ("1,2,3", "-1,98"), ("1,2,3", "nan,98"), ("1,2,3", ""), (None, "2,98")],
)
def test_what_makes_no_sense_is_refused(bands: str | None, stretch: str | None) -> None:
    with pytest.raises(BandsError):
        read_band_wish(bands, stretch)
