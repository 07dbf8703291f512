"""Check before any training that a backbone reads every label in full and can tell it from the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vtt_core.contract.errors import BadLabelError, SameTokensError, SeveralProblemsError, VttError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.ingest.causes import cause_of
from vtt_core.labels.prompt_rules import PromptRules, prompt_rules
from vtt_core.labels.prompts import class_prompts, context_template

MAX_NAMED = 20
"""Most problems that one error names."""


class LabelReader:
    """How a backbone reads labels in the prompts of a recipe.

    Args:
        backbone_id: as `check_backbone_id` accepts it.
        recipe: names the prompts.
    """

    def __init__(self, backbone_id: str, recipe: FinetuneRecipe) -> None:
        self._rules: PromptRules = prompt_rules(backbone_id)
        self._templates = prompt_templates(recipe)

    def keys(self, label: str) -> tuple[tuple[str, ...], ...]:
        """Return one key for each prompt of the label; prompts with the same key have the same tokens."""
        return tuple(self._rules.key(prompt) for prompt in self._prompts(label))

    def check_length(self, label: str) -> None:
        """Refuse a label whose prompt is too long for the text encoder.

        Raises:
            BadLabelError: it is. Never raised if only a worker has the tokenizer.
        """
        for prompt in self._prompts(label):
            if not self._rules.fits(prompt):
                raise BadLabelError(
                    expected=f"a label whose prompt has at most {self._rules.max_tokens} tokens (pieces of words)",
                    got=f"{self._rules.num_tokens(prompt)} tokens in the prompt of {label[:80]!r}",
                    remedy="Shorten the label to what a caption would say, or shorten the template of the prompt",
                )

    def _prompts(self, label: str) -> tuple[str, ...]:
        return tuple(prompt for template in self._templates for prompt in class_prompts([label], template))


def prompt_templates(recipe: FinetuneRecipe) -> tuple[str, ...]:
    """Return the templates of all prompts that a fine-tuning makes of a label."""
    templates = [recipe.prompt_template]
    if recipe.host == "coop":
        templates.append(context_template(recipe.num_context_tokens))
    return tuple(templates)


class KnownLabels:
    """The labels of one support set, which the text encoder must be able to tell apart.

    Args:
        reader: how their prompts are read.
        labels: known from before; they are not checked.
    """

    def __init__(self, reader: LabelReader, labels: Iterable[str] = ()) -> None:
        self._reader = reader
        self._labels: set[str] = set()
        self._first: dict[tuple[int, tuple[str, ...]], str] = {}
        for label in labels:
            self._note(label, enumerate(reader.keys(label)))

    def add(self, label: str) -> None:
        """Add a label; a known one is not checked again.

        Raises:
            BadLabelError: its prompt is too long.
            SameTokensError: another label has the same tokens; the error names both.
        """
        if label in self._labels:
            return
        self._reader.check_length(label)
        places = list(enumerate(self._reader.keys(label)))
        known = next((self._first[place] for place in places if place in self._first), None)
        if known is not None:
            raise same_tokens(known, label)
        self._note(label, places)

    def _note(self, label: str, places: Iterable[tuple[int, tuple[str, ...]]]) -> None:
        self._labels.add(label)
        for place in places:
            self._first.setdefault(place, label)


def label_problems(labels: Iterable[str], reader: LabelReader) -> list[VttError]:
    """Return all problems of these labels together."""
    known, problems = KnownLabels(reader), []
    for label in labels:
        try:
            known.add(label)
        except VttError as error:
            problems.append(error)
    return problems


def same_tokens(first: str, second: str) -> SameTokensError:
    """Return the error of two labels that a text encoder reads as the same tokens."""
    return SameTokensError(
        expected="labels that the text encoder can tell apart",
        got=f"{first!r} and {second!r}, which it reads as the same tokens",
        remedy="Rename one of the two classes, or put all their images into one class",
    )


def raise_problems(problems: Sequence[VttError]) -> None:
    """Raise one error for all problems, if there are any.

    Raises:
        VttError: all problems have the same cause.
        SeveralProblemsError: they have several causes.
    """
    if not problems:
        return
    first = problems[0]
    more = f"; and {len(problems) - MAX_NAMED} more" if len(problems) > MAX_NAMED else ""
    if len({cause_of(problem) for problem in problems}) == 1:
        got = "; ".join(problem.got for problem in problems[:MAX_NAMED]) + more
        raise type(first)(expected=first.expected, got=got, remedy=first.remedy)
    named = "; ".join(f"({place}) {problem.title}: {problem.got}" for place, problem in enumerate(problems[:MAX_NAMED], 1))
    remedies = dict.fromkeys(problem.remedy for problem in problems[:MAX_NAMED])
    raise SeveralProblemsError(
        expected="classes that can all be used", got=f"{len(problems)} problems: {named}{more}", remedy=". ".join(remedies)
    )
