"""Replay recorded values in float64, with the plain code and with the fast, and print each quantity's relative error.

    python -m tests.reference.replay DIR

Exit status 0 only if every error is at or under the tolerance.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tests.reference.recording import FILE_NAMES, Recording, fusion_tensor, read_recording, recorded_backbone, recorded_fusion
from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.absorption.prompt import absorb, make_absorption_prompt
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.dgso.projection import conflict_cosine, project_out
from vtt_core.dgso.schedule import Dgso
from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.hosts.clip_lora import ClipLora
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.layers import TowerLora
from vtt_core.training.fast.passes import FastGradients
from vtt_core.training.finetune import batch_of_step
from vtt_core.training.optimisers import make_optimisers
from vtt_core.training.step import GradientsOf, TrainingState, plain_gradients, train_step

TOLERANCE = 1e-8
PLAIN, FAST = "plain", "fast"
"""The two implementations. What they share is replayed once."""

Line = tuple[str, float]
"""A quantity and its relative error."""


def relative_error(ours: Tensor, recorded: Tensor) -> float:
    """Return max |ours - recorded| / max |recorded|; a shape that differs or a NaN counts as infinite."""
    if ours.shape != recorded.shape or not bool(ours.isfinite().all()):
        return float("inf")
    largest = recorded.abs().max().item()
    return (ours - recorded).abs().max().item() / (largest if largest > 0 else 1.0)


def replay(folder: Path) -> Iterator[Line]:
    """Replay every quantity of a folder."""
    recording = read_recording(folder)
    yield from replay_features(recording)
    yield from replay_projection(recording)
    for path in (PLAIN, FAST):
        lines = [replay_fusion(recording, path), replay_absorption(recording, path)]
        lines += [replay_trajectory(recording, name, path) for name in recording.trajectories]
        yield from ((f"{path}.{quantity}", error) for quantity, error in chain.from_iterable(lines))


def replay_features(recording: Recording) -> Iterator[Line]:
    """Compare the layer features of both towers."""
    backbone, values = recorded_backbone(recording), recording.group("features.")
    vision_BLD = backbone.vision_tower.layer_features(values["images"])
    text_CLD = backbone.text_tower.layer_features(values["tokens"])
    yield "features.image_layers", relative_error(vision_BLD, values["image_layers"])
    yield "features.image_final", relative_error(vision_BLD[:, -1], values["image_final"])
    yield "features.text_layers", relative_error(text_CLD, values["text_layers"])
    yield "features.text_final", relative_error(text_CLD[:, -1], values["text_final"])


def replay_fusion(recording: Recording, path: str) -> Iterator[Line]:
    """Compare the fusion network's output and every gradient."""
    network, values = recorded_fusion(recording), recording.group("fusion_io.")
    sequence_BSD = values["tokens"].clone().requires_grad_()
    fused_BD = network(sequence_BSD) if path == PLAIN else fast_fuse(network, sequence_BSD)
    yield "fusion_io.output", relative_error(fused_BD, values["output"])
    fused_BD.backward(values["cotangent"])
    assert sequence_BSD.grad is not None
    yield "fusion_io.tokens_grad", relative_error(sequence_BSD.grad, values["tokens_grad"])
    parameters = dict(network.named_parameters())
    for name, recorded in recording.group("fusion_io.grad.").items():
        ours_name, recorded_here = fusion_tensor(name, recorded)
        gradient = parameters[ours_name].grad
        assert gradient is not None
        yield f"fusion_io.grad.{name}", relative_error(gradient, recorded_here)


