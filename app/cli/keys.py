"""`vtt keys`: create and revoke keys, set quotas, and read the audit log; works on the database of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.cli.console import write_json
from app.domain.access import NewKey, Quotas, Scope
from app.infra.clock import utc_now
from vtt_core.contract.errors import InputError

if TYPE_CHECKING:
    from app.infra.access_repository import AccessRepository
    from app.infra.tables import ApiKeyRow

WIDEST_ROW = 1000
"""Characters; a path alone has up to 400."""

keys = typer.Typer(help="Create and revoke keys, set quotas, read the audit log.", no_args_is_help=True)

TenantOption = Annotated[
    str, typer.Option("--tenant", metavar="NAME", help="Who owns everything that is created with the key.")
]
AnyTenantOption = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Of this tenant only.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `vtt keys list` shows it, key...")]
BoundOption = Annotated[int | None, typer.Option(metavar="N", min=0, help="Quota; without it there is none.")]


@keys.command()
def create(
    tenant: TenantOption,
    scopes: Annotated[str, typer.Option(metavar="SCOPE,...", help="train, predict or both.")] = "train,predict",
    name: Annotated[str, typer.Option(help="What you call the key.")] = "",
    days: Annotated[int | None, typer.Option(metavar="N", min=1, help="Days until it expires; without it, never.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key, and its tenant if that is new. The key is shown once and stored nowhere."""
    chosen, now = _scopes(scopes), utc_now()
    with _access() as access:
        owner = access.ensure_tenant(tenant, now)
        expires_at = None if days is None else now + timedelta(days=days)
        key = access.create_key(owner.id, name, chosen, now, expires_at)
        access.note(owner.id, "vtt keys create", tenant, [key.key_id], now)
    _show_key(key, tenant, as_json=as_json)


@keys.command(name="list")
def list_keys(tenant: AnyTenantOption = None, as_json: JsonOption = False) -> None:
    """List the keys with their tenants, scopes and expiry."""
    with _access() as access:
        shown = [_facts(row, owner) for row, owner in access.keys(tenant)]
    if as_json:
        write_json({"keys": shown})
        return
    _write_table(shown)


@keys.command()
def rotate(
    key_id: KeyArgument,
    grace_hours: Annotated[float, typer.Option(metavar="N", min=0, help="How long the old key still works.")] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Create a key like this one, which expires after the grace period."""
    now = utc_now()
    with _access() as access:
        old = access.key(key_id)
        key = access.rotate_key(key_id, timedelta(hours=grace_hours), now)
        access.note(old.tenant_id, "vtt keys rotate", key_id, [key.key_id], now)
        tenant = next(owner for row, owner in access.keys() if row.id == key_id)
    _show_key(key, tenant, as_json=as_json)


@keys.command()
def revoke(key_id: KeyArgument) -> None:
    """Revoke a key now."""
    now = utc_now()
    with _access() as access:
        row = access.revoke_key(key_id, now)
        access.note(row.tenant_id, "vtt keys revoke", key_id, [], now)


@keys.command()
def quota(
    tenant: TenantOption,
    jobs: BoundOption = None,
    images: BoundOption = None,
    size_bytes: Annotated[int | None, typer.Option("--bytes", metavar="N", min=0, help="As --jobs.")] = None,
    predictions_per_minute: Annotated[int | None, typer.Option(metavar="N", min=1, help="As --jobs.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Set the quotas of a tenant: unfinished jobs, support images, bytes, query images a minute."""
    now = utc_now()
    with _access() as access:
        row, quotas = access.tenant(tenant), Quotas(jobs, images, size_bytes, predictions_per_minute)
        access.set_quotas(row, quotas)
        access.note(row.id, "vtt keys quota", tenant, [], now)
        facts = {"tenant": tenant, **asdict(quotas)}
    if as_json:
        write_json(facts)
    else:
        _write_table([facts])


@keys.command()
def audit(
    tenant: AnyTenantOption = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Lines.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Show who changed what, newest first."""
    with _access() as access:
        shown = [
            {
                "at": row.at.isoformat(timespec="seconds"),
                "tenant": owner,
                "key": row.key_id,
                "address": row.address,
                "action": row.action,
                "path": row.path,
                "created": row.created_ids,
            }
            for row, owner in access.audit_events(tenant, limit)
        ]
    if as_json:
        write_json({"events": shown})
        return
    _write_table(shown)


@contextmanager
def _access() -> Iterator[AccessRepository]:
    # `vtt --help` does without them.
    from app.infra.access_repository import AccessRepository  # noqa: PLC0415
    from app.infra.data_folder import load_local_settings  # noqa: PLC0415
    from app.infra.database import make_engine, make_session_factory, migrate  # noqa: PLC0415

    url = load_local_settings().resolved_database_url
    migrate(url)
    engine = make_engine(url)
    try:
        with make_session_factory(engine).begin() as session:
            yield AccessRepository(session)
    finally:
        engine.dispose()


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            expected=f"scopes among {', '.join(Scope)}, with commas between them", got=repr(text), remedy="Correct --scopes"
        ) from error


def _show_key(key: NewKey, tenant: str, *, as_json: bool) -> None:
    if as_json:
        write_json({"key": key.text, "id": key.key_id, "tenant": tenant})
        return
    typer.echo(key.text)
    typer.echo(f"{key.key_id} of {tenant}. This is the only time that the key is shown; send it as", err=True)
    typer.echo("  Authorization: Bearer KEY", err=True)


def _facts(row: ApiKeyRow, tenant: str) -> dict[str, Any]:
    moments = {"created_at": row.created_at, "expires_at": row.expires_at, "revoked_at": row.revoked_at}
    shown = {name: None if moment is None else moment.isoformat(timespec="seconds") for name, moment in moments.items()}
    return {"id": row.id, "tenant": tenant, "name": row.name, "scopes": row.scopes, **shown}


def _write_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        typer.echo("none", err=True)
        return
    table = Table(*rows[0], box=None, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    # As wide as its rows, however narrow the terminal: an id that is cut cannot be given to another command.
    Console(highlight=False, emoji=False, width=WIDEST_ROW).print(table, markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
