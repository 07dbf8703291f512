"""The `vtt` command: its groups, and the exit codes of errors. Each subcommand has a file of its own."""

from __future__ import annotations

import os
import sys

import typer

from app.cli.console import BAD_INPUT_EXIT, FAILURE_EXIT, write_error
from app.cli.file_errors import in_our_words
from app.cli.interrupts import end_at_once, end_on_ctrl_c, exit_code_of_signal
from app.cli.lazy_commands import Place, group_of
from app.domain.errors import DataFolderInUseError, UnsafeHostError
from vtt_client.errors import BadInputError, VttClientError
from vtt_core.contract.cores import shared_cores
from vtt_core.contract.errors import InputError, VttError

COMMANDS = {
    "up": Place("app.cli.up:up", "Service"),
    "api": Place("app.cli.api:api", "Service"),
    "worker": Place("app.cli.worker:worker", "Service"),
    "inspect": Place("app.cli.inspect:inspect", "Adapt"),
    "adapt": Place("app.cli.adapt:adapt", "Adapt"),
    "predict": Place("app.cli.predict:predict", "Adapt"),
    "evaluate": Place("app.cli.evaluate:evaluate", "Adapt"),
    "report": Place("app.cli.report:report", "Adapt"),
    "export": Place("app.cli.export:export", "Adapt"),
    "backbones": Place("app.cli.backbones:backbones", "Adapt"),
    "demo": Place("app.cli.demo:demo", "Adapt"),
    "sample-images": Place("app.cli.sample_images:sample_images", "Adapt"),
    "doctor": Place("app.cli.doctor.command:doctor", "Operate"),
    "health": Place("app.cli.health:health", "Operate"),
    "backup": Place("app.cli.backup:backup", "Operate"),
    "restore": Place("app.cli.restore:restore", "Operate"),
    "draw": Place("app.cli.renamed:draw"),
    "bench": Place("app.cli.bench.group:bench", "Measure"),
    "diagnose": Place("app.cli.bench.diagnose_group:diagnose", "Measure"),
    "keys": Place("app.cli.keys:keys", "Operate"),
    "store": Place("app.cli.store:store", "Operate"),
    "remote": Place("app.cli.remote.group:remote", "Service"),
    "import": Place("app.cli.imports.group:imports", "Adapt"),
}
cli = typer.Typer(
    help="Adapt CLIP to a new image domain from a handful of labelled images, and serve the result.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    cls=group_of(COMMANDS),
)
cli.callback()(lambda: None)  # typer asks for a callback or a command
_BAD_INPUT = (InputError, DataFolderInUseError, UnsafeHostError, BadInputError)
"""Errors of whoever typed the command."""


def main() -> None:
    """Run the command line; for bad input it says what to do and exits with 2, after Ctrl-C with 130."""
    # Read when torch loads, here and in the processes started from here. Half the cores, since API and worker share them.
    # On 2 cores, a step of `mini`, median: beside one busy process 0.82 s with one thread, 1.9 s with two, 1.1 s with two that
    # sleep while they wait; alone 0.8, 0.6 and 1.6 s. Beside much other work two threads took 12 s.
    os.environ.setdefault("OMP_NUM_THREADS", str(shared_cores()))
    end_on_ctrl_c()
    try:
        cli()
    except BaseException as error:
        # Whatever came out: a package written in C may turn the interrupt into an error of its own.
        code = exit_code_of_signal()
        if code is None:
            ours = error if isinstance(error, VttError | VttClientError) else in_our_words(error)
            if ours is None:
                raise
            write_error(ours)
            code = BAD_INPUT_EXIT if isinstance(ours, _BAD_INPUT) else FAILURE_EXIT
        sys.exit(code)
    finally:
        end_at_once()


if __name__ == "__main__":
    main()
