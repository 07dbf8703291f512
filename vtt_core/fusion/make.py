"""Make the fusion network that a recipe asks for."""

from __future__ import annotations

from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.network import Fusion, FusionForm, FusionNetwork, NoFusion
from vtt_core.fusion.sequence import num_scan_steps


def make_fusion(recipe: FinetuneRecipe, num_vision_layers: int, num_text_layers: int, joint_size: int) -> Fusion:
    """Return the network, drawn from torch's global generator.

    Args:
        recipe: what reads the sequence, and in which form.
        num_vision_layers: depth of the vision tower.
        num_text_layers: depth of the text tower.
        joint_size: size D of the embedding that images and texts share.
    """
    if recipe.aggregator == "none":
        return NoFusion(joint_size, has_adapter=recipe.uses_adapter)
    state_size = state_size_of(recipe, joint_size)
    form = FusionForm(
        aggregator=recipe.aggregator,
        num_layers=recipe.fusion_layers,
        scan=recipe.scan,
        has_mlp=recipe.residual_branch == "mlp",
        has_adapter=recipe.uses_adapter,
    )
    return FusionNetwork(
        num_scan_steps(num_vision_layers, num_text_layers, recipe.sequence),
        joint_size,
        state_size=state_size,
        step_rank=state_size,
        convolution_width=recipe.convolution_width,
        form=form,
    )


def state_size_of(recipe: FinetuneRecipe, joint_size: int) -> int:
    """Return the states N of each channel of the state-space model, which are also the rank of its step size."""
    return max(1, round(recipe.state_size_ratio * joint_size))
