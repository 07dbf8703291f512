"""Metrics of what can be read, whatever is down."""

from app.health.metrics import Metrics
from tests.fixtures.http_api import MakeApi


def test_a_broker_that_is_down_leaves_the_other_metrics(make_api: MakeApi) -> None:
    api = make_api(broker_url="redis://127.0.0.1:1/0")
    text = Metrics(api.resources).render().decode()
    assert "vtt_models 0.0" in text
    assert "vtt_queue_messages" not in text
