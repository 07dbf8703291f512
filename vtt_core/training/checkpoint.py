"""Write and read the state between two steps: safetensors, no pickle, the same bytes for the same state.

A resumed fine-tuning ends with the same bytes as one that ran through: every random stream is derived from the seed and the
step, so tensors, optimiser moments and the queue are enough.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from vtt_core.backbones.backbone import hash_weights
from vtt_core.contract.errors import CheckpointMismatchError
from vtt_core.training.optimisers import Optimiser
from vtt_core.training.step import TrainingState

MOMENTS = ("exp_avg", "exp_avg_sq", "step", "momentum_buffer")
"""What AdamW and SGD remember of each parameter."""
STATE_TENSOR = "state_json"
"""Name of the tensor that holds the scalars as UTF-8 JSON; safetensors' own metadata has no fixed order."""
HASH_TENSOR = "sha256"
"""Name of the tensor that holds the hash of all others."""


@dataclass(frozen=True)
class Belonging:
    """What must be the same where a checkpoint is written and where it is read."""

    recipe: dict[str, Any]
    """Fields of the FinetuneRecipe."""
    seed: int
    backbone_sha256: str
    """Hash of the backbone's weights."""
    problem_sha256: str
    """Hash of the views, labels and text features."""


def write_checkpoint(state: TrainingState, belonging: Belonging) -> bytes:
    """Return the state as one safetensors file.

    Args:
        state: between two steps.
        belonging: what the fine-tuning is made of.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in _named_parameters(state):
        tensors[name] = parameter.detach()
        for moment, value in _optimiser_of(state, parameter).state.get(parameter, {}).items():
            if value is not None:  # SGD's before its first step
                tensors[f"{name}.{moment}"] = value
    scalars = {
        "belonging": asdict(belonging),
        "step": state.step,
        "is_absorbing": state.dgso.is_absorbing,
        "stopped_at": state.dgso.stopped_at,
        "queue": state.dgso.queue,
    }
    encoded = json.dumps(scalars, sort_keys=True).encode()
    tensors[STATE_TENSOR] = torch.frombuffer(bytearray(encoded), dtype=torch.uint8)
    tensors[HASH_TENSOR] = torch.frombuffer(bytearray.fromhex(hash_weights(tensors)), dtype=torch.uint8)
    return save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})


def read_checkpoint(encoded: bytes, state: TrainingState, belonging: Belonging) -> None:
    """Put a checkpoint into a state of the same shapes.

    Args:
        encoded: what `write_checkpoint` gave.
        state: changed in place.
        belonging: what the resumed fine-tuning is made of.

    Raises:
        CheckpointMismatchError: it is damaged, or of another recipe, seed, backbone or support set.
    """
    try:
        tensors = load(encoded)
        stated = tensors.pop(HASH_TENSOR)
    except (SafetensorError, KeyError) as error:
        raise _mismatch(f"{type(error).__name__}: {str(error)[:200]}") from error
    if stated.tolist() != list(bytes.fromhex(hash_weights(tensors))):
        raise _mismatch("one whose hash differs: it was damaged")
    scalars = _read_scalars(tensors.pop(STATE_TENSOR, None))
    differing = [name for name, value in asdict(belonging).items() if scalars["belonging"].get(name) != value]
    if differing:
        raise _mismatch("another " + ", ".join(f"{name}: {scalars['belonging'].get(name)!r}" for name in differing))
    with torch.no_grad():
        for name, parameter in _named_parameters(state):
            if name not in tensors or tensors[name].shape != parameter.shape:
                raise _mismatch(f"no tensor {name!r} of shape {tuple(parameter.shape)}")
            parameter.copy_(tensors[name])
            moments = {moment: tensors[f"{name}.{moment}"] for moment in MOMENTS if f"{name}.{moment}" in tensors}
            if moments:
                _optimiser_of(state, parameter).state[parameter] = {
                    moment: value if moment == "step" else value.to(parameter.device) for moment, value in moments.items()
                }
    state.step = scalars["step"]
    state.dgso.is_absorbing = scalars["is_absorbing"]
    state.dgso.stopped_at = scalars["stopped_at"]
    state.dgso.queue = scalars["queue"]


_SCALARS = {
    "belonging": (dict,),
    "step": (int,),
    "is_absorbing": (bool,),
    "stopped_at": (int, type(None)),
    "queue": (list,),
}
"""JSON types; exact, since Python's bool is an int."""


def _read_scalars(encoded: Tensor | None) -> dict[str, Any]:
    try:
        scalars = json.loads(bytes(encoded.tolist())) if encoded is not None else None
    except (ValueError, TypeError, RecursionError) as error:
        raise _mismatch(f"scalars that are no JSON ({type(error).__name__})") from error
    if not isinstance(scalars, dict) or not _SCALARS.keys() <= scalars.keys():
        raise _mismatch("scalars that are missing")
    if any(type(scalars[name]) not in allowed for name, allowed in _SCALARS.items()):
        raise _mismatch("scalars of other types")
    return scalars


def _named_parameters(state: TrainingState) -> list[tuple[str, torch.nn.Parameter]]:
    host = [(f"host.{name}", parameter) for name, parameter in state.host.named_parameters()]
    return host + [(f"fusion.{name}", parameter) for name, parameter in state.fusion.named_parameters()]


def _optimiser_of(state: TrainingState, parameter: torch.nn.Parameter) -> Optimiser:
    return next(
        optimiser
        for optimiser in state.optimisers
        if any(parameter is member for group in optimiser.param_groups for member in group["params"])
    )


def _mismatch(got: str) -> CheckpointMismatchError:
    return CheckpointMismatchError(
        expected="a checkpoint of this fine-tuning", got=got, remedy="Start again without the checkpoint"
    )
