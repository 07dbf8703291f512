"""A follower that leaves while events are on their way."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.fixtures.http_api import Api


def test_a_follower_that_leaves_in_the_middle_is_no_error(api: Api) -> None:
    job_id = api.start_job()
    api.publish(job_id)
    path = f"/v1/jobs/{job_id}/events"
    assert api.client.get(path).text.count("event: ") > 2
    scope = {"type": "http", "asgi": {"spec_version": "2.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [(b"host", b"127.0.0.1")]}
    scope |= {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 80)}
    sent: list[Any] = []

    async def follow() -> None:
        has_left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not sent:
                return {"type": "http.request", "body": b"", "more_body": False}
            await has_left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"] == "http.response.body":
                has_left.set()
                await asyncio.sleep(0.1)  # the other events wait behind this one

        await api.client.app(scope, receive, send)

    asyncio.run(follow())
    assert sent[0]["status"] == 200
    assert b"succeeded" not in b"".join(message.get("body", b"") for message in sent)
