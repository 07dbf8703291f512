"""Give the directions in which the sequence of layers is read.

Shapes: S scan steps.
Source: METHOD.md, row "scan".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vtt_core.contract.recipe import Scan


def scan_orders(num_steps: int, scan: Scan) -> list[Tensor]:
    """Return a permutation of the S steps for each direction; step 0 is the deepest layer.

    Args:
        num_steps: length S of the sequence.
        scan: one way, both ways, or the four of a grid.
    """
    deep_to_shallow_S = torch.arange(num_steps)
    shallow_to_deep_S = deep_to_shallow_S.flip(0)
    if scan == "four-ways":
        return grid_orders(num_steps)
    if scan == "both-ways":
        return [deep_to_shallow_S, shallow_to_deep_S]
    return [deep_to_shallow_S if scan == "deep-to-shallow" else shallow_to_deep_S]


def grid_orders(num_steps: int) -> list[Tensor]:
    """Return the four scan orders: the grid row by row, reversed, column by column, reversed.

    The grid is the squarest rectangle of `num_steps` cells: 5 x 5 for 12 layers, 7 x 7 for 24. Where the
    number of steps is prime the grid is one row, and both readings agree.
    """
    rows = max(divisor for divisor in range(1, math.isqrt(num_steps) + 1) if num_steps % divisor == 0)
    by_rows_S = torch.arange(num_steps)
    by_columns_S = by_rows_S.view(rows, -1).t().reshape(-1)
    return [by_rows_S, by_rows_S.flip(0), by_columns_S, by_columns_S.flip(0)]


def sum_in_order(outputs_BSD: Sequence[Tensor], orders: Sequence[Tensor]) -> Tensor:
    """Return the sum of what each direction gave, put back into the sequence's own order.

    Args:
        outputs_BSD: of each direction, in its own order.
        orders: of each direction.
    """
    back = [output_BSD[:, order.argsort()] for output_BSD, order in zip(outputs_BSD, orders, strict=True)]
    return torch.stack(back).sum(dim=0)
