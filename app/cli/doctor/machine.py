"""Check what computes: cores, the instructions of the processor, the device, the scan, and the weights of the backbone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from app.cli.backbones import weights_here
from app.cli.doctor.findings import Finding, note, ok, problem
from app.infra.settings import Settings
from vtt_core.contract.backbones import MINI, RANDOM_TAG, Weights, catalogue, check_backbone_id, split_backbone_id
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.errors import UnknownBackboneError

INSTRUCTIONS = {
    "AVX2": "avx2",
    "AVX512": "avx512_f",
    "AVX512-bf16": "avx512_bf16",
    "AMX": "amx_tile",
    "AMX-bf16": "amx_bf16",
}
"""What people call a set of instructions -> what torch calls it."""


def check_processor() -> Iterator[Finding]:
    """Say which instructions torch uses on this processor, and with how many threads."""
    import torch  # noqa: PLC0415  (takes seconds; the checks before this one are shown without waiting)

    found = torch.cpu.get_capabilities()
    there = ", ".join(shown for shown, name in INSTRUCTIONS.items() if found.get(name)) or "none of those that torch uses most"
    used = torch.backends.cpu.get_cpu_capability()
    detail = f"{found.get('cpu_name', 'unknown')}, torch's kernels are {used}; it has {there}"
    if used in {"DEFAULT", "NO AVX"} and found.get("architecture") == "x86_64":
        yield note("processor", detail, "Expect long times: take a machine whose processor has AVX2")
    else:
        yield ok("processor", detail)
    cores, threads = usable_cores(), os.environ.get("OMP_NUM_THREADS", "not set")
    if threads.isdecimal() and int(threads) > cores:
        yield note("threads", f"OMP_NUM_THREADS is {threads}, {cores} cores are usable", "Unset OMP_NUM_THREADS, or lower it")
    else:
        yield ok("threads", f"{threads} for each process, {cores} usable cores")


def check_device(settings: Settings) -> Iterator[Finding]:
    """Check that the device of the settings is there, and say what runs the scan and the products on it."""
    import torch  # noqa: PLC0415

    from vtt_core.backbones.device import resolve_device  # noqa: PLC0415
    from vtt_core.backbones.product_choice import choose_products  # noqa: PLC0415
    from vtt_core.fusion.scan_choice import choose_scan, prefer_scan  # noqa: PLC0415

    name = resolve_device(settings.device)
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0][:200]
        yield problem(
            "device", f"{settings.device!r} cannot be used: {reason}", "Set VTT_DEVICE to auto or cpu, or install the driver"
        )
        return
    gpu = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    yield ok("device", f"{name}{gpu}, from the setting {settings.device!r}")
    prefer_scan(settings.scan_kernels)
    scan = choose_scan(device)
    if settings.scan_kernels == "mamba-ssm" and scan.name != "mamba-ssm":
        detail = f"{scan.name}, although VTT_SCAN_KERNELS is mamba-ssm: {scan.reason}"
        yield note("scan", detail, "Unset VTT_SCAN_KERNELS, or install the extra cuda on a machine with a GPU")
    else:
        yield ok("scan", f"{scan.name}: {scan.reason}")
    products = choose_products("fastest", device)
    yield ok("products", f"{products.name}: {products.reason}")


def check_weights(settings: Settings) -> Finding:
    """Check that the weights of the default backbone are on this machine, or can be downloaded."""
    backbone_id, part = settings.default_backbone, "backbone"
    try:
        check_backbone_id(backbone_id)
    except UnknownBackboneError as error:
        return problem(part, f"VTT_DEFAULT_BACKBONE is {error.got}, which does not exist", error.remedy)
    entry = next((entry for entry in catalogue() if entry.backbone_id == backbone_id), None)
    if entry is None:
        tag = split_backbone_id(backbone_id)[1]
        if tag == RANDOM_TAG or Path(tag).is_file():
            return ok(part, f"{backbone_id}, {'random weights' if tag == RANDOM_TAG else 'weights from that file'}")
        return problem(part, f"{tag!r} is not a file", "Correct the path in VTT_DEFAULT_BACKBONE")
    where = weights_here(entry)
    if where is Weights.OUT_OF_REACH:
        remedy = f"Copy a cache with them to HF_HOME, unset HF_HUB_OFFLINE, or set VTT_DEFAULT_BACKBONE to {MINI}"
        return problem(part, f"the weights of {backbone_id} are not here, and HF_HUB_OFFLINE forbids to download them", remedy)
    if where is Weights.DOWNLOADABLE:
        return note(
            part, f"the weights of {backbone_id} are not here", "None, if this machine may download: the first start does"
        )
    return ok(part, f"{backbone_id}, its weights are {where.value}")
