"""One request of a browser for a page: its cookie, the value that its forms must send, and who is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response

from app.access.browsers import SAFE_METHODS
from app.access.page_sessions import COOKIE, CSRF_FIELD, CSRF_HEADER, check_csrf, csrf_of, draw_token
from app.domain.errors import UnsupportedMediaTypeError
from app.uploads.form import SpooledForm

Fields = dict[str, str]
"""The fields of a page's form; of a name that came twice, the last."""
Lists = dict[str, list[str]]
"""The fields of a page's form, each with all that came under its name."""


@dataclass
class Visit:
    """A request for a page."""

    token: str
    is_new: bool
    """Whether the browser must still be given the token."""

    @property
    def csrf(self) -> str:
        """What forms of this page send."""
        return csrf_of(self.token)

    def renew(self) -> str:
        """Give the browser another token, and return it."""
        self.token, self.is_new = draw_token(), True
        return self.token


def begin_visit(request: Request) -> Visit:
    """Return the visit of a request, with the token of its cookie or else a new one."""
    token = request.cookies.get(COOKIE)
    # A form of another site comes without the cookie. Its answer must not replace the one that the browser has.
    visit = Visit(token or draw_token(), is_new=not token and request.method in SAFE_METHODS)
    request.state.page = visit
    return visit


def follows_a_link(request: Request) -> bool:
    """Return whether a browser follows a link of another site or of a mail: then it keeps our cookie to itself."""
    headers = request.headers
    is_link = headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate"
    return is_link and request.method in SAFE_METHODS and COOKIE not in request.cookies


def visit_of(request: Request) -> Visit:
    """Return the visit of a request that a page route answers."""
    visit = request.state.page
    assert isinstance(visit, Visit)
    return visit


def end_visit(request: Request, visit: Visit, response: Response) -> None:
    """Give the browser its token, if it does not have it."""
    if visit.is_new:
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, visit.token, httponly=True, samesite="strict", secure=is_secure, path="/")


async def _checked_lists(request: Request) -> Lists:
    _check_small(request)
    lists: Lists = {}
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                lists.setdefault(name, []).append(value)
    sent = lists.pop(CSRF_FIELD, None)
    check_csrf(request.cookies.get(COOKIE), sent[-1] if sent else request.headers.get(CSRF_HEADER))
    return lists


def _check_small(request: Request) -> None:
    """Refuse a form that may be as large as an upload; the sign-in reads a form before it knows who sends it."""
    sent = request.headers.get("content-type", "")
    if sent.lower().startswith("multipart/"):
        raise UnsupportedMediaTypeError(
            expected="a form without files, of the type application/x-www-form-urlencoded",
            got=repr(sent[:100]),
            remedy="Load the page again, and use its form",
        )


ListsDep = Annotated[Lists, Depends(_checked_lists)]
"""As `FieldsDep`, for a form in which a name may come several times."""


async def _checked_fields(lists: ListsDep) -> Fields:
    return {name: values[-1] for name, values in lists.items()}


FieldsDep = Annotated[Fields, Depends(_checked_fields)]
"""The fields of a form that one of our own pages has sent; every form endpoint depends on it, or calls `check_upload`."""


def check_upload(request: Request, form: SpooledForm) -> None:
    """Refuse a form with files that none of our own pages has sent.

    Raises:
        ForgedFormError: its token is missing or wrong.
    """
    sent = next((part.text for part in form.texts if part.field_name == CSRF_FIELD), None)
    check_csrf(request.cookies.get(COOKIE), sent)


def local_path(wanted: str | None) -> str:
    """Return a path of this service to go to after a form; `/` if what came is not one."""
    try:
        parts = urlsplit(wanted or "/")
    except ValueError:  # such as `//[`
        return "/"
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith(("//", "/\\")):
        return "/"
    return quote(parts.path, safe="/-._~") + (f"?{parts.query}" if parts.query else "")
