"""The kernels run here as they are written, by Triton's interpreter, and on the GPU where there is one."""

import pytest
import torch

from tests.vtt_core.fusion.test_numba_scan import SIZES, inputs
from vtt_core.fusion.mamba_ssm_scan import scan_with_steps_last
from vtt_core.fusion.scan import selective_scan

pytest.importorskip("triton")
from vtt_core.fusion.triton_scan import CHANNELS_A_PROGRAM, triton_selective_scan  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("sizes", [*SIZES, (2, 5, CHANNELS_A_PROGRAM + 3, 6)])
def test_it_equals_the_plain_scan_and_its_gradients(
    sizes: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    arguments = [tensor.detach().to(DEVICE).requires_grad_() for tensor in inputs(sizes, dtype)]
    fast, plain = triton_selective_scan(*arguments), selective_scan(*arguments)
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance)
    cotangent = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(DEVICE, dtype)
    for got, expected in zip(
        torch.autograd.grad(fast, arguments, cotangent), torch.autograd.grad(plain, arguments, cotangent), strict=True
    ):
        assert (got - expected).abs().max().item() <= tolerance * max(expected.abs().max().item(), 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_equals_the_kernel_of_mamba_ssm_and_its_gradients() -> None:
    interface = pytest.importorskip("mamba_ssm.ops.selective_scan_interface")
    arguments = [tensor.detach().cuda().requires_grad_() for tensor in inputs((2, 25, 16, 32), torch.float32)]
    ours, theirs = triton_selective_scan(*arguments), scan_with_steps_last(interface.selective_scan_fn, *arguments)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    cotangent = torch.randn_like(ours)
    for got, expected in zip(
        torch.autograd.grad(ours, arguments, cotangent), torch.autograd.grad(theirs, arguments, cotangent), strict=True
    ):
        assert (got - expected).abs().max().item() <= 1e-4 * max(expected.abs().max().item(), 1)


def test_many_networks_are_scanned_as_each_alone() -> None:
    several = [[tensor.detach().to(DEVICE) for tensor in inputs((2, 5, 11, 6), torch.float64)] for _ in range(3)]
    for index, arguments in enumerate(several):
        arguments[2] -= index  # networks that differ in what their sequences share
    stacked = [torch.stack(tensors).requires_grad_() for tensors in zip(*several, strict=True)]
    together = torch.vmap(triton_selective_scan)(*stacked)
    alone = torch.stack([selective_scan(*(tensor[index] for tensor in stacked)) for index in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    cotangent = torch.randn_like(together)
    for got, expected in zip(
        torch.autograd.grad(together, stacked, cotangent), torch.autograd.grad(alone, stacked, cotangent), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)
