"""The whole tour of the Python client on the cluster of docker-compose.yml, where every request needs a key."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

import pytest

from app.cli.synthetic_images import write_folders
from tests.e2e.cluster import Cluster
from tests.fixtures.relay import Relay, relayed
from vtt_client import AccessError, AsyncClient, Client, NotFoundError, Retries
from vtt_client.following import JobEvent

pytestmark = [pytest.mark.services, pytest.mark.slow]

RECIPE = {"iterations": 6}
QUICK = Retries(first_pause_seconds=0.1)


@pytest.fixture(scope="module")
def key(cluster: Cluster) -> str:
    cluster.wait_for_worker()
    return cluster.key()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_folders(folder / "support", num_images=2)
    write_folders(folder / "query", num_images=2, seed=1)
    return folder


def seen_so_far(relay: Relay, events: list[JobEvent], event: JobEvent) -> None:
    """Keep an event; after the first step of the fine-tuning, lose all connections."""
    if event.kind == "progress" and not any(one.kind == "progress" for one in events):
        relay.cut()
    events.append(event)


def check_events(events: list[JobEvent], relay: Relay) -> None:
    """Check that nothing was lost or told twice when the connection was."""
    assert relay.num_connections >= 2
    assert [event.id for event in events] == list(dict.fromkeys(event.id for event in events))
    steps = [event.data["step"] for event in events if event.kind == "progress"]
    assert steps == sorted(set(steps))
    assert (events[-1].is_end, events[-1].data["state"]) == (True, "succeeded")


def test_the_tour_with_a_key(cluster: Cluster, key: str, drawn: Path, tmp_path: Path) -> None:
    with relayed(cluster.url) as relay, Client(relay.url, key, retries=QUICK) as service:
        made = service.upload(drawn / "support", name="patterns")
        assert (made.way, made.refused) == (5, [])
        job = service.train(made.id, method="clip-lora+vtt", recipe=RECIPE, name="patterns")
        events: list[JobEvent] = []
        for event in service.follow(job.id):
            seen_so_far(relay, events, event)
        check_events(events, relay)
        model = service.model(service.wait(job.id).model_id or "")

        assert service.point_alias("patterns", model.id).model_id == model.id
        found = service.predict_folder("patterns", drawn / "query")
        assert ([one.code for one in found], found.labels) == ([None] * 10, sorted(model.labels))
        batch = service.start_batch("patterns", drawn / "query")
        service.wait_for_batch(batch.id, timeout_seconds=120)
        in_background = {one.file: one.label for one in service.batch_result(batch.id)}
        assert in_background == {one.file: one.label for one in found}
        measured = service.evaluate("patterns", drawn / "query").evaluations[0]
        assert measured.accuracy.num_images == 10

        saved = service.download("patterns", tmp_path / "patterns.zip")
        assert sorted(zipfile.ZipFile(saved).namelist()) == ["adapter.safetensors", "manifest.json"]
        service.export("patterns", "open_clip")
        assert service.wait_for_export("patterns", "open_clip", timeout_seconds=300).size_bytes > 2**20
        assert zipfile.is_zipfile(service.download("patterns", tmp_path / "open_clip.zip", kind="open_clip"))
        for one in (batch.id, measured.id, model.id, job.id, made.id):
            service.delete(one)


def test_the_tour_with_a_key_and_await(cluster: Cluster, key: str, drawn: Path, tmp_path: Path) -> None:
    async def walk(relay: Relay) -> None:
        async with AsyncClient(relay.url, key, retries=QUICK) as service:
            made = await service.upload(drawn / "support", name="others")
            job = await service.train(made.id, method="clip-lora+vtt", recipe=RECIPE)
            events: list[JobEvent] = []
            async for event in service.follow(job.id):
                seen_so_far(relay, events, event)
            check_events(events, relay)
            model_id = (await service.wait(job.id)).model_id or ""
            await service.point_alias("others", model_id)
            found, measured = await asyncio.gather(
                service.predict_folder("others", drawn / "query"), service.evaluate("others", drawn / "query")
            )
            assert (len(found), measured.evaluations[0].accuracy.num_images) == (10, 10)
            assert zipfile.is_zipfile(await service.download("others", tmp_path / "others.zip"))

    with relayed(cluster.url) as relay:
        asyncio.run(walk(relay))


def test_a_wrong_key_is_told_with_what_to_do(cluster: Cluster, key: str, drawn: Path) -> None:
    for wrong, code in ((None, "access.key_required"), (f"{key[:-1]}{'a' if key[-1] != 'a' else 'b'}", "access.key_refused")):
        with Client(cluster.url, wrong) as service, pytest.raises(AccessError) as caught:
            service.models()
        error = caught.value
        assert (error.status, error.code) == (401, code)
        assert error.expected
        assert error.got
        assert "key" in error.remedy
        assert key not in str(error)

    async def ask() -> None:
        async with AsyncClient(cluster.url, "vtt_wrong") as service:
            await service.upload(drawn / "support")

    with pytest.raises(AccessError):
        asyncio.run(ask())


def test_a_key_may_do_what_its_scope_says_and_sees_what_its_tenant_has(cluster: Cluster, key: str, drawn: Path) -> None:
    with Client(cluster.url, key) as service, Client(cluster.url, cluster.key("predict")) as reader:
        made = service.upload(drawn / "support")
        with pytest.raises(AccessError, match=r"access\.missing_scope"):
            reader.train(made.id)
        service.delete(made.id)
        with pytest.raises(NotFoundError):
            service.model("no-such-alias")
