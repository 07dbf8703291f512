"""Derive every random stream of a fine-tuning from its seed, the stream's name and an index.

No stream depends on what was drawn from another, so a resumed run draws the same as one that ran through, and a checkpoint
holds no random state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

_GLOBAL_GENERATOR = Lock()


def derived_seed(seed: int, stream: str, index: int = 0) -> int:
    """Return 63 bits that depend on all three arguments.

    Args:
        seed: seed of the fine-tuning.
        stream: what is drawn, such as "dropout".
        index: which draw, such as the step.
    """
    digest = hashlib.sha256(f"{seed}/{stream}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def make_generator(seed: int, stream: str, index: int = 0, device: torch.device | None = None) -> torch.Generator:
    """Return a generator of its own for one draw; the arguments are those of `derived_seed`."""
    return torch.Generator(device or torch.device("cpu")).manual_seed(derived_seed(seed, stream, index))


@contextmanager
def seeded(seed: int, stream: str) -> Iterator[None]:
    """Seed torch's global CPU generator from the stream inside the context, and restore it after; one thread at a time."""
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, stream))
        yield
