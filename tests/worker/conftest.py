"""Give the tests a worker's context over a database, a store and a job with real images."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from app.domain.messages import Message
from app.infra.clock import utc_now
from app.infra.database import SessionFactory, make_engine, make_session_factory
from app.infra.job_repository import JobRepository, NewJob
from app.infra.object_store import ObjectStore
from app.infra.settings import Settings
from app.infra.tables import JobRow, SupportImageRow, SupportSetRow
from vtt_core.contract.recipe import FinetuneRecipe
from worker.backbones import BackboneCache
from worker.context import WorkerContext

COLOURS = {"red square": (200, 30, 30), "blue square": (30, 30, 200)}


@dataclass
class SentMessages:
    """A queue that only remembers."""

    job_ids: list[str] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.job_ids.append(message.work_id)


def make_images() -> list[tuple[str, bytes]]:
    """Return (label, PNG) of two images a class."""
    noise = random.Random(0)
    images = []
    for _ in range(2):
        for label, colour in COLOURS.items():
            image = Image.new("RGB", (40, 40), colour)
            for _ in range(30):
                image.putpixel((noise.randrange(40), noise.randrange(40)), (noise.randrange(256),) * 3)
            encoded = io.BytesIO()
            image.save(encoded, "PNG")
            images.append((label, encoded.getvalue()))
    return images


def add_support_set(session_factory: SessionFactory, store: ObjectStore) -> None:
    """Add `set_1`, as an upload would."""
    with session_factory.begin() as session:
        session.add(SupportSetRow(id="set_1", empty_labels=[], created_at=utc_now()))
        session.flush()
        for position, (label, encoded) in enumerate(make_images()):
            key = f"support-sets/set_1/img_{position}"
            store.put(key, encoded)
            session.add(
                SupportImageRow(
                    id=f"img_{position}",
                    support_set_id="set_1",
                    label=label,
                    position=position,
                    file_name=f"{position}.png",
                    sha256=f"{position:064}",
                    size_bytes=len(encoded),
                    width=40,
                    height=40,
                    image_format="PNG",
                    blob_key=key,
                    created_at=utc_now(),
                )
            )


def add_job(session_factory: SessionFactory, *, iterations: int = 3, backbone_id: str = "mini", seed: int = 7) -> str:
    """Add a queued job on `set_1`, without a message."""
    recipe = FinetuneRecipe(iterations=iterations, batch_size=4, num_views=2)
    with session_factory.begin() as session:
        row, _ = JobRepository(session).create(NewJob("set_1", backbone_id, recipe, seed, "0" * 64), utc_now())
        return row.id


@pytest.fixture(scope="session")
def backbones() -> BackboneCache:
    """The bundled backbone, loaded once for all tests."""
    cache = BackboneCache("cpu")
    cache.get("mini")
    return cache


@pytest.fixture
def sent() -> SentMessages:
    return SentMessages()


@pytest.fixture
def context(sqlite_url: str, tmp_path: Path, sent: SentMessages, backbones: BackboneCache) -> WorkerContext:
    settings = Settings(data_dir=tmp_path, heartbeat_seconds=0.05, checkpoint_steps=1)
    session_factory = make_session_factory(make_engine(sqlite_url))
    store = ObjectStore(settings.resolved_store_url)
    add_support_set(session_factory, store)
    return WorkerContext(settings, session_factory, store, sent, backbones, holder="worker-1")


@pytest.fixture
def read_job(context: WorkerContext) -> Callable[[str], JobRow]:
    def read(job_id: str) -> JobRow:
        with context.session_factory() as session:
            return JobRepository(session).get(job_id)

    return read
