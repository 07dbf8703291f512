"""Choose the arithmetic of products with frozen weights, and say why.

Source: Intel's AMX and AVX-512 BF16; torch multiplies bfloat16 with them by oneDNN, and sums up in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

Products = Literal["float32", "fastest"]
"""As in `FinetuneRecipe.products`."""


@dataclass(frozen=True)
class ProductChoice:
    """The type of products with frozen weights."""

    dtype: torch.dtype | None
    """None for that of the weights."""
    reason: str
    """Why this one; for people."""

    @property
    def name(self) -> str:
        """The type's name, `float32` for that of the weights."""
        return "float32" if self.dtype is None else str(self.dtype).removeprefix("torch.")


def choose_products(products: Products, device: torch.device, dtype: torch.dtype = torch.float32) -> ProductChoice:
    """Return the arithmetic for a backbone.

    Args:
        products: what the recipe asks for.
        device: that computes.
        dtype: of the weights.
    """
    if products == "float32" or dtype != torch.float32:
        return ProductChoice(None, "the type of the weights is asked for")
    if device.type != "cpu":
        return ProductChoice(None, f"bfloat16 was measured on CPUs, not on {device.type!r}")
    instructions = bfloat16_instructions()
    if instructions is None:
        return ProductChoice(None, "this processor has no instructions for products in bfloat16")
    return ProductChoice(torch.bfloat16, f"this processor multiplies bfloat16 with {instructions}")


@cache
def bfloat16_instructions() -> str | None:
    """Return the name of this processor's instructions for products in bfloat16, if it has any that torch uses."""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX-512" if torch.cpu._is_avx512_bf16_supported() else None
