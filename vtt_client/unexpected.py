"""Say in words what came where an answer of the service was expected, such as the page of a proxy or of a login."""

from __future__ import annotations

import json

import httpx2

SHOWN_CHARACTERS = 120


def described(answer: httpx2.Response) -> str:
    """Return what an answer is, with its beginning."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not answer.content.strip():
        return "an empty answer"
    beginning = f"that begins {' '.join(answer.text[: 2 * SHOWN_CHARACTERS].split())[:SHOWN_CHARACTERS]!r}"
    if kind in {"text/html", "application/xhtml+xml"}:
        return f"a web page ({kind}) {beginning}"
    try:
        json.loads(answer.content)
    except (ValueError, RecursionError):
        return f"broken JSON {beginning}" if "json" in kind else f"{kind or 'an answer of no named type'} {beginning}"
    return f"JSON {beginning}"


def redirect_target(answer: httpx2.Response) -> str | None:
    """Return where a redirect leads; None if the answer is none."""
    return answer.headers.get("Location") if answer.is_redirect else None
