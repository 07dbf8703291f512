"""The folder that `vtt adapt` writes: made before anything is learnt, and never overwritten unasked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.cli.selection import Selection
from app.domain.errors import AdapterExistsError
from app.infra.data_folder import why_unwritable
from app.reports.data import NEGATIVE, data_digest
from vtt_core.contract.errors import InputError

ADAPTER_FILES = ("manifest.json", "adapter.safetensors")
"""Files of an adapter, repeated here to import no torch; a test compares them with vtt_core/adapter/files.py."""
METRICS_FILE = "metrics.json"
"""Lies beside them: what was measured, and on what; `vtt report` reads it."""


@contextmanager
def made(out: Path) -> Iterator[None]:
    """Make the folder of the adapter; if the block fails before anything is in it, a new folder is removed again."""
    is_new = not out.exists()
    make_out(out)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):
                out.rmdir()
        raise


def make_out(out: Path) -> None:
    """Create the folder of the adapter before anything is trained.

    Raises:
        InputError: it cannot be created or written to.
    """
    reason = why_unwritable(out)
    if reason is not None:
        raise InputError(
            expected="a folder that can be written to", got=f"{str(out)!r} ({reason})", remedy="Choose another --out"
        )


def check_no_adapter(out: Path) -> None:
    """Refuse a folder that holds an adapter; other files in it are left alone.

    Raises:
        AdapterExistsError: it holds one, or it is a file.
    """
    if out.exists() and not out.is_dir():
        raise AdapterExistsError(
            expected="a folder to write the adapter to", got=f"the file {str(out)!r}", remedy="Choose another --out"
        )
    found = [name for name in ADAPTER_FILES if (out / name).exists()]
    if found:
        raise AdapterExistsError(
            expected="a folder without an adapter",
            got=f"{' and '.join(found)} in {str(out)!r}",
            remedy="Choose another --out, or pass --force to overwrite it",
        )


def write_metrics(selection: Selection, metrics: dict[str, Any], out: Path) -> None:
    """Write what was measured, and a digest of what it was measured on."""
    support_set = selection.support_set
    named = [(known.label, image) for known in support_set.classes for image in known.images]
    named += [(NEGATIVE, image) for image in support_set.negatives]
    groups = {image.group for _, image in named if image.group is not None}
    facts = {
        "metrics": metrics,
        "data": {
            "sha256": data_digest((hashlib.sha256(image.encoded).hexdigest(), label) for label, image in named),
            "classes": [{"label": known.label, "num_images": known.shot} for known in support_set.classes],
            "num_groups": len(groups),
            "num_negatives": len(support_set.negatives),
        },
    }
    (out / METRICS_FILE).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
