"""Say where the weights of a backbone come from, and under which licence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from vtt_core.backbones.weight_cache import WEIGHT_FILES
from vtt_core.contract.backbones import MINI, RANDOM_TAG, catalogue, split_backbone_id

TRANSFORMERS_REPOSITORIES = {
    "ViT-B-32/openai": "openai/clip-vit-base-patch32",
    "ViT-B-32-quickgelu/openai": "openai/clip-vit-base-patch32",
    "ViT-B-16/openai": "openai/clip-vit-base-patch16",
    "ViT-B-16-quickgelu/openai": "openai/clip-vit-base-patch16",
    "ViT-L-14/openai": "openai/clip-vit-large-patch14",
    "ViT-L-14-quickgelu/openai": "openai/clip-vit-large-patch14",
    "ViT-L-14-336/openai": "openai/clip-vit-large-patch14-336",
    "ViT-L-14-336-quickgelu/openai": "openai/clip-vit-large-patch14-336",
    "ViT-B-32/laion2b_s34b_b79k": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "ViT-L-14/laion2b_s32b_b82k": "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    "ViT-H-14/laion2b_s32b_b79k": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
}
"""Repositories with the same weights in the layout of `transformers.CLIPModel`, by backbone id.

Checked against the hub's pages and published code that loads `CLIPModel` from them. Left out:
laion/CLIP-ViT-B-16-laion2B-s34B-b88K, whose page at commit 7288da5 names open_clip as its only library.
"""
LICENCES = (
    ("openai", "MIT, as OpenAI published them (the copy that open_clip downloads is marked Apache-2.0)"),
    ("laion", "MIT"),
    ("datacomp_", "MIT"),
    ("datacomp1b", "MIT"),
    ("commonpool", "MIT"),
    ("webli", "Apache-2.0"),
    ("meta", "Apache-2.0"),
    ("metaclip", "CC-BY-NC-4.0"),
    ("dfn2b", "Apple's own (apple-amlr, for research only)"),
    ("dfn5b", "Apple's own (apple-amlr, for research only)"),
)
"""Licence of published weights, by the beginning of their tag; the longest that fits counts.

Checked against:
    openai: LICENSE of github.com/openai/CLIP; the pages timm/vit_base_patch32_clip_224.openai and the like say Apache-2.0.
    laion, datacomp_, commonpool: pages of laion's repositories; for laion400m, `license` in timm 1.0's vision_transformer.py.
    datacomp1b (ViTamin): `license` in timm's vitamin.py.
    webli: pages timm/ViT-B-16-SigLIP, timm/ViT-L-16-SigLIP-256 and timm/ViT-B-16-SigLIP2-512.
    meta (PE-Core): docs.voxel51.com, which quotes github.com/facebookresearch/perception_models.
    metaclip: pages timm/vit_base_patch16_clip_224.metaclip_400m and facebook/metaclip-*; for metaclip2, timm.
    dfn2b, dfn5b: pages apple/DFN2B-CLIP-ViT-B-16, -L-14 and apple/DFN5B-CLIP-ViT-H-14; timm has their older apple-ascl.
    Not found, so not stated: Apple's MobileCLIP (datacompdr, dfndr2b).
"""
UNKNOWN_LICENCE = "not known to this program: read it where the weights were published"


def origin_of(backbone_id: str, weight_sha256: str) -> dict[str, Any]:
    """Return id, weights, repository, revision and licence of a backbone as JSON values.

    Args:
        backbone_id: as in the manifest.
        weight_sha256: hash of its weights, which names them exactly.
    """
    entry = next((entry for entry in catalogue() if entry.backbone_id == backbone_id), None)
    repository = entry.hub_path.rpartition("/")[0] if entry is not None else ""
    return {
        "backbone_id": backbone_id,
        "weights_sha256": weight_sha256,
        "repository": repository or None,
        "revision": _cached_revision(repository),
        "transformers_repository": TRANSFORMERS_REPOSITORIES.get(backbone_id),
        "licence": licence_of(backbone_id),
    }


def licence_of(backbone_id: str) -> str:
    """Return the licence of a backbone's weights."""
    name, tag = split_backbone_id(backbone_id)
    if name == MINI:
        return "Apache-2.0"
    if tag == RANDOM_TAG:
        return "none: random weights"
    fitting = [(len(start), licence) for start, licence in LICENCES if tag.startswith(start)]
    return max(fitting)[1] if fitting and "/" not in tag else UNKNOWN_LICENCE


def _cached_revision(repository: str) -> str | None:
    """Return the commit of the cached weights, which is the name of their folder in the hub's cache; None if none are there."""
    if not repository:
        return None
    for name in WEIGHT_FILES:
        file = try_to_load_from_cache(repository, name)
        if isinstance(file, str):
            return Path(file).parent.name
    return None
