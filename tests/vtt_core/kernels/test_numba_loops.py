from typing import Any

import numpy as np

from vtt_core.kernels.numba_loops import compiled, inlined


@inlined
def _twice(x: Any) -> Any:
    return x * 2


@compiled
def _double(values: Any) -> None:
    for index in range(len(values)):
        values[index] = _twice(values[index])


def test_a_compiled_loop_changes_its_arrays() -> None:
    for dtype in (np.float32, np.float64):
        values = np.arange(5, dtype=dtype)
        _double(values)
        assert values.tolist() == [0, 2, 4, 6, 8]


def test_not_a_number_stays_one() -> None:
    values = np.array([np.nan, np.inf])
    _double(values)
    assert np.isnan(values[0])
    assert np.isinf(values[1])
