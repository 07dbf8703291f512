from collections.abc import Iterator

import pytest
import torch

from tests.vtt_core.fusion.test_numba_scan import inputs
from vtt_core.fusion import scan_choice as module
from vtt_core.fusion.mamba_ssm_scan import mamba_ssm_scan
from vtt_core.fusion.numba_scan import numba_selective_scan
from vtt_core.fusion.scan import selective_scan
from vtt_core.fusion.scan_choice import ScanChoice, choose_scan, fast_selective_scan, prefer_scan
from vtt_core.fusion.triton_scan import triton_selective_scan

CUDA = torch.device("cuda")
NOT_INSTALLED = "mamba-ssm is not installed: here is how"


@pytest.fixture(autouse=True)
def _prefer_the_default_again() -> Iterator[None]:
    yield
    prefer_scan("reproducible")


class Machine:
    """A machine with a GPU, of which only what is installed can be changed here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def has(self, *, mamba_ssm: bool, triton: bool) -> None:
        found = selective_scan if mamba_ssm else NOT_INSTALLED
        self._monkeypatch.setattr(module, "find_kernel", lambda: found)
        self._monkeypatch.setattr(module, "can_launch_on", lambda device_type: triton and device_type == "cuda")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_cpu_runs_the_compiled_loops_whatever_is_preferred(machine: Machine) -> None:
    machine.has(mamba_ssm=True, triton=True)
    for preference in ("reproducible", "mamba-ssm"):
        prefer_scan(preference)  # type: ignore[arg-type]
        choice = choose_scan(torch.device("cpu"), 256)
        assert (choice.name, choice.run) == ("compiled", numba_selective_scan)
        assert "CPU" in choice.reason


def test_mamba_ssm_runs_where_it_is_preferred_and_there(machine: Machine) -> None:
    machine.has(mamba_ssm=True, triton=True)
    prefer_scan("mamba-ssm")
    choice = choose_scan(CUDA, 256)
    assert (choice.name, choice.run) == ("mamba-ssm", mamba_ssm_scan)
    assert "differs in its last bits" in choice.reason


def test_by_default_jobs_repeat_themselves_to_the_byte(machine: Machine) -> None:
    machine.has(mamba_ssm=True, triton=True)
    choice = choose_scan(CUDA, 256)
    assert (choice.name, choice.run) == ("triton", triton_selective_scan)
    assert "not preferred" in choice.reason
    assert "differs in its last bits" in choice.reason
    machine.has(mamba_ssm=True, triton=False)
    assert choose_scan(CUDA, 256).name == "plain"


@pytest.mark.parametrize(
    ("num_states", "dtype", "is_installed", "reason"),
    [
        (256, torch.float32, False, NOT_INSTALLED),
        (257, torch.float32, True, "256 states at most, not 257"),
        (256, torch.float64, True, "float32, not in float64"),
    ],
)
def test_where_mamba_ssm_cannot_run_the_choice_says_why(
    num_states: int, dtype: torch.dtype, is_installed: bool, reason: str, machine: Machine
) -> None:
    prefer_scan("mamba-ssm")
    machine.has(mamba_ssm=is_installed, triton=True)
    choice = choose_scan(CUDA, num_states, dtype)
    assert (choice.name, choice.run) == ("triton", triton_selective_scan)
    assert reason in choice.reason
    machine.has(mamba_ssm=is_installed, triton=False)
    choice = choose_scan(CUDA, num_states, dtype)
    assert (choice.name, choice.run) == ("plain", selective_scan)
    assert reason in choice.reason
    assert "C compiler" in choice.reason


def test_another_device_runs_the_plain_scan() -> None:
    choice = choose_scan(torch.device("meta"))
    assert (choice.name, choice.run) == ("plain", selective_scan)
    assert "'meta'" in choice.reason


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_what_is_chosen_equals_the_plain_scan(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for preference in ("reproducible", "mamba-ssm"):
        prefer_scan(preference)  # type: ignore[arg-type]
        arguments = [tensor.detach().to(device) for tensor in inputs((2, 25, 16, 32), torch.float32)]
        torch.testing.assert_close(fast_selective_scan(*arguments), selective_scan(*arguments), rtol=1e-4, atol=1e-4)


def test_the_scan_that_is_chosen_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def choose(*arguments: object) -> ScanChoice:
        asked.append(arguments)
        return ScanChoice("plain", "", lambda *tensors: selective_scan(*tensors) + 1)

    monkeypatch.setattr(module, "choose_scan", choose)
    arguments = inputs((2, 5, 4, 3), torch.float64)
    torch.testing.assert_close(fast_selective_scan(*arguments), selective_scan(*arguments) + 1)
    assert asked == [(torch.device("cpu"), 3, torch.float64)]
