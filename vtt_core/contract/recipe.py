"""Recipes: every constant of a fine-tuning, with its unit and its source.

The defaults are those of the authors' released code. `make_recipe` adds the defaults of a host and a preset: what the paper
says, what the host was published with, or what was measured to be better on a backbone.

Source: Zhang et al. 2026, arXiv:2603.05235; `released` is the authors' code
    zhenyuZ-HUST/CVPR26-VtT@93e79e7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from vtt_core.contract.backbones import MINI
from vtt_core.contract.errors import RecipeError
from vtt_core.contract.recipe_checks import check_values

Method = Literal[
    "clip-lora",
    "clip-lora+vtt",
    "clip-lora-text",
    "clip-lora-text+vtt",
    "clip-lora-both",
    "clip-lora-both+vtt",
    "coop",
    "coop+vtt",
    "maple",
    "maple+vtt",
]
METHODS: tuple[Method, ...] = get_args(Method)
"""All that fine-tunes."""
FROZEN, AUTO = "frozen", "auto"
"""A head on the frozen tower; and whichever is best for the support set, that or VtT on CLIP-LoRA."""
AnyMethod = Literal["auto", "frozen", Method]
ANY_METHODS: tuple[AnyMethod, ...] = get_args(AnyMethod)
AUTO_FINETUNING: Method = "clip-lora+vtt"
"""What `auto` fine-tunes, where it does."""
VTT_SUFFIX = "+vtt"
Host = Literal["clip-lora", "clip-lora-text", "clip-lora-both", "coop", "maple"]
HOSTS: tuple[Host, ...] = get_args(Host)
Head = Literal["text", "ridge", "sum", "centroid", "gda", "ridge-text", "text-centroid", "probe"]
HEADS: tuple[Head, ...] = get_args(Head)
Preset = Literal["tuned", "released", "paper", "original", "own"]
"""`own` is the old name of `original`, and works until version 0.3."""
PRESETS: tuple[Preset, ...] = ("tuned", "released", "paper", "original")
DEFAULT_PRESET: Preset = "tuned"
Aggregator = Literal["ssm", "attention", "rnn", "lstm", "none"]
Scan = Literal["four-ways", "deep-to-shallow", "shallow-to-deep", "both-ways"]


@dataclass(frozen=True)
class FinetuneRecipe:
    """The released recipe; every field can be changed by name."""

    method: AnyMethod = "clip-lora+vtt"
    """What is fine-tuned, the host, and whether VtT teaches it; `frozen` fine-tunes nothing, `auto` chooses."""
    head: Head = "text"
    """What classifies the image features: the class prompts (released), a closed form, or the sum of ridge and prompts."""
    validation_folds: int = 0
    """Fine-tunings on a part of the support set each, to measure the method on the images that it has not seen; 0 for none."""
    validation_iterations: int = 100
    """Optimiser steps of each of them."""
    iterations: int = 250
    """Number of optimiser steps, one mini-batch each. Source: released (its flag is called epochs)."""
    batch_size: int = 25
    """Views in a mini-batch; the last one of a pass may be smaller. Source: released."""
    products: Literal["float32", "fastest"] = "float32"
    """Type of products with frozen weights: `fastest` is bfloat16 where the processor multiplies it faster, else float32."""
    rank: int = 16
    """Rank of the LoRA. Source: released."""
    alpha: float = 8.0
    """LoRA numerator; the scaling is alpha / sqrt(rank) = 2. Source: released."""
    lora_dropout: float = 0.25
    """Probability of zeroing an input of the LoRA path, drawn separately for q, k and v. Source: released."""
    num_context_tokens: int = 16
    """CoOp: learnt vectors before the label. Source: CoOp, arXiv:2109.01134."""
    context_words: str = ""
    """CoOp: words that the first vectors start from, such as 'a photo of a'; the others start at random. Source: CoOp."""
    num_prompt_tokens: int = 2
    """MaPLe: learnt tokens of each block. Source: MaPLe, arXiv:2210.03117."""
    prompt_depth: int = 9
    """MaPLe: blocks with prompts of their own, or all where there are fewer. Source: MaPLe."""
    optimiser: Literal["adamw", "sgd"] = "adamw"
    """Of the host's tensors; the fusion network's is always AdamW. Source: released."""
    host_learning_rate: float = 2e-4
    """Start of the schedule of the host's tensors. Source: released."""
    fusion_learning_rate: float = 5e-4
    """Start of the schedule of the fusion network. Source: released, EuroSAT and CropDisease (ISIC 4e-4, ChestX 1e-3)."""
    weight_decay: float = 1e-2
    """Decay of every tensor. Source: released."""
    adam_beta1: float = 0.9
    """Decay of the first moment; momentum of SGD. Source: released (torch's default)."""
    adam_beta2: float = 0.999
    """Decay of the second moment. Source: released (torch's default)."""
    adam_epsilon: float = 1e-8
    """Added to the root of the second moment. Source: released (torch's default)."""
    schedule_stretch: float = 8.0
    """Half period of the cosine schedule, in runs of `iterations` steps; 8 ends at 96 % of the start. Source: released."""
    min_learning_rate: float = 1e-6
    """Floor of the cosine schedule. Source: released."""
    warm_up_steps: int = 0
    """First steps, taken at `warm_up_learning_rate`. Source: released (none)."""
    warm_up_learning_rate: float = 1e-5
    """Learning rate of the warm-up. Source: CoOp."""
    logit_scale: float = 100.0
    """Factor on the image-text cosine; a constant, not the checkpoint's. Source: released."""
    absorption_weight: float = 7.0
    """beta: weight of the absorption loss in the combined loss. Source: paper and released."""
    conflict_window: int = 50
    """lambda: number of recent steps whose mean conflict cosine decides the switch-off. Source: paper and released."""
    projects_conflict: bool = True
    """Whether a conflicting gradient loses its part along the classification gradient. Source: paper and released."""
    switch_off: Literal["at-zero", "below-zero", "never"] = "at-zero"
    """Mean cosine that ends absorption: zero or less (released), less than zero (paper), none (ablation)."""
    absorption_share: float = 1.0
    """Share of the steps after which absorption ends at the latest. Source: paper and released (only conflict ends it)."""
    absorption: Literal["text-tower", "none"] = "text-tower"
    """Whether the text tower reads the fused vector; without, it is compared with the image feature itself (ablation)."""
    absorption_template: str = ""
    """Prompt that absorbs, with `{}` for the placeholder; empty: that of the classes. Source: released."""
    uses_adapter: bool = False
    """Whether a learnt linear map stands between fusion and prompt. Source: paper (yes), released (no)."""
    aggregator: Aggregator = "ssm"
    """What reads the sequence of layers; `none` takes the image feature alone. Source: paper and released (ssm)."""
    fusion_layers: int = 1
    """Blocks of the aggregator, one after another. Source: released (1), paper (2)."""
    scan: Scan = "four-ways"
    """Directions in which the sequence is read. Source: released (four ways), paper (deep to shallow)."""
    sequence: Literal["released", "paper"] = "released"
    """f^L, then text before vision in each layer (2L + 1 steps), or vision before text (2L steps)."""
    residual_branch: Literal["linear", "mlp"] = "linear"
    """What the mean over the sequence goes through. Source: released (linear), paper (mlp)."""
    num_views: int = 5
    """Fixed views of each support image, drawn once, of the five kinds in views.py. Source: released."""
    rotation_degrees: float = 45.0
    """Largest rotation of a view, either way. Source: released."""
    jitter_strength: float = 0.4
    """Brightness, contrast and colour factors are 1 + strength * U(-1, 1). Source: released."""
    flip_probability: float = 0.5
    """Probability of a horizontal flip in the views that flip. Source: released."""
    state_size_ratio: float = 0.5
    """Fusion state size N and step rank over the joint size D. Source: released, 256 at D = 512."""
    convolution_width: int = 4
    """Steps that the causal convolution of the fusion sees. Source: released."""
    prompt_template: str = "a photo of a {}."
    """Class prompt; `{}` is the label. Source: released."""
    placeholder: str = "x"
    """Word of the absorption prompt whose token embedding is replaced. Source: released."""

    def __post_init__(self) -> None:
        """Refuse values outside their range, so that everything inside can trust them."""
        check_values(self, ANY_METHODS)

    @property
    def fine_tunes(self) -> bool:
        """Whether the method names a fine-tuning."""
        return self.method in METHODS

    @property
    def host(self) -> Host | Literal["frozen", "auto"]:
        """What is fine-tuned."""
        host: Host = self.method.removesuffix(VTT_SUFFIX)  # type: ignore[assignment]  # checked above
        return host

    @property
    def num_steps(self) -> int:
        """Optimiser steps in all, validation included; 0 where nothing is fine-tuned, or where that is still open."""
        return self.iterations + self.validation_folds * self.validation_iterations if self.fine_tunes else 0

    @property
    def uses_absorption(self) -> bool:
        """Whether VtT teaches the host."""
        return self.method.endswith(VTT_SUFFIX)

    @property
    def max_absorption_steps(self) -> int | None:
        """Steps after which absorption ends at the latest; None for all."""
        return None if self.absorption_share == 1 else max(1, round(self.absorption_share * self.iterations))

    @property
    def absorbing_template(self) -> str:
        """Prompt that absorbs, with `{}` for the placeholder."""
        return self.absorption_template or self.prompt_template

    @property
    def scaling(self) -> float:
        """Factor on the product of the LoRA's two matrices: alpha / sqrt(rank)."""
        return float(self.alpha / self.rank**0.5)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FinetuneRecipe:
        """Build a recipe from some or all of its fields; the others are the released ones.

        Raises:
            RecipeError: a field is unknown or outside its range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise RecipeError(
                expected="fields among " + ", ".join(sorted(known)),
                got=", ".join(map(repr, unknown)),
                remedy="Remove or rename them",
            )
        return cls(**values)


HOST_DEFAULTS: dict[Host, dict[str, Any]] = {
    # CoOp, arXiv:2109.01134: SGD, cosine to zero, the first pass at 1e-5.
    "coop": {
        "optimiser": "sgd",
        "host_learning_rate": 2e-3,
        "batch_size": 32,
        "weight_decay": 5e-4,
        "schedule_stretch": 1.0,
        "min_learning_rate": 0.0,
        "warm_up_steps": 4,
    },
    # MaPLe, arXiv:2210.03117: five passes over 5-way 5-shot with its views are 160 batches of 4.
    "maple": {
        "optimiser": "sgd",
        "host_learning_rate": 3.5e-3,
        "batch_size": 4,
        "iterations": 160,
        "weight_decay": 5e-4,
        "schedule_stretch": 1.0,
        "min_learning_rate": 0.0,
        "warm_up_steps": 32,
    },
}
"""What the publication of a host says, where it differs from the released recipe."""

_CLIP_LORA_ORIGINAL = {"rank": 2, "alpha": 1.0, "batch_size": 32, "schedule_stretch": 1.0}
"""Zanella & Ben Ayed 2024, arXiv:2405.18541."""

_PAPER = {
    "sequence": "paper",
    "residual_branch": "mlp",
    "fusion_layers": 2,
    "scan": "deep-to-shallow",
    "uses_adapter": True,
    "absorption_template": "a photo of a {}",
    "switch_off": "below-zero",
}
"""Where the paper differs from its released code; what it leaves open is as released."""


_TUNED: dict[tuple[str, str], dict[str, Any]] = {
    (MINI, "clip-lora"): {
        "host_learning_rate": 2e-3,
        "iterations": 160,
        "schedule_stretch": 1.0,
        "absorption_share": 0.33,
    },
}
"""By backbone and host: what was better than the released recipe there, or as good in less time. Source: docs/results.md, "The
learning rate", "Fewer steps" and "Less absorption"."""

