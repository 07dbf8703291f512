"""`vtt bench load`: measure a running service under the load of many clients."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.table import Table

from app.cli.bench.load_mix import Mix, parse_weights, prepare_mix
from app.cli.bench.load_run import TIMEOUT_SECONDS, LoadRun
from app.cli.bench.plots import plot_memory
from app.cli.console import stderr_console, write_json
from app.domain.errors import ServiceRefusedError

NUM_SAMPLES = 240
"""Samples of the memory in a run; at most one a second."""


def load(
    url: Annotated[str, typer.Option(help="URL of the running service.")] = "http://127.0.0.1:8000",
    seconds: Annotated[float, typer.Option(metavar="N", min=1, help="How long requests are sent.")] = 60.0,
    clients: Annotated[
        int, typer.Option(metavar="N", min=1, help="Clients; each waits for its answer before it asks again.")
    ] = 16,
    rate: Annotated[float | None, typer.Option(metavar="R", min=0.01, help="Requests/s, instead of --clients.")] = None,
    mix: Annotated[str, typer.Option(help="Shares of the kinds of requests.")] = "predict=90,upload=8,job=2",
    models: Annotated[int, typer.Option(metavar="N", min=1, help="Models that predictions choose from.")] = 4,
    key: Annotated[str | None, typer.Option(help="API key.", envvar="VTT_KEY")] = None,
    pid: Annotated[
        int | None, typer.Option(help="Process id of `vtt up` on this machine, to record the memory of its processes.")
    ] = None,
    memory_plot: Annotated[Path | None, typer.Option(metavar="PNG", help="File for a plot of the memory.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Load a running service with predictions, uploads and short jobs; print rates, latencies, refusals and memory."""
    # The control image has this command, but neither numpy nor psutil.
    from app.cli.bench.load_report import sum_up  # noqa: PLC0415
    from app.cli.bench.process_memory import MemoryCurve, memory_json  # noqa: PLC0415

    weights = parse_weights(mix)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    curve = MemoryCurve(pid, url, headers)
    try:
        with httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False) as http:
            mixed = prepare_mix(http, weights, models)
            stderr_console().print(f"{len(mixed.model_ids)} models are ready; the load starts")
            run = LoadRun(url, headers, mixed, seconds)
            asyncio.run(run.run(clients, rate, curve.look, max(1.0, seconds / NUM_SAMPLES)))
            jobs = _end_jobs(http, mixed)
    except httpx2.TransportError as error:
        raise ServiceRefusedError(
            expected=f"a service that answers on {url}", got=type(error).__name__, remedy="Start one with vtt up"
        ) from error
    result = {"url": url, "clients": None if rate else clients, "rate": rate, "mix": weights, "models": models}
    result |= sum_up(run.outcomes, run.elapsed_seconds) | {"jobs": jobs, "memory": memory_json(curve)}
    if memory_plot is not None:
        plot_memory(curve.samples, memory_plot)
    if as_json:
        write_json(result)
    else:
        _write_tables(result)


def _end_jobs(http: httpx2.Client, mix: Mix) -> dict[str, int]:
    """Count the states of the jobs that the load started, then cancel the unfinished ones."""
    states: dict[str, int] = {}
    for job_id in mix.job_ids:
        job = http.get(f"/v1/jobs/{job_id}").json()
        state = str(job.get("state", job.get("code")))
        states[state] = states.get(state, 0) + 1
        if job.get("finished_at", "") is None:
            http.post(f"/v1/jobs/{job_id}/cancel")
    return states


def _write_tables(result: dict[str, Any]) -> None:
    console = Console(highlight=False, emoji=False)
    how = f"{result['clients']} clients" if result["rate"] is None else f"{result['rate']:g} requests/s offered"
    refusals = result["refusals"]
    console.print(
        f"{how}: {result['requests']} requests in {result['elapsed_seconds']:.1f} s, {result['requests_per_second']:.2f}/s, "
        f"{result['accepted_per_second']:.2f}/s accepted; {100 * refusals['share']:.1f} % refused with 429 or 503, "
        f"{refusals['with_retry_after']} of {refusals['number']} with Retry-After {refusals['retry_after_seconds'] or ''}",
        markup=False,
    )
    table = Table("kind", "requests", "statuses", "p50 ms", "p95 ms", "p99 ms", "max ms", box=None, header_style="bold")
    for kind, figures in result["kinds"].items():
        accepted = figures["accepted_ms"] or {}
        times = [f"{accepted[name]:.0f}" if name in accepted else "-" for name in ("p50", "p95", "p99", "max")]
        statuses = ", ".join(f"{number} x {status}" for status, number in figures["statuses"].items())
        table.add_row(kind, str(figures["requests"]), statuses, *times)
    console.print(table)
    for title, counts in (("no answer", result["failures"]), ("jobs", result["jobs"])):
        if counts:
            console.print(f"{title}: " + ", ".join(f"{number} x {name}" for name, number in counts.items()), markup=False)
    if result["memory"]["growth"]:
        memory = Table("process", "first MB", "last MB", "highest MB", "MB an hour", box=None, header_style="bold")
        for name, growth in result["memory"]["growth"].items():
            values = [f"{growth[key]:.0f}" for key in ("first_mb", "last_mb", "highest_mb", "mb_an_hour")]
            memory.add_row(name, *values)
        console.print(memory)
