from app.infra.settings import Settings
from app.overload.bounds import make_bounds
from tests.fixtures.http_api import Api


def test_the_bounds_follow_the_settings() -> None:
    settings = Settings(batch_max_images=8, predict_max_waiting_images=5, upload_threads=2)
    bounds = make_bounds(settings, lambda: 0.0)
    assert bounds.predictions._bounds.num_threads == 16
    assert bounds.predictions._bounds.max_pieces == 5
    assert bounds.uploads._bounds.num_threads == 2


def test_all_requests_of_a_process_share_its_bounds(api: Api) -> None:
    api.upload()
    line = api.resources.bounds.uploads
    line.num_pieces = 1
    assert line.wait_seconds > 0
