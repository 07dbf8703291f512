"""Say how to make a model again: as a request to the service, and as a command."""

from __future__ import annotations

import json
import shlex
from typing import Any

from vtt_core.contract.errors import InputError
from vtt_core.contract.manifest import AdapterManifest
from vtt_core.contract.method_spec import parse_spec
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe


def request_for(manifest: AdapterManifest, asked_method: str | None, support_set_id: str) -> str:
    """Return the request that starts the job again.

    Args:
        manifest: of the model.
        asked_method: of the job, `auto` for example; None for the one in the manifest.
        support_set_id: of the images.
    """
    asked = _asked(manifest, asked_method)
    changes = _changes(asked, manifest.backbone_id)
    body: dict[str, Any] = {
        "support_set_id": support_set_id,
        "backbone": manifest.backbone_id,
        "method": asked.method,
        **({"recipe": changes} if changes else {}),
        "seed": manifest.seed,
    }
    return "POST /v1/jobs\nContent-Type: application/json\n\n" + json.dumps(body, indent=2, ensure_ascii=False)


def command_for(manifest: AdapterManifest, asked_method: str | None, *, has_groups: bool, has_negatives: bool) -> str | None:
    """Return the command that makes the adapter again from a folder of the same images.

    Args:
        manifest: of the model.
        asked_method: as above.
        has_groups: whether groups were named.
        has_negatives: whether there is a negative class.

    Returns:
        The command; None where a value of the recipe cannot be written in a method spec.
    """
    asked = _asked(manifest, asked_method)
    assignments = "".join(f":{name}={value}" for name, value in _changes(asked, manifest.backbone_id).items())
    spec = f"{asked.method}{assignments}"
    try:
        if parse_spec(spec, (), backbone_id=manifest.backbone_id).recipe != asked:
            return None
    except InputError:
        return None
    words = ["vtt", "adapt", "FOLDER", "--out", "DIR", "--backbone", manifest.backbone_id, "--method", spec]
    words += ["--seed", str(manifest.seed)]
    words += (
        ["--bands", ",".join(map(str, manifest.bands.bands)), "--stretch", "LOW,HIGH"] if manifest.bands is not None else []
    )
    words += ["--groups", "FILE"] if has_groups else []
    words += ["--negative", "LABEL"] if has_negatives else []
    return shlex.join(words)


def _asked(manifest: AdapterManifest, asked_method: str | None) -> FinetuneRecipe:
    method = {} if asked_method is None else {"method": asked_method}
    return FinetuneRecipe.from_json({**manifest.recipe, **method})


def _changes(asked: FinetuneRecipe, backbone_id: str) -> dict[str, Any]:
    """Return the fields that differ from the recipe that the method has by default."""
    default = make_recipe(asked.method, backbone_id=backbone_id).to_json()
    return {name: value for name, value in asked.to_json().items() if value != default[name]}
