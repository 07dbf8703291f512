"""No other site can send our forms, or send a browser away after one."""

import pytest
from fastapi.routing import APIRoute

from app.pages.page_route import PageRoute
from app.pages.visits import local_path
from tests.app.pages.conftest import Browser, csrf_in
from tests.fixtures.http_api import Api

IDS = {"set_id": "set_none", "image_id": "img_none", "job_id": "job_none", "model": "mdl_none", "name": "best"}


def form_routes() -> list[str]:
    from app.pages.router import every_role, router

    routes = [route for part in (router, every_role) for route in flat(part.routes)]
    return sorted(route.path for route in routes if isinstance(route, PageRoute) and "POST" in route.methods)


def flat(routes: list[object]) -> list[APIRoute]:
    found: list[APIRoute] = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        found += flat(inner.routes) if inner is not None else [route] if isinstance(route, APIRoute) else []
    return found


def test_the_walk_finds_forms() -> None:
    assert "/sign-in" in form_routes()


@pytest.mark.slow
@pytest.mark.parametrize("path", form_routes())
def test_a_form_without_the_pages_value_is_refused(api: Api, browser: Browser, path: str) -> None:
    browser.open("/")
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    url = path.format(**{name: IDS.get(name, "mdl_none") for name in names})
    small = api.client.post(url, data={"name": "x"}, follow_redirects=False)
    large = api.client.post(url, files={"archive": ("a.zip", b"PK")}, follow_redirects=False)
    # A form with files is the wrong type where a small one is meant, and the other way round.
    assert sorted([small.status_code, large.status_code]) == [403, 415]
    refusal = small if small.status_code == 403 else large
    assert "a form of a page that this browser has just opened" in refusal.text


def test_nobody_fills_the_memory_with_a_form_of_the_sign_in(locked: Api, locked_browser: Browser) -> None:
    csrf = csrf_in(locked_browser.open("/sign-in").text)
    answer = locked.client.post("/sign-in", data={"csrf": csrf, "key": "x"}, files={"key": ("a", b"x")})
    assert answer.status_code == 415
    assert "a form without files" in answer.text


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/models?x=1", "/models?x=1"),
        (None, "/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("//[", "/"),
        ("javascript:alert(1)", "/"),
        ("/\r\nSet-Cookie: a=b", "/%0D%0ASet-Cookie%3A%20a%3Db"),
    ],
)
def test_only_paths_of_this_service_follow_a_form(wanted: str | None, goes_to: str) -> None:
    assert "\n" not in local_path(wanted)
    assert local_path(wanted) == goes_to or (goes_to.startswith("/%0D") and local_path(wanted).startswith("/"))
