"""Pages load files of the package only, which browsers keep until the next release."""

import gzip
import re

import pytest

from app.pages.assets import asset_url
from tests.app.pages.conftest import Browser
from tests.fixtures.http_api import Api


def test_every_file_that_a_page_names_is_there(browser: Browser) -> None:
    page = browser.open("/").text
    named = re.findall(r'(?:href|src)="(/assets/[^"#]+)', page)
    assert len(named) >= 4
    for url in set(named):
        answer = browser.open(url)
        assert answer.status_code == 200, url
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_a_page_loads_nothing_from_another_host(browser: Browser) -> None:
    for path in ("/", "/docs"):
        assert re.findall(r'(?:src|action)="(?!/)[^"]*"', browser.open(path).text) == []


def test_files_are_sent_compressed_to_those_who_take_it(api: Api) -> None:
    url = asset_url("page.css")
    plain = api.client.get(url, headers={"Accept-Encoding": "identity"})
    with api.client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
        zipped = b"".join(answer.iter_raw())
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(zipped) == plain.content


def test_an_address_of_an_older_release_gives_the_file_but_is_not_kept(browser: Browser) -> None:
    answer = browser.open("/assets/0000000000000000/page.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["none.css", "%2e%2e%2fassets.py", "vendor"])
def test_nothing_else_is_served(browser: Browser, name: str) -> None:
    assert browser.open(f"/assets/0/{name}").status_code == 404


def test_a_file_that_is_not_there_cannot_be_named_in_a_template() -> None:
    with pytest.raises(KeyError):
        asset_url("none.css")
