"""Identify the caller by the key in the `Authorization` header of a request."""

from __future__ import annotations

from datetime import datetime

from app.domain.access import ANYBODY, KEY_PATTERN, Caller, Scope
from app.domain.errors import KeyRefusedError, KeyRequiredError, MissingScopeError
from app.infra.known_keys import KnownKeys

REMEDY = "Send the header `Authorization: Bearer KEY` with a valid key. The operator creates keys with `vtt keys create`"


def identify(key: str | None, known: KnownKeys, now: datetime, *, is_required: bool) -> Caller:
    """Return the caller.

    Args:
        key: the key after `Bearer`; None without such a header.
        known: all keys.
        now: the current time.
        is_required: whether every request needs a key.

    Raises:
        KeyRequiredError: there is no key.
        KeyRefusedError: the key is not valid.
    """
    if key is None:
        if is_required:
            raise KeyRequiredError(expected="a key in the header Authorization", got="no key", remedy=REMEDY)
        return ANYBODY
    parts = KEY_PATTERN.fullmatch(key)
    caller = None if parts is None else known.authenticate(parts[1], parts[2], now)
    if caller is None:
        # The same text whatever is wrong. The key itself never appears in an answer or a log.
        raise KeyRefusedError(expected="a valid key", got="a key that is unknown, expired, revoked or mistyped", remedy=REMEDY)
    return caller


def check_scope(caller: Caller, scopes: frozenset[Scope]) -> None:
    """Refuse a caller whose key has none of these scopes.

    Raises:
        MissingScopeError: the key has none of them.
    """
    if caller.scopes.isdisjoint(scopes):
        raise MissingScopeError(
            expected=f"a key with the scope {' or '.join(sorted(scopes))}",
            got=f"a key with {_named(caller.scopes)}",
            remedy="Send a key with this scope, or ask the operator of the service for one",
        )


def _named(scopes: frozenset[Scope]) -> str:
    return f"the scope {' and '.join(sorted(scopes))}" if scopes else "no scope"
