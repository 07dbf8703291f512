"""Class names are complete and each belongs to one class."""

from __future__ import annotations

import pytest

from vtt_core.bench.datasets.class_names import CLASS_NAMES
from vtt_core.bench.datasets.registry import DATASETS


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_there_is_a_different_name_for_each_class(name: str) -> None:
    assert len(set(CLASS_NAMES[name].values())) == len(CLASS_NAMES[name]) == DATASETS[name].num_classes


def test_numbers_count_as_the_files_do() -> None:
    assert CLASS_NAMES["flowers"]["1"] == "pink primrose"
    assert CLASS_NAMES["flowers"]["102"] == "blackberry lily"
    assert CLASS_NAMES["traffic_sign"]["14"] == "Stop"
