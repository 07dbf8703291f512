import asyncio

from app.infra.settings import Settings
from app.overload.bounds import make_bounds
from app.support_sets.endpoints import UPLOAD_BYTES
from tests.fixtures.http_api import Api


def test_the_bounds_follow_the_settings() -> None:
    settings = Settings(batch_max_images=8, predict_max_waiting_images=5, upload_threads=2)
    bounds = make_bounds(settings, lambda: 0.0)
    assert bounds.predictions._bounds.num_threads == 16
    assert bounds.predictions._bounds.max_pieces == 5
    assert bounds.uploads._bounds.num_threads == 2


def test_a_slow_small_upload_does_not_close_the_line_to_a_large_one() -> None:
    async def upload() -> None:
        seconds = [0.0]
        line = make_bounds(Settings(), lambda: seconds[0]).uploads

        def slowly() -> None:
            seconds[0] += 2.0

        await line.run(UPLOAD_BYTES + 400, slowly)
        line.num_pieces = UPLOAD_BYTES + 20_000_000
        line.check()

    asyncio.run(upload())


def test_all_requests_of_a_process_share_its_bounds(api: Api) -> None:
    api.upload()
    line = api.context.bounds.uploads
    line.num_pieces = 1
    assert line.wait_seconds > 0
