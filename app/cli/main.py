"""The `vtt` command: its groups, and the exit codes of errors. Each subcommand has a file of its own."""

from __future__ import annotations

import os
import sys

import typer

from app.cli.adapt import adapt
from app.cli.api import api
from app.cli.backbones import backbones
from app.cli.backup import backup
from app.cli.bench.diagnose import diagnose
from app.cli.bench.diagnose_run import run
from app.cli.bench.episodes import episodes
from app.cli.bench.expected import expected
from app.cli.bench.exports import exports
from app.cli.bench.growth import growth
from app.cli.bench.hosts import hosts
from app.cli.bench.jobs import jobs
from app.cli.bench.load import load
from app.cli.bench.reproduce import reproduce
from app.cli.bench.serve import serve
from app.cli.bench.step import parts, step
from app.cli.bench.table import table
from app.cli.bench.unknown import unknown
from app.cli.console import BAD_INPUT_EXIT, FAILURE_EXIT, write_error
from app.cli.demo import demo
from app.cli.doctor.command import doctor
from app.cli.evaluate import evaluate
from app.cli.export import export
from app.cli.health import health
from app.cli.imports.group import imports
from app.cli.inspect import inspect
from app.cli.interrupts import end_at_once, end_on_ctrl_c, exit_code_of_signal
from app.cli.keys import keys
from app.cli.predict import predict
from app.cli.remote.group import remote
from app.cli.renamed import draw
from app.cli.report import report
from app.cli.restore import restore
from app.cli.sample_images import sample_images
from app.cli.store import store
from app.cli.up import up
from app.cli.worker import worker
from app.domain.errors import DataFolderInUseError, UnsafeHostError
from vtt_client.errors import BadInputError, VttClientError
from vtt_core.contract.cores import shared_cores
from vtt_core.contract.errors import InputError, VttError

cli = typer.Typer(
    help="Adapt CLIP to a new image domain from a handful of labelled images, and serve the result.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="Compare alternatives in turn, and print ratios with their spread.", no_args_is_help=True)
_BAD_INPUT = (InputError, DataFolderInUseError, UnsafeHostError, BadInputError)
"""Errors of whoever typed the command."""
GROUPS = {
    "Service": (up, api, worker),
    "Adapt": (inspect, adapt, predict, evaluate, report, export, backbones, demo, sample_images),
    "Operate": (doctor, health, backup, restore),
}
for group, commands in GROUPS.items():
    for command in commands:
        cli.command(rich_help_panel=group)(command)
cli.command(hidden=True)(draw)
for measurement in (step, parts, jobs, serve, growth, load, episodes, reproduce, hosts, exports, table, expected, unknown):
    bench.command()(measurement)
diagnose.command()(run)
cli.add_typer(bench, name="bench", rich_help_panel="Measure")
cli.add_typer(diagnose, name="diagnose", rich_help_panel="Measure")
cli.add_typer(keys, name="keys", rich_help_panel="Operate")
cli.add_typer(store, name="store", rich_help_panel="Operate")
cli.add_typer(remote, name="remote", rich_help_panel="Service")
cli.add_typer(imports, name="import", rich_help_panel="Adapt")


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
            if not isinstance(error, VttError | VttClientError):
                raise
            write_error(error)
            code = BAD_INPUT_EXIT if isinstance(error, _BAD_INPUT) else FAILURE_EXIT
        sys.exit(code)
    finally:
        end_at_once()


if __name__ == "__main__":
    main()
