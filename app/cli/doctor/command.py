"""`vtt doctor`: look at this installation, and say what is wrong with it and what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from app.cli.api import put_in_environment
from app.cli.console import FAILURE_EXIT, write_json
from app.cli.doctor.findings import Condition, Finding, note, problem
from vtt_core.inspection.words import counted

if TYPE_CHECKING:
    from app.infra.settings import Settings

COLOURS = {Condition.OK: "green", Condition.NOTE: "yellow", Condition.PROBLEM: "bold red"}
Check = Callable[[], Finding | Iterable[Finding]]


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Data folder; VTT_DATA_DIR, else vtt-data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Look at this installation and its settings, and say what is wrong and what to do; change and start nothing.

    The exit code is 1 if there is a problem. It looks at Python and its packages, processor, device, scan, weights, disks,
    database, store, Redis, workers, at who can use the service without a key, and at the keys.
    """
    put_in_environment(data_dir=data_dir)
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            _write(finding)
    problems = sum(finding.condition is Condition.PROBLEM for finding in findings)
    if as_json:
        write_json({"is_fit": not problems, "findings": [asdict(finding) for finding in findings]})
    else:
        typer.echo(f"{len(findings)} checks, {counted(problems, 'problem')}")
    raise typer.Exit(FAILURE_EXIT if problems else 0)


def examine() -> Iterator[Finding]:
    """Yield what each check finds, one after another, so that slow checks keep nothing back."""
    # These packages take a while to import; `vtt --help` does without them.
    from app.cli.doctor.packages import check_extras, check_packages, check_python, check_torchvision, is_installed  # noqa: PLC0415
    from app.domain.errors import SettingsError  # noqa: PLC0415
    from app.infra.settings import Role, load_settings  # noqa: PLC0415

    yield from _run("python", check_python)
    try:
        settings = load_settings()
    except SettingsError as error:
        yield problem("settings", f"got {error.got}, expected {error.expected}", error.remedy)
        return
    computes = settings.role is not Role.CONTROL
    if not computes:
        yield note("role", "control: it computes nothing, so packages, device and weights are not looked at")
    elif is_installed():
        yield from _run("packages", check_packages)
        yield from _run("torchvision", check_torchvision)
        yield from _run("extras", lambda: check_extras(needed_extras(settings)))
    for part, check in _checks_of(settings, computes=computes).items():
        yield from _run(part, check)


def needed_extras(settings: Settings) -> dict[str, str]:
    """Return which extras the settings need: extra -> setting."""
    from vtt_core.contract.backbones import catalogue  # noqa: PLC0415

    default = next((entry for entry in catalogue() if entry.backbone_id == settings.default_backbone), None)
    needs = {
        "postgres": ("VTT_DATABASE_URL", settings.database_url.startswith("postgres")),
        "s3": ("VTT_STORE_URL", settings.store_url.startswith("s3://")),
        "otel": ("OTEL_EXPORTER_OTLP_ENDPOINT", bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))),
        "cuda": ("VTT_SCAN_KERNELS", settings.scan_kernels == "mamba-ssm"),
        "siglip": ("VTT_DEFAULT_BACKBONE", default is not None and default.has_hub_tokenizer),
    }
    return {extra: setting for extra, (setting, is_needed) in needs.items() if is_needed}


def _checks_of(settings: Settings, *, computes: bool) -> dict[str, Check]:
    from app.cli.doctor import api_keys, exposure, machine, storage  # noqa: PLC0415

    computing: dict[str, Check] = {
        "processor": machine.check_processor,
        "device": lambda: machine.check_device(settings),
        "backbone": lambda: machine.check_weights(settings),
    }
    return (computing if computes else {}) | {
        "disk": lambda: storage.check_disks(settings),
        "database": lambda: storage.check_database(settings),
        "store": lambda: storage.check_store(settings),
        "redis": lambda: storage.check_redis(settings),
        "access": lambda: exposure.check_exposure(settings),
        "keys": lambda: api_keys.check_keys(settings),
    }


def _run(part: str, check: Check) -> Iterator[Finding]:
    """Yield what a check finds. A check that fails itself is a finding too: the other checks must still run."""
    try:
        found = check()
        yield from [found] if isinstance(found, Finding) else found
    except Exception as error:
        yield problem(part, f"cannot be checked: {type(error).__name__}: {error}"[:300], "Mend this first, then run it again")


def _write(finding: Finding) -> None:
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    console.print(
        Text(f"{finding.condition.value:<8}", COLOURS[finding.condition]), Text(f"{finding.part:<16} {finding.detail}")
    )
    if finding.remedy is not None:
        console.print(Text(f"{'':<9}{'to do:':<16} {finding.remedy}"))
