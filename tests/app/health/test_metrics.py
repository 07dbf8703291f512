"""The names and shapes of the metrics follow Prometheus' conventions."""

from prometheus_client.parser import text_string_to_metric_families

from app.health.metrics import Metrics
from tests.fixtures.http_api import Api
from tests.fixtures.metric_names import check_conventions


def test_metrics_have_their_unit_at_the_end_and_counters_a_total(api: Api) -> None:
    families = list(text_string_to_metric_families(Metrics(api.context).render().decode()))
    assert {"vtt_jobs", "vtt_http_requests", "vtt_predict_seconds", "vtt_batch_images"} <= {family.name for family in families}
    check_conventions(families)
