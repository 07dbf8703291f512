"""Write to the terminal: progress and messages to standard error, results to standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vtt_client.errors import VttClientError
from vtt_core.contract.errors import VttError
from vtt_core.ingest.causes import by_cause, cause_of

BAD_INPUT_EXIT = 2
"""Exit code for input that cannot be used."""
FAILURE_EXIT = 1

NUM_DETAILS = 10
"""Images or fields that an error of a service names."""
NUM_PLAIN_LINES = 10
"""Progress lines of a fine-tuning if standard error is no terminal."""
PHASES = {"validation": "validating", "fine-tuning": "fine-tuning"}
"""What a step is part of -> what is said of it."""


def stderr_console() -> Console:
    """Return a console on standard error; standard output belongs to results."""
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def write_json(result: Mapping[str, Any]) -> None:
    """Write the one JSON object of a command to standard output."""
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def write_error(error: VttError | VttClientError) -> None:
    """Write what came, what was expected and what to do, a line each."""
    console = stderr_console()
    console.print(f"{error.title} ({error.code})", style="bold red", markup=False)
    for name, text in (("got", error.got), ("expected", error.expected), ("to do", error.remedy)):
        console.print(f"  {name + ':':<10}{text}", markup=False)
    if isinstance(error, VttClientError):
        _write_details(error)


def _write_details(error: VttClientError) -> None:
    """Name each image, or field, that a service has refused."""
    refused = [(one.get("file"), one) for one in error.results if one.get("code")]
    wrong = [(one.get("location"), one) for one in error.mistakes]
    for name, one in [*refused, *wrong][:NUM_DETAILS]:
        line = f"  {name or 'a file'}: expected {one.get('expected')}, got {one.get('got')}"
        stderr_console().print(line, style="yellow", markup=False)
    if len(refused) + len(wrong) > NUM_DETAILS:
        stderr_console().print(f"  and {len(refused) + len(wrong) - NUM_DETAILS} more", style="yellow", markup=False)


def write_rejection(name: str, error: VttError) -> None:
    """Name one image that is left out, and the reason."""
    stderr_console().print(f"left out {name}: {error}", style="yellow", markup=False)


def write_rejections(rejections: Sequence[tuple[str, VttError]]) -> None:
    """Name the images that are left out; many with the same reason share a line with their number and the first name."""
    for group in by_cause([cause_of(error) for _, error in rejections]):
        name, error = rejections[group[0]]
        write_rejection(name if len(group) == 1 else f"{len(group)} files such as {name}", error)


def describe_step(report: Mapping[str, Any], *, is_short: bool = False) -> str:
    """Return losses, conflict cosine and the state of absorption in one line.

    Args:
        report: a step report as JSON.
        is_short: short enough for a line with a bar in a terminal of 80 columns: the losses alone.
    """
    classification, absorption = ("loss", "absorption") if is_short else ("classification loss", "absorption loss")
    parts = [f"{classification} {report['classification_loss']:.3f}"]
    if report.get("absorption_loss") is not None:
        parts.append(f"{absorption} {report['absorption_loss']:.3f}")
    if report.get("conflict_cosine") is not None and not is_short:
        parts.append(f"cosine {report['conflict_cosine']:+.3f}")
    if report.get("absorption_stopped_at") is not None:
        parts.append("absorption off" if is_short else f"absorption off since step {report['absorption_stopped_at']}")
    return "  ".join(parts)


def phase_of(report: Mapping[str, Any], title: str) -> str:
    """Return what a step is part of, in a word, such as `validating`; the title where the report does not say."""
    return PHASES.get(report.get("phase", ""), title)


class FinetuneBar:
    """Progress bar of a fine-tuning with its losses; a few plain lines if there is no terminal."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = stderr_console()
        columns = (
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[losses]}"),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._progress.add_task(title, total=None, losses="")
        self._lines_written = 0

    def __enter__(self) -> Self:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop the bar."""
        self._progress.stop()

    def show(self, report: Mapping[str, Any]) -> None:
        """Move to one step.

        Args:
            report: a step report as JSON: phase, step, num_steps, losses, cosine, absorption.
        """
        step, num_steps, phase = int(report["step"]), int(report["num_steps"]), phase_of(report, self._title)
        losses = describe_step(report, is_short=True)
        self._progress.update(self._task, completed=step, total=num_steps, description=phase, losses=losses)
        due = step * NUM_PLAIN_LINES // max(num_steps, 1)
        if not self._console.is_terminal and due > self._lines_written:
            self._lines_written = due
            self._console.print(f"{phase} step {step}/{num_steps}  {describe_step(report)}", markup=False)

    def say(self, message: str) -> None:
        """Write a line without disturbing the bar."""
        self._console.print(message, markup=False)
