"""Train the text tower to match a sentence encoder on many phrases, without images.

With captions of class names only, it would just memorise the names. Trained together with an untrained vision tower, it would
map all captions to nearly the same point.

Shapes: P phrases, B captions of a batch, U nouns that are not taught, T tokens, D joint size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.bench.pretraining.optimisers import make_optimisers, take_step
from vtt_core.bench.pretraining.phrases import EVALUATION_PROMPT, PROMPTS, Phrases
from vtt_core.bench.pretraining.recipe import PretrainRecipe
from vtt_core.bench.pretraining.side_by_side import SideBySide
from vtt_core.bench.pretraining.tower_pass import TowerPass, fast_precision

KINDS = ("names", "words", "nouns", "glosses")
CONTRAST_SCALE = 20.0
"""Factor on the cosine between a caption and the phrases of its batch."""
SHARES = {"names": 0.25, "words": 0.2, "nouns": 0.4, "glosses": 0.15}
"""Fractions of a batch."""
NAMING_SHARES = {"names": 0.6, "words": 0.1, "nouns": 0.2, "glosses": 0.1}
"""Fractions in the last steps, which fit the names closely: the vision tower is trained on their targets."""
UNSEEN_EVERY = 50
"""One in so many nouns is left out of training, and measures how the tower does on unseen words."""


def teach_text(
    model: Any, phrases: Phrases, targets_PD: Tensor, recipe: PretrainRecipe, threads: SideBySide, kinds: Sequence[str] = KINDS
) -> Iterator[float]:
    """Train the text tower in place, yielding the loss of every step.

    Args:
        model: `open_clip.model.CLIP`. Its vision tower is not changed.
        phrases: for the captions.
        targets_PD: targets of `phrases.all`, with unit length.
        recipe: settings.
        threads: for the parts of each batch.
        kinds: kinds of phrases to train on.
    """
    for number, shares in enumerate((SHARES, NAMING_SHARES)):
        taught = {kind: share for kind, share in shares.items() if kind in kinds}
        yield from _teach_round(model, phrases, targets_PD, recipe, threads, Round.of(recipe, number, taught))


@dataclass(frozen=True)
class Round:
    """A part of the stage with its own schedule."""

    first_step: int
    num_steps: int
    learning_rate_factor: float
    shares: Mapping[str, float]

    @classmethod
    def of(cls, recipe: PretrainRecipe, number: int, shares: Mapping[str, float]) -> Round:
        """Return the first round, on all phrases, or the second, mostly on class names."""
        if number == 0:
            return cls(0, recipe.text_steps, 1.0, shares)
        return cls(recipe.text_steps, recipe.naming_steps, recipe.naming_learning_rate_factor, shares)


def _teach_round(
    model: Any, phrases: Phrases, targets_PD: Tensor, recipe: PretrainRecipe, threads: SideBySide, part: Round
) -> Iterator[float]:
    device, tokenizer = targets_PD.device, open_clip.SimpleTokenizer()
    parameters = {name: value for name, value in model.named_parameters() if not name.startswith(("visual.", "logit_scale"))}
    optimisers = make_optimisers(parameters, recipe.matrix_learning_rate, recipe.text_learning_rate, 0.0, threads.num_threads)
    blocks = model.transformer.resblocks
    tower = TowerPass(blocks[0].attn.num_heads, True, fast_precision(device))
    for step in range(part.num_steps):
        seed = recipe.seed * 1_000_033 + part.first_step + step
        chosen, captions = draw_captions(phrases, recipe.text_batch_size, seed, part.shares)
        tokens_BT = tokenizer(captions)
        order_B = spread_lengths(tokens_BT, threads.num_threads)
        tokens_BT, targets_BD = tokens_BT[order_B].to(device), targets_PD[chosen][order_B.to(device)]

        def part_loss(rows: slice, tokens_BT: Tensor = tokens_BT, targets_BD: Tensor = targets_BD) -> tuple[Tensor, Tensor]:
            loss = _loss(tower.text_features(parameters, tokens_BT[rows], len(blocks)), targets_BD, rows)
            return loss, loss.detach()

        logged = threads.gradients(part_loss, len(chosen), list(parameters.values()))
        take_step(optimisers, part.learning_rate_factor * _learning_rate_factor(step, part.num_steps), threads)
        yield logged


def spread_lengths(tokens_BT: Tensor, num_parts: int) -> Tensor:
    """Return order_B: all parts of the batch get similar captions, sorted by length.

    Otherwise a few long captions would pad all the others.
    """
    by_length_B = tokens_BT.argmax(dim=-1).argsort(stable=True)
    return torch.cat([by_length_B[part::num_parts] for part in range(num_parts)])


def draw_captions(
    phrases: Phrases, batch_size: int, seed: int, shares: Mapping[str, float] = SHARES
) -> tuple[list[int], list[str]]:
    """Return the phrases of a random batch, as indices into `phrases.all` without repeats, and their captions.

    Args:
        phrases: to draw from, evenly within each kind.
        batch_size: number of draws. Repeats are dropped.
        seed: of the draw.
        shares: fraction of the batch by kind. The fraction of a missing kind is divided among the others.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn: set[int] = set()
    first = 0
    for kind, share in _shares(phrases, shares).items():
        count = len(getattr(phrases, kind))
        if count:
            taught = torch.arange(count)
            taught = taught[~_is_unseen(taught)] if kind == "nouns" else taught
            places = taught[torch.randint(len(taught), (round(share * batch_size),), generator=generator)]
            drawn.update((first + places).tolist())
        first += count
    chosen = sorted(drawn)
    prompts = torch.randint(len(PROMPTS), (len(chosen),), generator=generator).tolist()
    texts, first_gloss = phrases.all, first - len(phrases.glosses)
    return chosen, [
        texts[index] if index >= first_gloss else PROMPTS[prompt].format(texts[index])
        for index, prompt in zip(chosen, prompts, strict=True)
    ]


