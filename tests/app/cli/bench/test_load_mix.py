import io
from collections import Counter, deque

import pytest
from PIL import Image

from app.cli.bench import load_mix
from app.cli.bench.load_mix import SIDES_PIXELS, Mix, make_images, parse_weights, prepare_mix
from app.cli.synthetic_images import PAINTERS
from app.domain.errors import ServiceRefusedError
from tests.fixtures.http_api import Api, MakeApi
from vtt_core.contract.errors import InputError


@pytest.fixture(scope="module")
def images() -> dict[int, dict[str, list[bytes]]]:
    return make_images()


@pytest.mark.parametrize("text", ["", "predict", "predict=x", "look=1", "predict=0", "predict=1,,upload=1", "predict=-1"])
def test_wrong_shares_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--mix"):
        parse_weights(text)


def test_requests_are_mixed_by_their_shares_and_the_same_each_time(images: dict[int, dict[str, list[bytes]]]) -> None:
    def draw() -> list[load_mix.Ask]:
        mix = Mix(parse_weights("predict=80, upload=15,job=5"), ["mdl_1", "mdl_2"], deque(["set_1"]), images)
        return [mix.draw() for _ in range(400)]

    asks = draw()
    assert asks == draw()
    kinds = Counter(ask.kind for ask in asks)
    assert kinds["predict"] > kinds["upload"] > kinds["job"] > 0
    predictions = [ask for ask in asks if ask.kind == "predict"]
    assert {ask.path for ask in predictions} == {f"/v1/models/{model}/predict" for model in ("mdl_1", "mdl_2")}
    encoded = [part[1][1] for ask in predictions for part in ask.files or []]
    assert {Image.open(io.BytesIO(content)).size[0] for content in encoded} == set(SIDES_PIXELS)
    upload = next(ask for ask in asks if ask.kind == "upload")
    assert {label for label, _ in upload.files or []} == set(PAINTERS)


@pytest.mark.slow
def test_jobs_are_of_sets_that_were_sent(api: Api) -> None:
    mix = prepare_mix(api.client, parse_weights("upload=1,job=1"), num_models=1)
    assert mix.model_ids == []
    asks = [mix.draw() for _ in range(8)]
    for ask in asks:
        answer = api.client.post(ask.path, files=ask.files, json=ask.json)
        assert answer.status_code in {201, 202}, answer.text
        mix.learn(ask.kind, answer.json())
    assert len(mix.job_ids) == sum(ask.kind == "job" for ask in asks)


@pytest.mark.slow
def test_models_that_are_there_are_asked(api: Api) -> None:
    model_ids = {api.publish() for _ in range(3)}
    mix = prepare_mix(api.client, parse_weights("predict=1"), num_models=3)
    assert set(mix.model_ids) == model_ids
    assert len(api.client.get("/v1/jobs").json()["items"]) == 3


@pytest.mark.slow
def test_a_model_that_nobody_makes_ends_the_preparation(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_mix, "READY_SECONDS", 0.3)
    with pytest.raises(ServiceRefusedError, match="queued"):
        prepare_mix(api.client, parse_weights("predict=1"), num_models=1)


@pytest.mark.slow
def test_a_service_that_refuses_is_named(make_api: MakeApi) -> None:
    with pytest.raises(ServiceRefusedError, match="status 413"):
        prepare_mix(make_api(max_request_bytes=10).client, parse_weights("upload=1"), num_models=1)
