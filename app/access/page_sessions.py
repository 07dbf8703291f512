"""Let a browser use the pages: a random token in a cookie, bound to a key when its owner signs in.

The token never reaches a script (HttpOnly) or another site (SameSite=Strict). Only its digest is stored. Forms and scripts of
our own pages prove that they are ours by a second value that is computed from the token.

Source: OWASP "Session Management", "Cross-Site Request Forgery Prevention" (synchronizer token).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from app.access.callers import identify
from app.domain.access import Caller
from app.domain.errors import ForgedFormError, KeyRefusedError
from app.infra.known_keys import KnownKeys
from app.infra.page_session_repository import PageSessionRepository
from app.infra.tenancy import Sessions

COOKIE = "vtt_page"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
LIFETIME = timedelta(hours=12)
"""How long a browser stays signed in."""


def draw_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(32)


def csrf_of(token: str) -> str:
    """Return what forms and scripts of our pages send besides the cookie."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


def check_csrf(token: str | None, sent: str | None) -> None:
    """Refuse a request that does not come from one of our own pages.

    Args:
        token: of the cookie; None without one.
        sent: the form field or header.

    Raises:
        ForgedFormError: the value is missing, or is not that of the token.
    """
    if token is None or not hmac.compare_digest(csrf_of(token).encode(), (sent or "").encode()):
        raise ForgedFormError(
            expected="a form of a page that this browser has just opened",
            got="one without the page's token" if not sent else "one of an older page, or of another browser",
            remedy="Load the page again, and repeat what you did",
        )


def sign_in(sessions: Sessions, known: KnownKeys, token: str, key: str, now: datetime) -> None:
    """Bind a token to a key.

    Args:
        sessions: bound to no tenant.
        known: all keys.
        token: a new one, so that a token known from before the sign-in is worth nothing.
        key: as its owner typed it.
        now: the present moment.

    Raises:
        KeyRefusedError: the key is not valid.
    """
    caller = identify(key.strip(), known, now, is_required=True)
    assert caller.key_id is not None
    with sessions.begin() as session:
        PageSessionRepository(session).add(_digest(token), caller.key_id, now, now + LIFETIME)


def sign_out(sessions: Sessions, token: str) -> None:
    """Forget a token."""
    with sessions.begin() as session:
        PageSessionRepository(session).remove(_digest(token))


def identify_browser(token: str, readers: Sessions, now: datetime) -> Caller:
    """Return the caller that a token was bound to.

    Raises:
        KeyRefusedError: it is bound to no key, or the key is no longer valid.
    """
    with readers() as session:
        caller = PageSessionRepository(session).caller(_digest(token), now)
    if caller is None:
        raise KeyRefusedError(
            expected="a browser that has signed in",
            got="one that has not, or whose time or key has ended",
            remedy="Sign in with a key. The operator creates keys with `vtt keys create`",
        )
    return caller


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