def _loss(text_PD: Tensor, targets_BD: Tensor, rows: slice) -> Tensor:
    """Return the mean loss of some rows of a batch, contrasted with all phrases of the batch."""
    cosine_PB = functional.normalize(text_PD, dim=-1) @ targets_BD.T
    own_P = torch.arange(rows.start, rows.stop, device=cosine_PB.device)
    own_cosine = cosine_PB.gather(1, own_P[:, None]).mean()
    return functional.cross_entropy(CONTRAST_SCALE * cosine_PB, own_P) + 1 - own_cosine


@torch.no_grad()
def measure_unseen(model: Any, phrases: Phrases, targets_PD: Tensor) -> dict[str, float]:
    """Measure how well captions of the left-out nouns match their targets.

    Args:
        model: `open_clip.model.CLIP`.
        phrases: with at least one such noun.
        targets_PD: as in `teach_text`.

    Returns:
        unseen_nouns, their number; unseen_top1, the fraction that is nearest to its own target; unseen_cosine, the mean cosine
        with it.
    """
    numbers = torch.arange(len(phrases.nouns))
    numbers = numbers[_is_unseen(numbers)]
    targets_UD = targets_PD[len(phrases.names) + len(phrases.words) + numbers]
    captions = [EVALUATION_PROMPT.format(phrases.nouns[number]) for number in numbers.tolist()]
    tokens = open_clip.SimpleTokenizer()(captions).to(targets_PD.device)
    cosine_UU = functional.normalize(model.encode_text(tokens), dim=-1) @ targets_UD.T
    own_U = torch.arange(len(numbers), device=cosine_UU.device)
    return {
        "unseen_nouns": len(numbers),
        "unseen_top1": float((cosine_UU.argmax(dim=1) == own_U).double().mean()),
        "unseen_cosine": float(cosine_UU.diagonal().mean()),
    }


def _is_unseen(numbers: Tensor) -> Tensor:
    return numbers % UNSEEN_EVERY == UNSEEN_EVERY - 1


def _shares(phrases: Phrases, shares: Mapping[str, float]) -> dict[str, float]:
    """Return each kind's fraction of a batch, in the order of the fields."""
    drawn = {kind: share for kind, share in shares.items() if getattr(phrases, kind)}
    return {kind: drawn.get(kind, 0.0) / sum(drawn.values()) for kind in KINDS}


def _learning_rate_factor(step: int, num_steps: int) -> float:
    """Warm up over a twentieth of the stage, then fall to zero along a cosine."""
    warm_up = max(1, num_steps // 20)
    return min(1.0, (step + 1) / warm_up) * (1 + math.cos(math.pi * step / num_steps)) / 2
