import pytest

from app.cli.doctor.findings import Condition
from app.cli.doctor.machine import check_device, check_processor, check_weights
from app.infra.settings import Settings


def test_the_processor_is_named_with_the_kernels_that_torch_uses() -> None:
    import torch

    processor, threads = check_processor()
    assert torch.backends.cpu.get_cpu_capability() in processor.detail
    assert "usable cores" in threads.detail


def test_more_threads_than_cores_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    _, threads = check_processor()
    assert threads.condition is Condition.NOTE


def test_scan_and_products_are_named_with_their_reasons() -> None:
    device, scan, products = check_device(Settings(device="cpu"))
    assert (device.condition, scan.condition, products.condition) == (Condition.OK, Condition.OK, Condition.OK)
    assert scan.detail.startswith("compiled: on a CPU")
    assert products.detail.startswith(("bfloat16: this processor", "float32: this processor"))


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_a_problem(device: str) -> None:
    (found,) = check_device(Settings(device=device))
    assert found.condition is Condition.PROBLEM
    assert "VTT_DEVICE" in str(found.remedy)


def test_kernels_that_are_preferred_and_not_used_are_noted() -> None:
    from vtt_core.fusion.scan_choice import prefer_scan

    try:
        _, scan, _ = check_device(Settings(device="cpu", scan_kernels="mamba-ssm"))
    finally:
        prefer_scan("reproducible")
    assert scan.condition is Condition.NOTE
    assert "although VTT_SCAN_KERNELS is mamba-ssm" in scan.detail


@pytest.mark.parametrize(
    ("backbone_id", "condition"),
    [
        ("mini", Condition.OK),
        ("ViT-B-16/random", Condition.OK),
        ("ViT-B-61/openai", Condition.PROBLEM),
        ("ViT-B-16//nowhere/weights.safetensors", Condition.PROBLEM),
    ],
)
def test_the_weights_of_the_default_backbone_are_looked_for(backbone_id: str, condition: Condition) -> None:
    assert check_weights(Settings(default_backbone=backbone_id)).condition is condition


@pytest.mark.parametrize(("is_offline", "condition"), [(True, Condition.PROBLEM), (False, Condition.NOTE)])
def test_weights_that_are_not_here_are_a_problem_only_without_downloads(
    monkeypatch: pytest.MonkeyPatch, is_offline: bool, condition: Condition
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", is_offline)
    monkeypatch.setattr("vtt_core.backbones.weight_cache.try_to_load_from_cache", lambda *_: None)
    assert check_weights(Settings(default_backbone="ViT-L-14/openai")).condition is condition
