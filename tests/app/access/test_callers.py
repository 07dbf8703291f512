import pytest

from app.domain.access import Scope, draw_key
from tests.app.access.conftest import MakeCaller
from tests.fixtures.http_api import Api, MakeApi, encode_image

FORM = [("cat", ("a.png", encode_image(1)))]


def test_without_a_key_only_health_is_answered(locked: Api) -> None:
    for path in ("/v1/models", "/v1/jobs", "/v1/support-sets", "/v1/backbones"):
        answer = locked.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "access.key_required")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for path in ("/livez", "/readyz", "/metrics"):
        assert locked.client.get(path).status_code in {200, 503}


@pytest.mark.parametrize(
    "key", ["nonsense", "vtt_nonsense", draw_key().text, draw_key().text + "x"], ids=["no key", "no id", "unknown", "too long"]
)
def test_a_wrong_key_is_refused_and_not_repeated(locked: Api, key: str) -> None:
    answer = locked.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "access.key_refused")
    assert key not in answer.text


def test_a_key_is_checked_before_a_body_is_read(locked: Api) -> None:
    answer = locked.client.post("/v1/support-sets", content=b"no form at all", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 401


def test_a_key_may_do_what_its_scopes_say(locked: Api, make_caller: MakeCaller) -> None:
    trains, predicts = (make_caller(scopes=frozenset({scope})) for scope in (Scope.TRAIN, Scope.PREDICT))
    assert locked.client.get("/v1/models", headers=predicts).status_code == 200
    assert locked.client.get("/v1/models", headers=trains).status_code == 200
    assert locked.client.post("/v1/support-sets", files=FORM, headers=trains).status_code == 201
    refused = locked.client.post("/v1/support-sets", files=FORM, headers=predicts)
    assert (refused.status_code, refused.json()["code"]) == (403, "access.missing_scope")
    refused = locked.client.post("/v1/models/any/predict", files=FORM, headers=trains)
    assert (refused.status_code, refused.json()["code"]) == (403, "access.missing_scope")
    assert locked.client.delete("/v1/models/mdl_1", headers=predicts).status_code == 403


def test_a_key_that_is_sent_counts_where_none_is_required(api: Api) -> None:
    assert api.client.get("/v1/models").status_code == 200
    assert api.client.get("/v1/models", headers={"Authorization": f"Bearer {draw_key().text}"}).status_code == 401


def test_requests_over_the_rate_are_told_when_to_try_again(make_api: MakeApi) -> None:
    api = make_api(requests_per_minute=3)
    statuses = [api.client.get("/v1/models").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = api.client.get("/v1/models")
    assert refused.json()["code"] == "access.rate_limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert api.client.get("/livez").status_code == 200
