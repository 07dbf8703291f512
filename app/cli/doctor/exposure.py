"""Check who can reach the service, and whether they need a key."""

from __future__ import annotations

from app.access.loopback import is_loopback
from app.cli.doctor.findings import Finding, note, ok, problem
from app.infra.settings import Settings

MAKE_KEYS = "Set VTT_REQUIRE_KEYS=1 and make keys with `vtt keys create`"


def check_exposure(settings: Settings) -> Finding:
    """Check that a service which other machines reach asks for keys."""
    part, where = "access", f"{settings.host}:{settings.port}"
    if settings.require_keys:
        return ok(part, f"{where}, every request needs a key")
    if is_loopback(settings.host):
        names = ", ".join(settings.allowed_hosts)
        if names:
            return note(
                part, f"{where} asks for no key, and browsers may reach it as {names}", f"{MAKE_KEYS}, if others reach it so"
            )
        return ok(part, f"{where}, which only this machine reaches; no key is asked for")
    if settings.allow_unauthenticated:
        return problem(part, f"whoever reaches {where} can use and delete everything: no key is asked for", MAKE_KEYS)
    return problem(
        part, f"the service will not start: others reach {where}, and no key is asked for", f"{MAKE_KEYS}, or unset VTT_HOST"
    )
