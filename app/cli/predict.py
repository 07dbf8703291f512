"""`vtt predict`: classify images with an adapter on disk, with no service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import BAD_INPUT_EXIT, write_json, write_rejection
from app.domain.errors import error_facts
from vtt_core.contract.errors import InputError, NotAnImageError
from vtt_core.contract.limits import DEFAULT_LIMITS


def predict(
    adapter: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `vtt adapt` wrote.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images to classify.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Print label probabilities for each image.

    Images that cannot be used are named, the others are classified, and the exit code is 2.
    """
    results = run_predict(adapter, images, device=device)
    if as_json:
        write_json({"predictions": results})
    else:
        for result in results:
            if "probabilities" in result:
                best = list(result["probabilities"].items())[:3]
                typer.echo(f"{result['image']}: " + ", ".join(f"{label} {100 * share:.1f} %" for label, share in best))
    if any("error" in result for result in results):
        raise typer.Exit(BAD_INPUT_EXIT)


def run_predict(folder: Path, image_paths: list[Path], *, device: str = "auto") -> list[dict[str, Any]]:
    """Return the probabilities of each image, highest first, or the reason why it cannot be used.

    Args:
        folder: of the adapter.
        image_paths: of the images.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        AdapterFormatError: the folder is no readable adapter.
        BackboneMismatchError: the backbone has other weights than the adapter was made for.
    """
    # torch takes seconds to import; `vtt --help` and the service's control role do without it.
    from vtt_core.adapter.classify import classify  # noqa: PLC0415
    from vtt_core.adapter.files import load_adapter  # noqa: PLC0415
    from vtt_core.backbones.device import resolve_device  # noqa: PLC0415
    from vtt_core.backbones.load import load_backbone  # noqa: PLC0415
    from vtt_core.ingest.decode import decode_image  # noqa: PLC0415

    adapter = load_adapter(folder)
    backbone = load_backbone(adapter.manifest.backbone_id, device=resolve_device(device))
    results: list[dict[str, Any]] = []
    for path in image_paths:
        try:
            image = decode_image(read_image_file(path))
        except InputError as error:
            write_rejection(str(path), error)
            results.append({"image": str(path), "error": error_facts(error)})
            continue
        shares = classify(backbone, adapter, [image])[0].tolist()
        ranked = sorted(zip(adapter.manifest.labels, shares, strict=True), key=lambda pair: -pair[1])
        results.append({"image": str(path), "probabilities": dict(ranked)})
    return results


def read_image_file(path: Path) -> bytes:
    """Read one image file, and of one that is too large only enough to tell."""
    try:
        with path.open("rb") as file:
            return file.read(DEFAULT_LIMITS.max_image_bytes + 1)
    except OSError as error:
        raise NotAnImageError(
            expected="a readable image file", got=f"{str(path)!r}: {error.strerror or error}", remedy="Check the path"
        ) from error
