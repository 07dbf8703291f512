from collections.abc import Iterator

import pytest
import torch

from vtt_core.kernels import triton_kernels as kernels


def test_a_cpu_has_no_kernels() -> None:
    assert not kernels.has_kernels(torch.zeros(1))
    assert not kernels.can_launch_on("cpu")


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    """The compiler is looked for once in a process."""
    kernels._has_compiler.cache_clear()
    yield
    kernels._has_compiler.cache_clear()


@pytest.mark.parametrize("missing", ["triton", "compiler"])
def test_what_a_kernel_needs_may_be_missing(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnCuda:
        device = torch.device("cuda")

    monkeypatch.setattr(kernels, "triton", object())
    monkeypatch.setattr(kernels.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert kernels.has_kernels(OnCuda())  # type: ignore[arg-type]
    if missing == "triton":
        monkeypatch.setattr(kernels, "triton", None)
    else:
        kernels._has_compiler.cache_clear()
        monkeypatch.setattr(kernels.shutil, "which", lambda name: None)
    assert not kernels.has_kernels(OnCuda())  # type: ignore[arg-type]


@pytest.mark.parametrize(("num_items", "expected"), [(1, 1), (8, 1), (9, 2)])
def test_a_grid_covers_every_item(num_items: int, expected: int) -> None:
    assert kernels.blocks(num_items, 8) == (expected,)
