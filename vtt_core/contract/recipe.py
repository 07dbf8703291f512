"""Name every constant of a fine-tuning, with its unit and where its value comes from.

Source: Zhang et al. 2026, arXiv:2603.05235; `released` is the authors' code
    zhenyuZ-HUST/CVPR26-VtT@93e79e7.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from vtt_core.contract.errors import RecipeError, shown

Method = Literal["clip-lora", "clip-lora+vtt"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class FinetuneRecipe:
    """The released recipe; every field can be changed by name."""

    method: Method = "clip-lora+vtt"
    """What is fine-tuned: a LoRA alone, or a LoRA taught by VtT."""
    iterations: int = 250
    """Number of optimiser steps, one mini-batch each. Source: released (its flag is called epochs)."""
    batch_size: int = 25
    """Views in a mini-batch; the last one of a pass may be smaller. Source: released."""
    rank: int = 16
    """Rank of the LoRA. Source: released."""
    alpha: float = 8.0
    """LoRA numerator; the scaling is alpha / sqrt(rank) = 2. Source: released."""
    lora_dropout: float = 0.25
    """Probability of zeroing an input of the LoRA path, drawn separately for q, k and v. Source: released."""
    lora_learning_rate: float = 2e-4
    """Start of the schedule of the LoRA tensors. Source: released."""
    fusion_learning_rate: float = 5e-4
    """Start of the schedule of the fusion network. Source: released, EuroSAT and CropDisease (ISIC 4e-4, ChestX 1e-3)."""
    weight_decay: float = 1e-2
    """AdamW decay, on every tensor. Source: released."""
    adam_beta1: float = 0.9
    """Decay of the first moment. Source: released (torch's default)."""
    adam_beta2: float = 0.999
    """Decay of the second moment. Source: released (torch's default)."""
    adam_epsilon: float = 1e-8
    """Added to the root of the second moment. Source: released (torch's default)."""
    schedule_stretch: float = 8.0
    """Half period of the cosine schedule, in runs of `iterations` steps; 8 ends at 96 % of the start. Source: released."""
    min_learning_rate: float = 1e-6
    """Floor of the cosine schedule. Source: released."""
    logit_scale: float = 100.0
    """Factor on the image-text cosine; a constant, not the checkpoint's. Source: released."""
    absorption_weight: float = 7.0
    """beta: weight of the absorption loss in the combined loss. Source: paper and released."""
    conflict_window: int = 50
    """lambda: number of recent steps whose mean conflict cosine decides the switch-off. Source: paper and released."""
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
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise RecipeError(expected=f"{name} between {low} and {high}", got=shown(value), remedy=f"Change {name}")
        for name in _WHOLE_NUMBERS:
            if not isinstance(getattr(self, name), int):
                raise RecipeError(
                    expected=f"a whole number for {name}", got=shown(getattr(self, name)), remedy=f"Change {name}"
                )
        if self.method not in METHODS:
            raise RecipeError(
                expected="a method among " + ", ".join(METHODS), got=shown(self.method), remedy="Choose one of these methods"
            )
        if (
            not isinstance(self.prompt_template, str)
            or self.prompt_template.count("{}") != 1
            or len(self.prompt_template) > 200
        ):
            raise RecipeError(
                expected="a prompt template of at most 200 characters with one {}",
                got=shown(self.prompt_template),
                remedy="Write it like 'a photo of a {}.'",
            )
        if not isinstance(self.placeholder, str) or not 1 <= len(self.placeholder) <= 20:
            raise RecipeError(
                expected="a short placeholder word", got=shown(self.placeholder), remedy="Use a single word such as 'x'"
            )

    @property
    def uses_absorption(self) -> bool:
        """Whether VtT teaches the LoRA."""
        return self.method == "clip-lora+vtt"

    @property
    def scaling(self) -> float:
        """Factor on the product of the LoRA's two matrices: alpha / sqrt(rank)."""
        return float(self.alpha / self.rank**0.5)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> FinetuneRecipe:
        """Build a recipe from some or all of its fields.

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


_WHOLE_NUMBERS = ("iterations", "batch_size", "rank", "conflict_window", "num_views", "convolution_width")

_RANGES: dict[str, tuple[float, float]] = {
    "iterations": (1, 10_000),
    "batch_size": (1, 1024),
    "rank": (1, 128),
    "alpha": (1e-3, 1024),
    "lora_dropout": (0, 0.9),
    "lora_learning_rate": (0, 1),
    "fusion_learning_rate": (0, 1),
    "weight_decay": (0, 1),
    "adam_beta1": (0, 0.9999),
    "adam_beta2": (0, 0.99999),
    "adam_epsilon": (1e-12, 1e-2),
    "schedule_stretch": (1, 1000),
    "min_learning_rate": (0, 1),
    "logit_scale": (1, 1000),
    "absorption_weight": (0, 1000),
    "conflict_window": (1, 10_000),
    "num_views": (1, 5),
    "rotation_degrees": (0, 180),
    "jitter_strength": (0, 1),
    "flip_probability": (0, 1),
    "state_size_ratio": (0.05, 4),
    "convolution_width": (1, 16),
}
