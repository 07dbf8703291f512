"""`vtt bench expected`: compare the accuracy that methods expect of themselves with the real one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.bench.logged_run import LOG_FILE
from app.cli.bench.plots import plot_expected
from app.cli.bench.table import named_folder, read_result
from app.cli.console import stderr_console, write_json
from vtt_core.contract.errors import InputError

if TYPE_CHECKING:
    from vtt_core.bench.episodes.expected import ExpectedLine

ALL_RESULTS = "all"
_REMEDY = "Run the same `vtt bench episodes` again: what is done is not computed again"


def expected(
    folders: Annotated[list[str], typer.Argument(metavar="[NAME=]DIR...", help="Folders of `vtt bench episodes`.")],
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw expected against real accuracy.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Compare expected with real accuracy over all episodes: the bias, and the share of intervals that hold."""
    from vtt_core.bench.episodes.expected import expected_markdown, summarise  # noqa: PLC0415  (imports torch)

    by_method: dict[str, list[ExpectedLine]] = {}
    names = []
    for text in folders:
        name, of_methods = read_expectations(text)
        names += [name] if name not in names else []
        for method, lines in of_methods.items():
            by_method.setdefault(method, []).extend(lines)
    if not by_method:
        raise InputError(
            expected="a method that holds images out, such as frozen with 2 shots or more",
            got=f"none in {', '.join(names)}",
            remedy="Run such a method with `vtt bench episodes`",
        )
    table = {}
    for method, lines in by_method.items():
        parts = {name: [line for line in lines if line.name == name] for name in names}
        table[method] = {name: summarise(part) for name, part in parts.items() if part}
        if len(table[method]) > 1:
            table[method][ALL_RESULTS] = summarise(lines)
    if plot is not None:
        plot_expected(by_method, plot)
        stderr_console().print(f"plot: {plot}", markup=False)
    if as_json:
        write_json({"expected": table})
    else:
        typer.echo(expected_markdown(table), nl=False)


def read_expectations(text: str) -> tuple[str, dict[str, list[ExpectedLine]]]:
    """Return the name of a result, and of each of its methods the episodes with an expectation.

    Args:
        text: `[NAME=]DIR`.

    Raises:
        InputError: the folder lacks the result or its log, or they are of an older version.
    """
    # Imports torch, which takes seconds; other commands do without.
    from vtt_core.bench.episodes.episode_log import EpisodeLog, decode_lines  # noqa: PLC0415
    from vtt_core.bench.episodes.expected import expected_lines  # noqa: PLC0415

    (name, result), (_, folder) = read_result(text), named_folder(text)
    try:
        log = EpisodeLog(decode_lines((folder / LOG_FILE).read_bytes()))
        keys = {method: str(figures["key"]) for method, figures in result["methods"].items()}
    except (OSError, KeyError) as error:
        raise InputError(
            expected=f"{LOG_FILE} and a result that names its lines", got=f"{text!r} ({type(error).__name__})", remedy=_REMEDY
        ) from error
    numbers = range(int(result["episodes"]))
    found = {method: expected_lines(name, log.of(key, numbers)) for method, key in keys.items()}
    return name, {method: lines for method, lines in found.items() if lines}
