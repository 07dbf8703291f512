import pytest

from app.access.headers import HEADERS
from tests.fixtures.http_api import Api, MakeApi


@pytest.mark.parametrize("path", ["/livez", "/v1/models", "/v1/models/mdl_none", "/nowhere", "/docs"])
def test_every_answer_has_secure_headers(api: Api, path: str) -> None:
    headers = api.client.get(path).headers
    # Browsers name the origin of a form only where a page lets them.
    expected = HEADERS | ({"Referrer-Policy": "same-origin"} if path == "/docs" else {})
    assert {name: headers[name] for name in HEADERS} == expected
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_foreign_origins_are_refused_by_default(api: Api) -> None:
    answer = api.client.get("/v1/models", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_is_named_may_ask(make_api: MakeApi) -> None:
    api = make_api(cors_origins=("https://lab.example",))
    answer = api.client.get("/v1/models", headers={"Origin": "https://lab.example"})
    assert answer.headers["access-control-allow-origin"] == "https://lab.example"
    other = api.client.get("/v1/models", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers
