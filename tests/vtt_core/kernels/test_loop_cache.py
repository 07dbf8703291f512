from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtt_core.backbones import activation
from vtt_core.fusion import numba_scan
from vtt_core.kernels import loop_cache, numba_loops
from vtt_core.kernels.loop_cache import HELPERS, InTree


def _add_one(values: Any) -> None:
    for index in range(len(values)):
        values[index] += 1


def test_a_changed_helper_makes_a_cached_loop_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, helper = tmp_path / "loop.py", tmp_path / "helper.py"
    loop.touch()
    helper.write_text("one")
    monkeypatch.setattr(loop_cache, "HELPERS", (helper,))
    locator = InTree.from_function(_add_one, str(loop))
    before = locator.get_source_stamp()
    assert locator.get_source_stamp() == before
    helper.write_text("three")
    assert locator.get_source_stamp() != before


@pytest.mark.parametrize("loop", [activation._gelus, numba_scan._scan_forward])
def test_loops_are_kept_so(loop: Any) -> None:
    assert isinstance(loop._cache._impl.locator, loop_cache._Stamped)
    assert {"numba_loops.py", "bfloat16.py", "float_bits.py"} <= {path.name for path in HELPERS}


def test_a_loop_runs_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_loops, "LOCATORS", "IPythonCacheLocator")  # which finds no notebook here
    values = np.zeros(2)
    numba_loops.compiled(_add_one)(values)
    assert values.tolist() == [1, 1]
