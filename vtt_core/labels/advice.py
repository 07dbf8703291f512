"""Find labels that make poor prompts, such as names of folders, and suggest better ones.

A label becomes part of a sentence that the text encoder reads, such as 'a photo of a star.'. It works best if it reads like
a caption. Advice is not an error and may be ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import regex

from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.labels.prompt_text import clip_words
from vtt_core.labels.prompts import class_prompts

_WORDNET_ID = regex.compile(r"n\d{8}")
_LEADING_ID = regex.compile(r"n\d{8}[\s.:-]+(?=\p{L})")
_LEADING_NUMBER = regex.compile(r"(\d+\s*([.)]|[:-]\s)|0\d+)[\s.:-]*(?=\p{L})")
"""A number with punctuation after it or a zero in front; '3 wheeler' and '12-inch record' are names."""
_CAMEL_JOINT = regex.compile(r"(?<=\p{Ll}{2})(?=\p{Lu})|(?<=\p{Lu}{2})(?=\p{Lu}\p{Ll}{2})")
_REPEATED_WORD = regex.compile(r"\b(\p{L}+)(?:\s+\1\b)+", regex.IGNORECASE)
_PLACEHOLDER = regex.compile(
    r"(class|label|category|cat(?=[\s-]*\d)|group|folder|new folder|untitled( folder)?|item|type|img|image|images|photo|photos"
    r"|pic|pics|picture|pictures|dsc|dscn|data|misc|unknown|default)[\s.-]*\d*",
    regex.IGNORECASE,
)


@dataclass(frozen=True)
class Advice:
    """What could be better about one label."""

    code: str
    """For machines: `label.` and the kind."""
    label: str
    prompt: str
    """What the text encoder reads."""
    message: str
    """For people."""
    suggestion: str | None
    """A better label; None where only a person can name the class."""


def advise(labels: Sequence[str], template: str = FinetuneRecipe().prompt_template) -> list[Advice]:
    """Return at most one piece of advice for each label, in their order.

    Args:
        labels: labels, or names of folders that become labels.
        template: of the prompts, with `{}` for the label.
    """
    found = {label: _advice(label, template) for label in labels}
    users: Counter[tuple[str, ...]] = Counter()  # number of classes that have, or would have, this name
    for label, advice in found.items():
        suggestion = None if advice is None else advice.suggestion
        users.update({clip_words(name) for name in (_spaced(label), suggestion) if name is not None})
    return [_without_collision(advice, users) for advice in found.values() if advice is not None]


def _without_collision(advice: Advice, users: Counter[tuple[str, ...]]) -> Advice:
    """Drop a suggestion that would give two classes the same name."""
    if advice.suggestion is None or users[clip_words(advice.suggestion)] == 1:
        return advice
    return replace(
        advice,
        suggestion=None,
        message=f"{advice.message} Another class would get the same name without it, so choose names that differ.",
    )


def _advice(label: str, template: str) -> Advice | None:
    text = _spaced(label)
    (prompt,) = class_prompts([text], template)
    for code, applies, reason in _NAMELESS:
        if applies(text):
            message = f"The prompt will be {prompt!r}. {reason} Give the class a name, in the words of a caption."
            return Advice(code, label, prompt, message, None)
    for code, applies_to_name, reason in _IMPROVABLE:
        if applies_to_name(label):
            return Advice(code, label, prompt, f"The prompt will be {prompt!r}. {reason}", _suggestion(text))
    return None


def _suggestion(text: str) -> str:
    for pattern in (_LEADING_ID, _LEADING_NUMBER):
        if (match := pattern.match(text)) is not None:
            text = text[match.end() :]
    text = _CAMEL_JOINT.sub(" ", text).lower()
    return str(_REPEATED_WORD.sub(r"\1", text))


def _spaced(label: str) -> str:
    """Return the label as prompts use it."""
    return " ".join(label.replace("_", " ").split())


_NAMELESS: tuple[tuple[str, Callable[[str], object], str], ...] = (
    ("label.wordnet_id", _WORDNET_ID.fullmatch, "That is an identifier of WordNet, which the text encoder does not know."),
    ("label.number", regex.compile(r"[\d\s.,-]+").fullmatch, "A number does not say what the images show."),
    ("label.placeholder", _PLACEHOLDER.fullmatch, "That does not say what the images show."),
)
"""Code, test of the label as prompts use it, and reason: there is nothing to make a better name from."""

_IMPROVABLE: tuple[tuple[str, Callable[[str], object], str], ...] = (
    (
        "label.leading_number",
        lambda label: _LEADING_ID.match(_spaced(label)) or _LEADING_NUMBER.match(_spaced(label)),
        "The number in front is not part of the name.",
    ),
    ("label.camel_case", _CAMEL_JOINT.search, "Words that are written together are read as one word."),
    ("label.separator", lambda label: "__" in label, "The separator is read as a space."),
    ("label.repeated_word", lambda label: _REPEATED_WORD.search(_spaced(label)), "A word comes twice."),
)
"""Code, test of the label as found, and reason."""