def replay_absorption(recording: Recording, path: str) -> Iterator[Line]:
    """Compare the absorbed feature and the gradient of the vector that was absorbed."""
    backbone, values = recorded_backbone(recording), recording.group("absorption.")
    prompt = make_absorption_prompt(backbone, FinetuneRecipe().prompt_template, FinetuneRecipe().placeholder)
    recorded_tokens_BT = values["tokens"][:, : len(prompt.tokens_T)]
    yield (
        "absorption.tokens",
        relative_error(prompt.tokens_T.expand_as(recorded_tokens_BT).double(), recorded_tokens_BT.double()),
    )
    fused_BD = values["absorption_token"].clone().requires_grad_()
    if path == PLAIN:
        absorbed_BD = absorb(backbone.text_tower, prompt, fused_BD)
    else:
        absorbed_BD = CachedPrompt(backbone.text_tower, prompt).absorb(fused_BD)
    yield "absorption.output", relative_error(absorbed_BD, values["output"])
    absorbed_BD.backward(values["cotangent"])
    assert fused_BD.grad is not None
    yield "absorption.absorption_token_grad", relative_error(fused_BD.grad, values["absorption_token_grad"])


def replay_projection(recording: Recording) -> Iterator[Line]:
    """Compare the gradients left after DGSO's projection; tensors that are not a LoRA's keep theirs."""
    beta = recording.scalars["dgso"]["beta"]
    gradients_ce, gradients_vtt = recording.group("dgso.grad_ce."), recording.group("dgso.grad_vtt.")
    cosines = []
    for name, recorded in recording.group("dgso.projected.").items():
        combined = gradients_ce[name] + beta * gradients_vtt[name]
        if name.startswith("lora"):
            g_comb, g_ce = (gradient.reshape(1, -1) for gradient in (combined, gradients_ce[name]))  # some are vectors
            cosine = conflict_cosine(g_comb, g_ce)
            cosines.append(cosine.squeeze())
            combined = project_out(g_comb, g_ce, cosine).view(combined.shape)
        yield f"dgso.projected.{name}", relative_error(combined, recorded)
    recorded_mean = torch.tensor(recording.scalars["dgso"]["mean_cosine"], dtype=torch.float64)
    yield "dgso.mean_cosine", relative_error(torch.stack(cosines).mean(), recorded_mean)


def replay_trajectory(recording: Recording, name: str, path: str) -> Iterator[Line]:
    """Run a recorded fine-tuning and compare every step and what it ends with."""
    scalars, values = recording.scalars[name], recording.group(f"trajectory.{name}.")
    recipe = recorded_recipe(scalars)
    data = recorded_problem(recording, values, recipe)
    state = recorded_start(recording, values, data, recipe)
    learnt = (data, state.host, state.fusion, recipe)
    gradients_of = partial(plain_gradients, *learnt) if path == PLAIN else FastGradients(*learnt, num_threads=2)
    steps = run_trajectory(data, state, recipe, scalars["permutations"], gradients_of)
    for quantity, ours in steps.items():
        recorded_steps = torch.tensor(scalars[quantity], dtype=torch.float64)
        yield f"{name}.{quantity}", relative_error(torch.tensor(ours, dtype=torch.float64), recorded_steps)
    yield from _compare_end(name, values, data, state)


def run_trajectory(
    data: TrainingData,
    state: TrainingState,
    recipe: FinetuneRecipe,
    permutations: list[list[int]],
    gradients_of: GradientsOf | None = None,
) -> dict[str, list[float]]:
    """Run every step; all lists but the first end with the step that switches absorption off."""
    gradients_of = gradients_of or partial(plain_gradients, data, state.host, state.fusion, recipe)
    passes = [torch.tensor(permutation) for permutation in permutations]
    steps: dict[str, list[float]] = {"cross_entropy": [], "combined_loss": [], "gradient_cosine": [], "beta_after_step": []}
    for step in range(recipe.iterations):
        views_B = batch_of_step(step, len(data.labels_V), recipe.batch_size, passes.__getitem__)
        report = train_step(state, recipe, Batch(views_B, None, state.dgso.is_absorbing), gradients_of)
        steps["cross_entropy"].append(report.classification_loss)
        if report.absorption_loss is not None and report.conflict_cosine is not None:
            steps["combined_loss"].append(report.classification_loss + recipe.absorption_weight * report.absorption_loss)
            steps["gradient_cosine"].append(report.conflict_cosine)
            steps["beta_after_step"].append(recipe.absorption_weight if report.is_absorbing else -1.0)
    return steps


