"""`vtt adapt --dry-run`: show what would be read, without torch and without training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import typer

from app.cli.console import stderr_console, write_error, write_json, write_rejections
from app.cli.selection import Survey, SurveyedClass
from app.domain.errors import error_facts
from vtt_core.contract.support_set import SupportImage
from vtt_core.ingest.causes import by_cause, cause_of
from vtt_core.inspection.words import counted
from vtt_core.labels.advice import Advice, advise
from vtt_core.labels.prompts import class_prompts

NUM_NAMED = 20
"""Labels in the example of a names file."""


@dataclass(frozen=True)
class DryRun:
    """What `--dry-run --json` prints."""

    is_usable: bool
    """Whether a fine-tuning would start."""
    classes: list[dict[str, Any]]
    """Name as found, label, prompt, and the numbers of support images, of their groups, and of query images."""
    negative: dict[str, Any] | None
    """The same of the negative class, without a prompt."""
    num_groups: int
    """Groups of all support images, such as patients."""
    num_ungrouped: int
    """Support images that belong to no group."""
    problems: list[dict[str, str]]
    """Why it would not start."""
    left_out: list[dict[str, Any]]
    """Images that cannot be used; `count` above 1 where many have one cause."""
    advice: list[dict[str, Any]]
    notices: list[str]


def look(survey: Survey, template: str) -> DryRun:
    """Return a survey in a form that can be printed.

    Args:
        survey: what was found.
        template: class prompt with `{}` for the label.
    """
    prompts = class_prompts([one.label for one in survey.classes], template)
    taught = [image for one in (*survey.classes, survey.negative) if one is not None for image in one.support]
    return DryRun(
        is_usable=not survey.problems,
        classes=[
            {**_counts(one), "prompt": prompt, "query": len(one.query)}
            for one, prompt in zip(survey.classes, prompts, strict=True)
        ],
        negative=None if survey.negative is None else _counts(survey.negative),
        num_groups=_num_groups(taught),
        num_ungrouped=sum(image.group is None for image in taught),
        problems=[error_facts(problem) for problem in survey.problems],
        left_out=_left_out(survey),
        advice=[asdict(advice) for advice in advise_on(survey, template)],
        notices=notices_of(survey),
    )


def write_dry_run(survey: Survey, template: str, *, as_json: bool) -> None:
    """Print the survey: as one JSON object, or as a table with problems and advice on standard error."""
    found = look(survey, template)
    if as_json:
        write_json(asdict(found))
        return
    if found.classes or found.negative is not None:
        _write_table(found)
    write_remarks(survey, template)
    for problem in survey.problems:
        write_error(problem)


def _write_table(found: DryRun) -> None:
    negative = [] if found.negative is None else [{**found.negative, "query": 0, "prompt": "(negative: no class)"}]
    for one in (*found.classes, *negative):
        groups = f" {one['groups']:>4} groups" if found.num_groups else ""
        typer.echo(f"{one['label']:<30} {one['support']:>4} support{groups} {one['query']:>4} query   {one['prompt']}")
    support, query = (sum(one[key] for one in found.classes) for key in ("support", "query"))
    counts = ((len(found.classes), "class", "classes"), (support, "support image", "support images"))
    told = [f"{number} {one if number == 1 else several}" for number, one, several in counts]
    told.append(counted(query, "query image"))
    typer.echo(f"{', '.join(told)}; nothing was trained")
    if found.num_groups:
        typer.echo(f"{found.num_groups} groups; {found.num_ungrouped} support images are in none")


def write_remarks(survey: Survey, template: str) -> None:
    """Print to standard error which images are left out, which folders were used, and advice on labels."""
    write_rejections([(left.name, left.error) for left in survey.left_out])
    console = stderr_console()
    for notice in notices_of(survey):
        console.print(notice, markup=False)
    found = advise_on(survey, template)
    for advice in found:
        better = f" Better: {advice.suggestion!r}." if advice.suggestion is not None else ""
        console.print(f"advice on {advice.label!r}: {advice.message}{better}", markup=False)
    if found:
        console.print(f"To rename classes, pass --names FILE with {_names_file(found)}", markup=False)


def advise_on(survey: Survey, template: str) -> list[Advice]:
    """Return advice on the names of the classes."""
    return advise([one.name for one in survey.classes], template)


def notices_of(survey: Survey) -> list[str]:
    """Return how folders such as `train` and `val` were used, and what else is worth knowing, as sentences."""
    split = [] if survey.split is None else [survey.split.sentence(uses_query=True)]
    return [*split, *survey.notices]


def _counts(one: SurveyedClass) -> dict[str, Any]:
    return {"name": one.name, "label": one.label, "support": len(one.support), "groups": _num_groups(one.support)}


def _num_groups(images: Iterable[SupportImage]) -> int:
    return len({image.group for image in images} - {None})


def _names_file(found: Sequence[Advice]) -> str:
    named = [f'"{advice.label}": "{advice.suggestion or "..."}"' for advice in found[:NUM_NAMED]]
    return "{" + ", ".join(named) + ("}" if len(found) <= NUM_NAMED else ", ...}")


def _left_out(survey: Survey) -> list[dict[str, Any]]:
    groups = by_cause([cause_of(left.error) for left in survey.left_out])
    firsts = [(survey.left_out[group[0]], len(group)) for group in groups]
    return [{"file": left.name, "count": count, **error_facts(left.error)} for left, count in firsts]