_TUNED_HOST: dict[str, dict[str, Any]] = {"clip-lora": {"products": "fastest"}}
"""By host, on every backbone: what takes less time for the same accuracy. Source: docs/results.md, "Fewer steps"."""

_TUNED_HEAD: dict[str, dict[str, Any]] = {
    FROZEN: {"head": "sum"},
    AUTO: {"head": "sum", "validation_folds": 2},
}
"""By method: what was better than the class prompts alone. Source: docs/results.md, "Heads"."""
FINETUNING_PAYS: dict[str, bool] = {MINI: False}
"""By backbone, where it was measured: whether any fine-tuning with a head is better than a head on the frozen tower.
`auto` tries it out on the support set where this is not known. Source: docs/results.md, "Heads"."""


def make_recipe(
    method: str, preset: str = DEFAULT_PRESET, changes: Mapping[str, Any] | None = None, *, backbone_id: str | None = None
) -> FinetuneRecipe:
    """Return the recipe of a method: its host's defaults, a preset over them, and changes over both.

    Args:
        method: a host, with or without VtT.
        preset: `tuned` (the released recipe with what was measured to be better on the backbone), `released`, `paper`, or
            `original` (what CLIP-LoRA was published with, without VtT).
        changes: fields by name.
        backbone_id: the backbone to fine-tune; None for one on which nothing was measured.

    Raises:
        RecipeError: the preset or a field is unknown, or a value outside its range.
    """
    preset = "original" if preset == "own" else preset
    if preset not in PRESETS:
        raise RecipeError(
            expected="a preset among " + ", ".join(PRESETS), got=repr(preset)[:100], remedy="Choose one of these presets"
        )
    host = (AUTO_FINETUNING if method == AUTO else method).removesuffix(VTT_SUFFIX)
    values = {**HOST_DEFAULTS.get(host, {})}  # type: ignore[call-overload]  # an unknown one is refused below
    if preset == "tuned":
        values |= _TUNED_HEAD.get(method, {}) | _TUNED_HOST.get(host, {})
        if backbone_id is not None:
            values |= _TUNED.get((backbone_id, host), {})
    if method == FROZEN and preset != "tuned":
        values["head"] = "sum"  # the class prompts alone would be zero-shot
    if preset == "paper":
        values |= _PAPER
    if preset == "original" and host.startswith("clip-lora"):
        values |= _CLIP_LORA_ORIGINAL
    return FinetuneRecipe.from_json({**values, "method": method, **(changes or {})})
