"""The layout is checked everywhere, against the formula that mamba-ssm tests its kernels with; the kernels where they are."""

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import Tensor

from tests.vtt_core.fusion.test_numba_scan import SIZES, inputs
from vtt_core.fusion import mamba_ssm_scan as module
from vtt_core.fusion.mamba_ssm_scan import MAX_STATES, find_kernel, mamba_ssm_scan, scan_with_steps_last
from vtt_core.fusion.scan import selective_scan


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    """The package is looked for once in a process."""
    find_kernel.cache_clear()
    yield
    find_kernel.cache_clear()


def reference_with_steps_last(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Restate mamba-ssm's `selective_scan_ref`: u, delta (b d l), A (d n), B, C (b n l), D (d); and what its kernels ask."""
    assert all(tensor.stride(-1) == 1 for tensor in (u, delta, B, C, D))
    assert A.shape == (u.shape[1], B.shape[1])
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    entering = torch.einsum("bdl,bnl,bdl->bdln", delta, B, u)
    x, outputs = torch.zeros_like(entering[:, :, 0]), []
    for i in range(u.shape[2]):
        x = decay[:, :, i] * x + entering[:, :, i]
        outputs.append(torch.einsum("bdn,bn->bd", x, C[:, :, i]))
    return torch.stack(outputs, dim=2) + u * D[:, None]


def compare(fast: Tensor, arguments: list[Tensor], tolerance: float) -> None:
    """Compare outputs and gradients with the plain scan."""
    plain = selective_scan(*arguments)
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance)
    cotangent = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(fast)
    for got, expected in zip(
        torch.autograd.grad(fast, arguments, cotangent), torch.autograd.grad(plain, arguments, cotangent), strict=True
    ):
        assert got.shape == expected.shape
        assert (got - expected).abs().max().item() <= tolerance * max(expected.abs().max().item(), 1)


@pytest.mark.parametrize("sizes", [*SIZES, (2, 3, 3, 3)])
def test_the_layout_of_mamba_ssm_gives_the_plain_scan_and_its_gradients(sizes: tuple[int, int, int, int]) -> None:
    arguments = inputs(sizes, torch.float64)
    compare(scan_with_steps_last(reference_with_steps_last, *arguments), arguments, 1e-12)


def test_arguments_that_lie_otherwise_in_memory_are_laid_out_for_the_kernels() -> None:
    u, step, A, B, C, D = inputs((2, 5, 4, 3), torch.float64)
    strided = [u[:, torch.tensor([4, 3, 2, 1, 0])], step, A.T.contiguous().T, B, C, D.repeat_interleave(2)[::2]]
    arguments = [tensor.detach().requires_grad_() for tensor in strided]
    compare(scan_with_steps_last(reference_with_steps_last, *arguments), arguments, 1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("sizes", [*SIZES, (100, 25, 512, MAX_STATES)])
def test_its_kernels_equal_the_plain_scan_and_its_gradients(sizes: tuple[int, int, int, int]) -> None:
    if isinstance(reason := find_kernel(), str):
        pytest.skip(reason)
    arguments = [tensor.detach().cuda().requires_grad_() for tensor in inputs(sizes, torch.float32)]
    compare(mamba_ssm_scan(*arguments), arguments, 1e-4)


def test_a_package_that_is_not_there_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}", name="mamba_ssm")

    monkeypatch.setattr(module, "import_module", fail)
    reason = find_kernel()
    assert isinstance(reason, str)
    assert reason.startswith("mamba-ssm is not installed: install the extra cuda: in the clone of the repository, run ")
    assert reason.endswith("pip install -c constraints.txt -e '.[cuda]', which compiles it with the CUDA toolkit")


@pytest.mark.parametrize(
    "error",
    [ModuleNotFoundError("No module named 'einops'", name="einops"), OSError("undefined symbol: _ZN3c10"), AttributeError("x")],
)
def test_a_package_that_does_not_load_is_told_with_the_reason(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise error

    monkeypatch.setattr(module, "import_module", fail)
    reason = find_kernel()
    assert isinstance(reason, str)
    assert reason.startswith("mamba-ssm is installed but does not load: ")
    assert str(error) in reason


def test_the_package_is_looked_for_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    interface = ModuleType(module.INTERFACE)
    interface.selective_scan_fn = reference_with_steps_last  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.INTERFACE, interface)
    arguments = inputs((2, 5, 4, 3), torch.float64)
    compare(mamba_ssm_scan(*arguments), arguments, 1e-12)
