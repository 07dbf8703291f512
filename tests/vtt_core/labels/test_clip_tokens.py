"""Tokens are counted without torch, and the number is open_clip's."""

from __future__ import annotations

import lzma
import subprocess
import sys
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vtt_core.labels.write_clip_merges import open_clip_merges
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.labels.clip_tokens import MERGES_FILE, fits_clip, num_clip_tokens

TOKENIZER = open_clip.SimpleTokenizer()
WORDS = st.lists(
    st.sampled_from(
        ["black", "footed", "albatross", "Pneumonoultramicroscopic", "12", "猫", "🐈‍⬛", "xqzw", "naïve", "<end_of_text>"]
    )
    | st.text(min_size=1, max_size=12),
    max_size=12,
)


def test_the_bundled_merges_are_those_of_open_clip() -> None:
    packed = files("vtt_core.labels").joinpath(MERGES_FILE).read_bytes()
    assert lzma.decompress(packed).decode().split("\n") == open_clip_merges()


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(WORDS)
def test_the_number_of_tokens_is_that_of_the_tokenizer(words: list[str]) -> None:
    prompt = " ".join(words)
    num_tokens = len(TOKENIZER.encode(prompt))
    assert num_clip_tokens(prompt) == num_tokens
    assert fits_clip(prompt, num_tokens)
    assert not fits_clip(prompt, num_tokens - 1)


@pytest.mark.parametrize(("prompt", "num_tokens"), [("", 0), ("a photo of a star.", 6), ("annualcrop", 3), ("annual crop", 2)])
def test_known_numbers(prompt: str, num_tokens: int) -> None:
    assert num_clip_tokens(prompt) == num_tokens


@pytest.mark.services
def test_counting_imports_no_torch() -> None:
    code = (
        "import sys; from vtt_core.labels.clip_tokens import num_clip_tokens; "
        "print(num_clip_tokens('annualcrop'), sorted({'torch', 'open_clip', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "3 []\n"
