"""The asynchronous client does the same, in the same words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fixtures.http_api import Api
from vtt_client import AsyncClient, Retries, UnreachableError


@pytest.mark.slow
def test_the_way_from_a_folder_to_predictions(url: str, api: Api, photos: Path) -> None:
    async def walk() -> None:
        async with AsyncClient(url) as client:
            made = await client.upload(photos)
            job = await client.train(made.id, method="frozen")
            model_id = await asyncio.to_thread(api.publish, job.id)
            states = [event.data["state"] async for event in client.follow(job.id) if event.kind == "state"]
            assert states[-1] == "succeeded"
            assert (await client.wait(job.id)).model_id == model_id
            one, folder = await asyncio.gather(
                client.predict(model_id, [photos / "dog/1.png"]), client.predict_folder(model_id, photos)
            )
            assert (one[0].file, len(folder)) == ("1.png", 5)

    asyncio.run(walk())


def test_a_service_that_is_not_there_is_unreachable() -> None:
    async def ask() -> None:
        async with AsyncClient("http://127.0.0.1:9", retries=Retries(1, 0.01)) as client:
            await client.models()

    with pytest.raises(UnreachableError):
        asyncio.run(ask())
