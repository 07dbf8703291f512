"""Phrases for training the text tower of `mini`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtt_core.bench.pretraining.phrases import frequent_words, gather_phrases, read_nouns
from vtt_core.contract.errors import ArchiveLayoutError

WORDNET = """  1 This software and database is being provided to you, the LICENSEE, by
00015388 05 n 02 goldfish 0 Carassius_auratus 0 001 @ 00004475 n 0000 | a small golden fish (of ponds); "he kept a goldfish"
00017222 26 n 02 black_spot 0 leaf_blotch 0 001 @ 00001930 n 0000 | a fungal disease of leaves
00018241 15 n 01 harbour 0 000 | a sheltered port
00019128 18 n 01 Newton 0 000 | an English mathematician
00019613 06 n 01 goldfish 1 000 | a later sense of the same noun
"""


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    path = tmp_path / "data.noun"
    path.write_text(WORDNET, encoding="utf-8")
    return path


def test_frequent_words_are_whole_words_and_begin_with_the_most_frequent() -> None:
    words = frequent_words(2000)
    assert len(words) == len(set(words)) == 2000
    assert {"the", "and", "for"} <= set(words[:20])
    assert all(word.isalpha() and len(word) >= 3 for word in words)


def test_nouns_of_visible_things_come_with_the_first_clause_of_their_first_gloss(wordnet: Path) -> None:
    assert read_nouns(wordnet) == {
        "goldfish": "a small golden fish",
        "black spot": "a fungal disease of leaves",
        "leaf blotch": "a fungal disease of leaves",
    }


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("goldfish\nbullfrog\n", encoding="utf-8")
    with pytest.raises(ArchiveLayoutError, match="wordnet-base"):
        read_nouns(path)


def test_phrases_are_names_then_words_then_nouns_then_glosses(wordnet: Path) -> None:
    phrases = gather_phrases([["goldfish", "carp"], ["frog"]], 10, wordnet)
    assert phrases.names == ("goldfish", "carp", "frog")
    assert phrases.words == tuple(frequent_words(10))
    assert phrases.nouns == ("black spot", "goldfish", "leaf blotch")
    assert phrases.glosses == ("a fungal disease of leaves", "a small golden fish")
    assert phrases.all == phrases.names + phrases.words + phrases.nouns + phrases.glosses


def test_without_wordnet_there_are_names_and_words_only() -> None:
    assert gather_phrases([["goldfish"]], 3, None).all == ("goldfish", *frequent_words(3))
