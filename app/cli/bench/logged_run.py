"""Open the log of a benchmark, say how much of it is done already, and show the progress of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.console import NUM_PLAIN_LINES, stderr_console

if TYPE_CHECKING:
    from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog
    from vtt_core.bench.episodes.runner import Benchmark

LOG_FILE = "episodes.jsonl"


@contextmanager
def open_run(benchmark: Benchmark, folder: Path) -> Iterator[tuple[EpisodeLog, EpisodesBar]]:
    """Open the log in a folder, and a progress bar that starts at what the log holds; both are closed after the `with` block.

    Raises:
        InputError: the log cannot be written, or another process appends to it.
    """
    # Imports torch, which takes seconds; other commands do without.
    from vtt_core.bench.episodes.episode_log import open_log  # noqa: PLC0415

    with open_log(folder / LOG_FILE) as log:
        num_episodes = benchmark.protocol.num_episodes
        num_done = sum(len(log.of(benchmark.key(spec), range(num_episodes))) for spec in benchmark.specs)
        total = len(benchmark.specs) * num_episodes
        stderr_console().print(f"log: {folder / LOG_FILE}, {num_done} of {total} done", markup=False)
        with EpisodesBar(total, num_done) as bar:
            yield log, bar


class EpisodesBar:
    """Progress bar of a benchmark; a few plain lines if standard error is no terminal."""

    def __init__(self, total: int, num_done: int) -> None:
        self._total, self._num_done = total, num_done
        self._num_lines = num_done * NUM_PLAIN_LINES // total
        self._console = stderr_console()
        columns = (BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[last]}"))
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._progress.add_task("episodes", total=total, completed=num_done, last="")

    def __enter__(self) -> EpisodesBar:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the bar."""
        self._progress.stop()

    def say(self, message: str) -> None:
        """Write a line without disturbing the bar."""
        self._console.print(message, markup=False)

    def show(self, line: EpisodeLine) -> None:
        """Count one finished episode of one method."""
        self._num_done += 1
        last = f"episode {line.episode}  {line.method}  {100 * line.accuracy:.1f} %  {line.seconds:.1f} s"
        self._progress.update(self._task, completed=self._num_done, last=last)
        due = self._num_done * NUM_PLAIN_LINES // self._total
        if not self._console.is_terminal and due > self._num_lines:
            self._num_lines = due
            self._console.print(f"{self._num_done}/{self._total}  {last}", markup=False)
