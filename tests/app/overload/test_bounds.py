import asyncio

import pytest

from app.domain.errors import OverloadedError
from app.infra.settings import Settings
from app.overload.bounds import make_bounds
from app.support_sets.endpoints import UPLOAD_BYTES
from tests.fixtures.http_api import Api


def test_a_queue_holds_as_many_waiting_images_as_the_settings_say() -> None:
    queue = make_bounds(Settings(predict_max_waiting_images=5), lambda: 0.0).predictions
    queue.num_units = 4
    queue.check()
    queue.num_units = 5
    with pytest.raises(OverloadedError):
        queue.check()


def test_a_slow_small_upload_does_not_close_the_queue_to_a_large_one() -> None:
    async def upload() -> None:
        seconds = [0.0]
        queue = make_bounds(Settings(), lambda: seconds[0]).uploads

        def slowly() -> None:
            seconds[0] += 2.0

        await queue.run(UPLOAD_BYTES + 400, slowly)
        queue.num_units = UPLOAD_BYTES + 20_000_000
        queue.check()

    asyncio.run(upload())


def test_all_requests_of_a_process_share_its_bounds(api: Api) -> None:
    api.upload()
    queue = api.context.bounds.uploads
    queue.num_units = 1
    assert queue.wait_seconds > 0
