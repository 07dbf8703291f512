"""The application of each role."""

import pytest

from app.domain.errors import UnsafeHostError
from app.infra.settings import Role, Settings
from app.main import create_app


def test_the_whole_walk_by_http(api) -> None:
    job_id = api.start_job()
    model_id = api.publish(job_id)
    assert api.client.get(f"/v1/jobs/{job_id}").json()["model_id"] == model_id
    answer = api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a.png", b"no image"))])
    assert answer.status_code == 422


@pytest.mark.slow
def test_an_open_address_is_refused(settings: Settings) -> None:
    with pytest.raises(UnsafeHostError):
        create_app(settings.model_copy(update={"host": "0.0.0.0"}))
    assert create_app(settings.model_copy(update={"host": "0.0.0.0", "allow_unauthenticated": True}))


@pytest.mark.parametrize(
    ("role", "support_sets", "predict"), [(Role.ALL, 200, 415), (Role.CONTROL, 200, 404), (Role.PREDICT, 404, 415)]
)
def test_a_role_answers_for_its_part_only(make_api, role: Role, support_sets: int, predict: int) -> None:
    client = make_api(role=role).client
    assert client.get("/v1/support-sets").status_code == support_sets
    assert client.post("/predict").status_code == predict
    assert client.get("/livez").status_code == 200
