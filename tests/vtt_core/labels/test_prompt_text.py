"""The torch-free words of a prompt say exactly what open_clip's tokenizers say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.labels.prompt_text import CLEANINGS, Cleaning, clean_prompt, clip_words

TOKENIZER = open_clip.SimpleTokenizer()
PIECES = st.sampled_from(
    [
        "star",
        "Star",
        "STAR",
        "ｓｔａｒ",
        "class",
        "1",
        "12",
        " ",
        "  ",
        "_",
        ".",
        "..",
        "'s",
        "’s",
        "&amp;",
        "&",
        "&amp;amp;",
        "amp;",
    ]
    + [
        "ﬁ",
        "fi",
        "é",
        "e\u0301",
        "Ã©",
        "İ",
        "ß",
        "ẞ",
        "ſ",
        "'ſ",
        "-",
        "–",
        "…",
        "<start_of_text>",
        "{}",
        "\u00a0",
        "\u200b",
        "\x1f",
    ]
    + ["²", "Ⅳ", "猫", "🐈", "&lt;", "<", "b&w", "\\", "/"]
)
LABELS = st.lists(PIECES, min_size=1, max_size=4).map("".join) | st.text(max_size=8)


def ids(label: str) -> list[int]:
    return list(TOKENIZER.encode(f"a photo of a {label}."))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(LABELS, LABELS)
def test_two_prompts_have_the_same_words_exactly_if_they_have_the_same_tokens(first: str, second: str) -> None:
    same_words = clip_words(f"a photo of a {first}.") == clip_words(f"a photo of a {second}.")
    assert same_words == (ids(first) == ids(second))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(LABELS)
def test_changes_that_the_tokenizer_undoes_change_no_word(label: str) -> None:
    for other in (label.upper(), label.lower(), label.replace(" ", "  "), label.replace("&", "&amp;")):
        assert (clip_words(label) == clip_words(other)) == (TOKENIZER.encode(label) == TOKENIZER.encode(other))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(LABELS)
@pytest.mark.parametrize("cleaning", CLEANINGS)
def test_a_prompt_is_cleaned_as_open_clip_does(cleaning: Cleaning, label: str) -> None:
    assert clean_prompt(label, cleaning) == open_clip.tokenizer.get_clean_fn(cleaning)(label)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Star", "star"),
        ("ｓｔａｒ", "star"),
        ("child’s toy", "child's toy"),
        ("b&amp;w star", "b&w star"),
        ("class1", "class 1"),
    ],
)
def test_labels_that_clip_reads_as_one_have_the_same_words(first: str, second: str) -> None:
    assert clip_words(first) == clip_words(second)


@pytest.mark.parametrize(("first", "second"), [("star", "stars"), ("a b", "ab"), ("cat.", "cat"), ("1 2", "1 3")])
def test_other_labels_have_other_words(first: str, second: str) -> None:
    assert clip_words(first) != clip_words(second)
