"""Write a small recording in the format that `replay` reads, with this project's plain reference.

    python -m tests.reference.record DIR

It was written once, after `replay` had confirmed the same code on values recorded from the released
implementation, and keeps the method from drifting where those are absent. Weights and images are rounded to
float16 so that the files stay small; everything else is float64.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from tests.reference.recording import (
    FUSION_NAMES,
    SCALARS_FILE,
    VALUES_FILE,
    WEIGHTS_FILE,
    Recording,
    recorded_backbone,
    recorded_fusion,
)
from tests.reference.replay import recorded_problem, recorded_recipe, recorded_start, run_trajectory
from vtt_core.absorption.prompt import absorb, make_absorption_prompt
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.dgso.projection import conflict_cosine, project_out
from vtt_core.fusion.network import FusionNetwork
from vtt_core.lora.layers import TowerLora

WIDTH, NUM_LAYERS, SIDE, PATCH, CONTEXT, VOCABULARY, STATE_SIZE = 64, 4, 16, 8, 12, 32, 8
NUM_STEPS, GRID = 2 * NUM_LAYERS + 1, 3
LABELS = ["red", "green", "blue"]
WORDS = ["a", "photo", "of", ".", "x", *LABELS]
TRAJECTORIES: dict[str, dict[str, float]] = {
    "short_pass": {"shot": 4, "iterations": 6, "window": 50, "lr": 2e-4, "fusion_lr": 5e-4},
    "switches_off": {"shot": 1, "iterations": 18, "window": 2, "lr": 8e-3, "fusion_lr": 5e-3},
}
VIEWS_PER_IMAGE = 3
KEPT_FUSION = ("residual_proj.weight", "pos_embed", "block.A_log", "block.D", "block.out_proj.weight")
"""Fusion tensors whose final value is kept; the others would only make the file larger."""


def record(folder: Path) -> None:
    """Draw weights and inputs, run the method, write the three files."""
    torch.manual_seed(20)
    weights = {name: tensor.half().contiguous() for name, tensor in _draw_weights().items()}
    words = {word: index + 1 for index, word in enumerate(WORDS)}
    scalars: dict[str, Any] = {
        "tokenizer": {"words": words, "start": VOCABULARY - 2, "end": VOCABULARY - 1, "context_length": CONTEXT}
    }
    recording = Recording({name: tensor.double() for name, tensor in weights.items()}, {}, scalars)
    recording.tensors.update(_features(recording))
    recording.tensors.update(_fusion(recording))
    recording.tensors.update(_absorption(recording))
    recording.tensors.update(_projection(scalars))
    for name, settings in TRAJECTORIES.items():
        recording.tensors.update(_trajectory(recording, name, settings))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / WEIGHTS_FILE)
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in recording.tensors.items()},
        folder / VALUES_FILE,
    )
    (folder / SCALARS_FILE).write_text(json.dumps(scalars, indent=1) + "\n", encoding="utf-8")


def _draw_weights() -> dict[str, Tensor]:
    clip = open_clip.CLIP(
        WIDTH,
        {"image_size": SIDE, "patch_size": PATCH, "width": WIDTH, "layers": NUM_LAYERS, "head_width": 64},
        {"context_length": CONTEXT, "vocab_size": VOCABULARY, "width": WIDTH, "heads": 2, "layers": NUM_LAYERS},
        quick_gelu=True,
    )
    fusion = FusionNetwork(NUM_STEPS, WIDTH, state_size=STATE_SIZE, step_rank=STATE_SIZE)
    weights = {f"clip.{name}": tensor for name, tensor in clip.state_dict().items()}
    weights |= {f"fusion.{name}": tensor for name, tensor in _as_recorded(fusion.state_dict())}
    return weights


def _as_recorded(tensors: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Give fusion tensors the recorded names and layouts; the inverse of `recording.fusion_tensor`."""
    recorded_names = {ours: recorded for recorded, ours in FUSION_NAMES.items()}
    for name, tensor in tensors.items():
        if name.startswith("stem_norm"):
            tensor = tensor.t().reshape(-1, GRID, GRID)
        elif name in {"stem_in.weight", "stem_out.weight"}:
            tensor = tensor[..., None, None]
        elif name == "pos_embed":
            tensor = tensor[None]
        yield recorded_names.get(name, name), tensor


def _rounded(*shape: int) -> Tensor:
    """Draw normal numbers that float16 holds exactly."""
    return torch.randn(*shape).half().double()


def _features(recording: Recording) -> Iterator[tuple[str, Tensor]]:
    backbone = recorded_backbone(recording)
    images, tokens = _rounded(2, 3, SIDE, SIDE), backbone.tokenize([f"a photo of a {label}." for label in LABELS])
    vision_BLD, text_CLD = backbone.vision_tower.layer_features(images), backbone.text_tower.layer_features(tokens)
    yield "features.images", images
    yield "features.tokens", tokens
    yield "features.image_layers", vision_BLD
    yield "features.image_final", vision_BLD[:, -1].clone()
    yield "features.text_layers", text_CLD
    yield "features.text_final", text_CLD[:, -1].clone()


