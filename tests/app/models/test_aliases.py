"""Aliases over HTTP: list, read, delete."""

from __future__ import annotations

import pytest

from tests.fixtures.http_api import Api


def point(api: Api, name: str, model_id: str) -> dict[str, object]:
    answer = api.client.put(f"/v1/aliases/{name}", json={"model_id": model_id})
    assert answer.status_code == 200
    shown: dict[str, object] = answer.json()
    return shown


def test_aliases_are_listed_by_name_a_page_at_a_time(api: Api) -> None:
    assert api.client.get("/v1/aliases").json() == {"items": [], "next_cursor": None}
    model_id = api.publish()
    made = [point(api, name, model_id) for name in ("c", "a.b", "b-1")]
    first = api.client.get("/v1/aliases?limit=2").json()
    assert first["items"] == [made[1], made[2]]
    second = api.client.get("/v1/aliases", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert second == {"items": [made[0]], "next_cursor": None}


def test_an_alias_says_which_model_it_points_to_even_a_deleted_one(api: Api) -> None:
    model_id = api.publish()
    made = point(api, "current", model_id)
    assert made["links"] == {"self": "/v1/aliases/current", "model": f"/v1/models/{model_id}"}
    assert api.client.get("/v1/aliases/current").json() == made
    api.client.delete(f"/v1/models/{model_id}")
    assert api.client.get("/v1/aliases/current").json() == made


def test_a_deleted_alias_is_not_found_and_its_model_stays(api: Api) -> None:
    model_id = api.publish()
    point(api, "current", model_id)
    assert api.client.delete("/v1/aliases/current").status_code == 204
    for method, path in (("GET", "/v1/aliases/current"), ("DELETE", "/v1/aliases/current"), ("GET", "/v1/models/current")):
        answer = api.client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert api.client.get(f"/v1/models/{model_id}").json()["aliases"] == []
    assert point(api, "current", model_id)["name"] == "current"


@pytest.mark.parametrize("cursor", ["*", "bmFtZQ", "eHx5", "AAAA", "é"])
def test_a_cursor_of_another_kind_is_refused(api: Api, cursor: str) -> None:
    answer = api.client.get("/v1/aliases", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor.invalid")


def test_a_cursor_of_the_jobs_is_none_of_the_aliases(api: Api) -> None:
    for _ in range(2):
        api.start_job()
    cursor = api.client.get("/v1/jobs?limit=1").json()["next_cursor"]
    assert api.client.get("/v1/aliases", params={"cursor": cursor}).status_code == 422
