"""Load a backbone by its id: bundled, published, local or with random weights."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from vtt_core.backbones.backbone import CLIP_MEAN, CLIP_STD, Backbone
from vtt_core.backbones.catalogue import MINI_CONFIG, why_unsupported
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.backbones.tokenizer import Tokenize, make_hub_tokenize, make_tokenize
from vtt_core.backbones.unset_weights import UnsetWeights
from vtt_core.contract.backbones import MINI, RANDOM_TAG, WEIGHT_FILE_SUFFIX, check_backbone_id, split_backbone_id
from vtt_core.contract.errors import BackboneUnavailableError, UnsupportedBackboneError
from vtt_core.contract.manifest import Preprocessing

RANDOM_WEIGHTS_SEED = 0


def load_backbone(backbone_id: str, *, device: str = "cpu") -> Backbone:
    """Return a frozen backbone in float32.

    Args:
        backbone_id: `mini`, `name/tag` of open_clip, `name/random`, or `name//path/of/weights.safetensors`.
        device: torch device.

    Raises:
        UnknownBackboneError: no backbone has this id.
        UnsupportedBackboneError: its towers are not supported.
        BackboneUnavailableError: its weights or its tokenizer are neither on a hub nor in a cache or file.
    """
    if backbone_id == MINI:
        return backbone_from_files(MINI, MINI_CONFIG, MINI_CONFIG.with_name("weights.safetensors"), device=device)
    check_backbone_id(backbone_id)
    name, tag = split_backbone_id(backbone_id)
    config = {**open_clip.get_model_config(name), **_normalisation(name, tag)}
    _check_supported(config, backbone_id)
    tokenize = _make_tokenize(config["text_cfg"], backbone_id, knows_words=tag != RANDOM_TAG)
    if tag == RANDOM_TAG:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_WEIGHTS_SEED)
            clip = open_clip.create_model(name, load_weights=False)
    elif tag.endswith(WEIGHT_FILE_SUFFIX):
        with UnsetWeights():
            clip = open_clip.create_model(name, load_weights=False)
        load_weights(clip, Path(tag), backbone_id)
    else:
        clip = _published(name, tag, backbone_id)
        config["quick_gelu"] = config.get("quick_gelu", False) or _needs_quick_gelu(name, tag)
    return _wrap(backbone_id, clip, config, tokenize, device)


def backbone_from_files(backbone_id: str, config_file: Path, weight_file: Path | None, *, device: str = "cpu") -> Backbone:
    """Return a backbone from an open_clip JSON configuration and a safetensors file.

    Args:
        backbone_id: id to give it.
        config_file: configuration in open_clip's format.
        weight_file: weights of any float type, or None for random ones from torch's global generator.
        device: torch device.
    """
    config = json.loads(config_file.read_text(encoding="utf-8"))
    _check_supported(config, backbone_id)
    tokenize = _make_tokenize(config["text_cfg"], backbone_id, knows_words=weight_file is not None)
    model_class = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    with nullcontext() if weight_file is None else UnsetWeights():
        clip = model_class(config["embed_dim"], config["vision_cfg"], config["text_cfg"], config.get("quick_gelu", False))
    if weight_file is not None:
        load_weights(clip, weight_file, backbone_id)
    return _wrap(backbone_id, clip, config, tokenize, device)


def load_weights(clip: Any, weight_file: Path, backbone_id: str) -> None:
    """Load a safetensors file into the model. The names must match exactly.

    Raises:
        BackboneUnavailableError: the file is missing, damaged or for another architecture.
    """
    try:
        clip.load_state_dict({name: tensor.float() for name, tensor in load_file(weight_file).items()}, strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BackboneUnavailableError(
            expected=f"a safetensors file with the weights of {backbone_id!r}",
            got=f"{type(error).__name__}: {str(error)[:300]}",
            remedy="Give the path of a file that open_clip's model of this name can load",
        ) from error


def _published(name: str, tag: str, backbone_id: str) -> Any:
    """Load weights with open_clip, from its hub or the hub's cache.

    The tag decides the activation: OpenAI's weights were trained with QuickGELU, even if the model's name does not say so.
    open_clip by itself would use another one.
    """
    force = _needs_quick_gelu(name, tag)
    try:
        return open_clip.create_model(name, pretrained=tag, require_pretrained=True, force_quick_gelu=force)
    except Exception as error:  # hub libraries raise many kinds of errors; all mean the same here
        raise BackboneUnavailableError(
            expected=f"the weights of {backbone_id!r} from a hub or a cache",
            got=f"{type(error).__name__}: {str(error)[:300]}",
            remedy=(
                "Allow this machine to reach the hub, or copy a filled cache to the folder that HF_HOME names "
                "and set HF_HUB_OFFLINE=1, "
                f"or name a local file as '{name}//path/to/weights.safetensors', or use the bundled 'mini'"
            ),
        ) from error


def _needs_quick_gelu(name: str, tag: str) -> bool:
    return bool((open_clip.get_pretrained_cfg(name, tag) or {}).get("quick_gelu"))


def _normalisation(name: str, tag: str) -> dict[str, tuple[float, ...]]:
    """Return the channel mean and deviation of a published model, if they are not CLIP's.

    A local file or random weights use those of the name's published weights, if these all agree.
    """
    tags = [tag] if open_clip.get_pretrained_cfg(name, tag) else open_clip.list_pretrained_tags_by_model(name)
    published = [open_clip.get_pretrained_cfg(name, known) for known in tags]
    normalisation = {}
    for key in ("mean", "std"):
        values = {tuple(weights[key]) if weights.get(key) is not None else None for weights in published}
        if len(values) == 1 and (value := values.pop()) is not None:
            normalisation[key] = value
    return normalisation


def _make_tokenize(text_config: dict[str, Any], backbone_id: str, *, knows_words: bool) -> Tokenize:
    """Return the tokenizer of a model's weights. Random weights know no words, and use the bundled tokenizer."""
    if not knows_words:
        return make_tokenize(text_config["context_length"], text_config.get("vocab_size"))
    if "hf_tokenizer_name" in text_config:
        return make_hub_tokenize(text_config, backbone_id)
    return make_tokenize(text_config["context_length"])


def _check_supported(config: dict[str, Any], backbone_id: str) -> None:
    reason = why_unsupported(config)
    if reason is not None:
        raise UnsupportedBackboneError(
            expected=(
                "CLIP's own ViT or a timm ViT whose layers of q, k and v can be adapted, and a text tower of open_clip's "
                "with text width equal to the joint size"
            ),
            got=f"{backbone_id!r}: {reason}",
            remedy="Choose a backbone that `vtt backbones` lists",
        )


def _wrap(backbone_id: str, clip: Any, config: dict[str, Any], tokenize: Tokenize, device: str) -> Backbone:
    preprocessing = Preprocessing(
        side_pixels=config["vision_cfg"]["image_size"],
        resize="squash",
        interpolation="bilinear",
        mean=tuple(config.get("mean", CLIP_MEAN)),
        std=tuple(config.get("std", CLIP_STD)),
    )
    if device.startswith("cuda"):
        use_tensor_cores()
    return Backbone(backbone_id, clip.to(device=device, dtype=torch.float32), tokenize, preprocessing, config)


def use_tensor_cores() -> None:
    """Let CUDA round the factors of float32 products to 10 bits (TF32): tensor cores multiply these five times as fast.

    Sums and all stored values stay float32, so nothing overflows and losses need no scaling. (bf16 would round to 7 bits.)
    """
    torch.backends.cuda.matmul.fp32_precision = "tf32"