def _fusion(recording: Recording) -> Iterator[tuple[str, Tensor]]:
    network = recorded_fusion(recording)
    tokens, cotangent = _rounded(2, NUM_STEPS, WIDTH).requires_grad_(), _rounded(2, WIDTH)
    output = network(tokens)
    output.backward(cotangent)
    assert tokens.grad is not None
    yield "fusion_io.tokens", tokens.detach()
    yield "fusion_io.cotangent", cotangent
    yield "fusion_io.output", output.detach()
    yield "fusion_io.tokens_grad", tokens.grad
    gradients = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    for name, gradient in _as_recorded(gradients):
        yield f"fusion_io.grad.{name}", gradient


def _absorption(recording: Recording) -> Iterator[tuple[str, Tensor]]:
    backbone, recipe = recorded_backbone(recording), FinetuneRecipe()
    prompt = make_absorption_prompt(backbone, recipe.prompt_template, recipe.placeholder)
    vector, cotangent = _rounded(2, WIDTH).requires_grad_(), _rounded(2, WIDTH)
    output = absorb(backbone.text_tower, prompt, vector)
    output.backward(cotangent)
    assert vector.grad is not None
    yield "absorption.tokens", backbone.tokenize([recipe.prompt_template.format(recipe.placeholder)] * 2)
    yield "absorption.absorption_token", vector.detach()
    yield "absorption.cotangent", cotangent
    yield "absorption.output", output.detach()
    yield "absorption.absorption_token_grad", vector.grad


def _projection(scalars: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    beta, cosines = 7, []
    for name, shape in {"lora_a": (4, 6), "lora_b": (3, 4), "other": (2,)}.items():
        gradient_ce, gradient_vtt = _rounded(*shape), _rounded(*shape)
        combined = gradient_ce + beta * gradient_vtt
        if name.startswith("lora"):
            cosine = conflict_cosine(combined, gradient_ce)
            cosines.append(cosine)
            combined = project_out(combined, gradient_ce, cosine)
        yield f"dgso.grad_ce.{name}", gradient_ce
        yield f"dgso.grad_vtt.{name}", gradient_vtt
        yield f"dgso.projected.{name}", combined
    scalars["dgso"] = {"beta": beta, "mean_cosine": torch.stack(cosines).mean().item()}


def _trajectory(recording: Recording, name: str, settings: dict[str, float]) -> Iterator[tuple[str, Tensor]]:
    shot = int(settings["shot"])
    num_views = VIEWS_PER_IMAGE * shot * len(LABELS)
    scalars: dict[str, Any] = {"way": len(LABELS), "beta": 7, "rank": 2, "alpha": 4, "batch_size": 25, **settings}
    passes = -(-int(settings["iterations"]) // -(-num_views // 25))
    scalars["permutations"] = [torch.randperm(num_views).tolist() for _ in range(passes)]
    recipe = recorded_recipe(scalars)
    backbone = recorded_backbone(recording)
    values = {
        "support_images": _rounded(num_views, 3, SIDE, SIDE),
        "support_labels": torch.arange(len(LABELS)).repeat_interleave(shot).repeat(VIEWS_PER_IMAGE),
        "query_images": _rounded(5, 3, SIDE, SIDE),
        "class_tokens": backbone.tokenize([f"a photo of a {label}." for label in LABELS]),
    }
    lora = TowerLora(NUM_LAYERS, WIDTH, recipe.rank, recipe.scaling).double()
    values |= {f"lora_init.{_recorded_lora_name(key)}": tensor.clone() for key, tensor in lora.matrices().items()}
    data = recorded_problem(recording, values, recipe)
    state = recorded_start(recording, values, data, recipe)
    scalars |= run_trajectory(data, state, recipe, scalars["permutations"])
    recording.scalars[name] = scalars
    values |= {f"lora_final.{_recorded_lora_name(key)}": tensor.detach() for key, tensor in state.lora.matrices().items()}
    kept = {key: tensor for key, tensor in state.fusion.state_dict().items() if key in KEPT_FUSION}
    values |= {f"fusion_final.{key}": tensor for key, tensor in _as_recorded(kept)}
    with torch.no_grad():
        features_BD = backbone.vision_tower.features(values["query_images"], state.lora)
    values["query_cosine"] = functional.normalize(features_BD, dim=-1) @ data.prototypes_CD.t()
    yield from ((f"trajectory.{name}.{key}", tensor) for key, tensor in values.items())


def _recorded_lora_name(ours: str) -> str:
    """`layers.0.k_proj.lora_A` -> `visual.transformer.resblocks.0.attn.k_proj.w_lora_A`."""
    _, layer, projection, half = ours.split(".")
    return f"visual.transformer.resblocks.{layer}.attn.{projection}.w_{half}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.reference.record DIR")
    record(Path(sys.argv[1]))
