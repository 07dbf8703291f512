"""What the commands of `vtt bench` share: options, the backbone, and what a time depends on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vtt_core.contract.backbones import MINI, RANDOM_TAG
from vtt_core.contract.cores import usable_cores

if TYPE_CHECKING:
    from vtt_core.backbones.backbone import Backbone

BackboneOption = Annotated[
    str, typer.Option(metavar="ID", help="Backbone, `name/random` for random weights, or an open_clip JSON configuration.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
ThreadsOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="Cores to use; without it, as torch does.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
ALLOCATOR_VARIABLES = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX")
"""Environment variables that change how memory is allocated, which changes times."""


def use_threads(threads: int | None) -> int:
    """Let torch use so many threads, or leave its choice; return the number."""
    import torch  # noqa: PLC0415  (see load_for_bench)

    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def load_for_bench(backbone: str, device: str = "cpu") -> Backbone:
    """Return a backbone by its id, or one with random weights by its open_clip configuration."""
    # torch takes seconds to import; other commands do without.
    from vtt_core.backbones.load import RANDOM_WEIGHTS_SEED, backbone_from_files, load_backbone  # noqa: PLC0415
    from vtt_core.training.seeding import seeded  # noqa: PLC0415

    if backbone != MINI and "/" not in backbone and not backbone.endswith(".json"):
        backbone = f"{backbone}/{RANDOM_TAG}"
    if backbone.endswith(".json") and Path(backbone).is_file():
        with seeded(RANDOM_WEIGHTS_SEED, "weights"):  # a resumed run needs the same weights
            return backbone_from_files(Path(backbone).stem, Path(backbone), None, device=device)
    return load_backbone(backbone, device=device)


def conditions(torch: Any, num_threads: int) -> dict[str, Any]:
    """Return what a time depends on besides the code."""
    allocator = {name: os.environ[name] for name in ALLOCATOR_VARIABLES if name in os.environ}
    return {
        "threads": num_threads,
        "cores": usable_cores(),
        "torch": torch.__version__,
        "processor": processor_name(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "allocator": allocator or "the C library's, unchanged",
    }


def products_of(backbone: Backbone) -> dict[str, str]:
    """Return the arithmetic of products with the backbone's frozen weights in a tuned fine-tuning, and why it is that."""
    from vtt_core.backbones.product_choice import choose_products  # noqa: PLC0415  (see load_for_bench)

    chosen = choose_products("fastest", backbone.device, backbone.dtype)
    return {"name": chosen.name, "reason": chosen.reason}


def processor_name() -> str:
    """Return the name that the system gives its processor."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_ratios(console: Console, result: dict[str, Any]) -> None:
    """Print the ratios of a result with the middle half of their rounds."""
    ratios = Table("ratio", "median", "middle half", box=None, header_style="bold")
    for name, (lower, upper) in result["ratio_quartiles"].items():
        ratios.add_row(name, f"{result[name]:.3f}", f"{lower:.3f} - {upper:.3f}")
    console.print(ratios)
