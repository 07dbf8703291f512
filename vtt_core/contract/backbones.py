"""List the backbones and check their ids, without importing torch.

A backbone id is `mini`, or `name/tag` with an open_clip model name and one of: a pretrained tag of
open_clip, `random` (seeded random weights, for measurements; they know no words, so they read with the
bundled tokenizer), or the path of a local safetensors file.
The list of names and tags is generated from open_clip by `python -m vtt_core.backbones.catalogue`.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

from vtt_core.contract.errors import UnknownBackboneError

MINI = "mini"
RANDOM_TAG = "random"
WEIGHT_FILE_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class BackboneEntry:
    """One backbone with published weights."""

    backbone_id: str
    image_side_pixels: int
    joint_size: int
    """Size of the embedding that images and texts share."""
    num_vision_layers: int
    num_text_layers: int
    is_bundled: bool
    """Whether its weights are in the package; the others come from a hub, a cache or a file."""
    description: str
    num_text_positions: int
    """Tokens of a prompt that the text tower reads, start and end of text among them."""
    has_hub_tokenizer: bool
    """Whether its tokenizer is a hub's; otherwise it is CLIP's, which is bundled."""
    cleaning: str
    """What its tokenizer does to a prompt first: `lower`, `canonicalize` or `whitespace`, see labels/prompt_text.py."""
    num_vision_weights: int
    """Numbers in its vision tower."""
    hub_path: str = ""
    """Where its weights are on the Hugging Face hub: `owner/repository/`, with a file name where there are several."""
    clip_model_gap: str = ""
    """Why `transformers.CLIPModel` cannot hold it; empty if it can."""


class Weights(StrEnum):
    """Where the weights of a backbone are, as the workers see it."""

    BUNDLED = "bundled"
    """In this package."""
    CACHED = "cached"
    """In the cache of at least one worker."""
    DOWNLOADABLE = "downloadable"
    """On the hub; a worker downloads them when a job needs them."""
    OUT_OF_REACH = "out_of_reach"
    """No live worker has them, and none can get them."""
    UNKNOWN = "unknown"
    """No worker is alive that could tell."""


@lru_cache(maxsize=1)
def catalogue() -> tuple[BackboneEntry, ...]:
    """Return every backbone with published weights, the bundled one first."""
    text = files("vtt_core.contract").joinpath("open_clip_backbones.json").read_text(encoding="utf-8")
    return tuple(BackboneEntry(**entry) for entry in json.loads(text))


def model_card(entry: BackboneEntry) -> str | None:
    """Return the Markdown card of a bundled backbone; those of the others are where they were published."""
    if not entry.is_bundled:
        return None
    return files("vtt_core").joinpath("backbones", entry.backbone_id, "CARD.md").read_text(encoding="utf-8")


def split_backbone_id(backbone_id: str) -> tuple[str, str]:
    """Return (name, tag); the tag of the bundled backbone is empty."""
    name, _, tag = backbone_id.partition("/")
    return name, tag


def check_backbone_id(backbone_id: str) -> None:
    """Refuse an id that no backbone has, without looking for its weights.

    Raises:
        UnknownBackboneError: the name or the tag is unknown; the error names similar ones.
    """
    name, tag = split_backbone_id(backbone_id)
    names = {split_backbone_id(entry.backbone_id)[0] for entry in catalogue()} - {MINI}
    if name in names and (tag == RANDOM_TAG or tag.endswith(WEIGHT_FILE_SUFFIX)):
        return
    check_catalogue_id(backbone_id)


def check_catalogue_id(backbone_id: str) -> None:
    """Refuse an id that the catalogue does not list, such as that of a local file.

    A client of the service must not name files of the machine that it runs on.

    Raises:
        UnknownBackboneError: it is not listed; the error names similar ones.
    """
    known = {entry.backbone_id for entry in catalogue()}
    if backbone_id in known:
        return
    near = difflib.get_close_matches(backbone_id, sorted(known), n=3, cutoff=0.4) or [MINI, "ViT-B-16-quickgelu/openai"]
    raise UnknownBackboneError(
        expected="'mini' or 'name/tag' of an open_clip model with a ViT tower, such as " + ", ".join(map(repr, near)),
        got=repr(backbone_id[:200]),
        remedy="Choose one that `vtt backbones` or GET /v1/backbones lists",
    )