def recorded_recipe(scalars: dict[str, float]) -> FinetuneRecipe:
    """Return the recipe with a recorded fine-tuning's constants."""
    return replace(
        FinetuneRecipe(),
        iterations=int(scalars["iterations"]),
        batch_size=int(scalars["batch_size"]),
        rank=int(scalars["rank"]),
        alpha=scalars["alpha"],
        lora_dropout=0.0,
        host_learning_rate=scalars["lr"],
        fusion_learning_rate=scalars["fusion_lr"],
        absorption_weight=scalars["beta"],
        conflict_window=int(scalars["window"]),
    )


def recorded_problem(recording: Recording, values: dict[str, Tensor], recipe: FinetuneRecipe) -> TrainingData:
    """Return a recorded support set and its class prompts."""
    backbone = recorded_backbone(recording)
    return TrainingData(
        backbone=backbone,
        views_V3HW=values["support_images"],
        labels_V=values["support_labels"],
        text_CLD=backbone.text_tower.layer_features(values["class_tokens"]),
        prompt=make_absorption_prompt(backbone, recipe.prompt_template, recipe.placeholder),
    )


def recorded_start(
    recording: Recording, values: dict[str, Tensor], data: TrainingData, recipe: FinetuneRecipe
) -> TrainingState:
    """Return the recorded LoRA and fusion network before step 1."""
    tower = data.backbone.vision_tower
    lora = TowerLora(tower.num_layers, tower.width, recipe.rank, recipe.scaling).double()
    start = {name[10:]: tensor for name, tensor in values.items() if name.startswith("lora_init.")}
    lora.load_matrices({_lora_name(name): tensor for name, tensor in start.items()})
    fusion = recorded_fusion(recording)
    host = ClipLora(lora)
    optimisers = make_optimisers(host.parameters(), fusion.parameters(), recipe)
    return TrainingState(host, fusion, optimisers, Dgso(recipe.conflict_window))


def _lora_name(recorded: str) -> str:
    """`visual.transformer.resblocks.0.attn.k_proj.w_lora_A` -> `layers.0.k_proj.lora_A`."""
    parts = recorded.split(".")
    return f"layers.{parts[3]}.{parts[5]}.{parts[6].removeprefix('w_')}"


def _compare_end(name: str, values: dict[str, Tensor], data: TrainingData, state: TrainingState) -> Iterator[Line]:
    lora, fusion = state.lora.matrices(), dict(state.fusion.named_parameters())
    for key, recorded in values.items():
        if key.startswith("lora_final."):
            yield f"{name}.{key}", relative_error(lora[_lora_name(key[11:])], recorded)
        elif key.startswith("fusion_final."):
            ours_name, recorded_here = fusion_tensor(key[13:], recorded)
            yield f"{name}.{key}", relative_error(fusion[ours_name], recorded_here)
    with torch.no_grad():
        features_BD = data.backbone.vision_tower.features(values["query_images"], state.lora)
    cosine_BC = functional.normalize(features_BD, dim=-1) @ data.prototypes_CD.t()
    yield f"{name}.query_cosine", relative_error(cosine_BC, values["query_cosine"])


def main(arguments: list[str]) -> int:
    """Print one line for each quantity; return the exit status."""
    missing = [name for name in FILE_NAMES if len(arguments) != 1 or not (Path(arguments[0]) / name).is_file()]
    if missing:
        print(f"usage: python -m tests.reference.replay DIR, with {', '.join(FILE_NAMES)} in DIR", file=sys.stderr)
        print(f"got {arguments!r}, where {', '.join(missing)} cannot be read", file=sys.stderr)
        return 2
    errors = []
    for quantity, error in replay(Path(arguments[0])):
        verdict = "ok" if error <= TOLERANCE else "TOO LARGE"
        print(f"{quantity:<78} {error:9.2e}  {verdict}")
        errors.append(error)
    passed = sum(error <= TOLERANCE for error in errors)
    print(f"{passed} of {len(errors)} quantities at or under {TOLERANCE:g}; largest {max(errors):.2e}")
    return 0 if errors and passed == len(errors) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
