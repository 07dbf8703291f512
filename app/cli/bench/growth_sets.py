"""Time what the service does with image sets, as their number in the store and in the database grows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

from app.cli.bench.bulk_rows import FIRST_MOMENT, IMAGES_A_SET, fill_tables
from app.domain.access import DEFAULT_TENANT_ID, Caller
from app.infra.checkpoints import clear_ended_jobs
from app.infra.clearing import clear_batches, clear_exports
from app.infra.database import SessionFactory, make_engine, make_reader_factory, make_session_factory, migrate
from app.infra.object_store import ObjectStore
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow
from app.infra.tenancy import TenantSessions
from app.support_sets.service import first_images, list_views
from vtt_core.bench.speed.growth import Curve
from vtt_core.bench.speed.interleaved import Spread, time_interleaved

NUMBERS_OF_SETS = (1_000, 10_000, 100_000)
PAGE_ROWS = 20
FOLDER = "support-sets"
CONTENT = bytes(10_000)
"""Of an image; what it shows does not matter."""


def measure_sets(folder: Path, *, repeats: int, stopwatch: Callable[[], float], num_points: int | None) -> Curve:
    """Return the milliseconds of adding, listing, sweeping and removing a set.

    Args:
        folder: for the stores and databases; about a gigabyte at the largest number of sets.
        repeats: rounds at each point.
        stopwatch: gives monotonic seconds.
        num_points: the smallest ones; None for all.
    """
    numbers = NUMBERS_OF_SETS[:num_points]
    points = [_measure(folder / str(number), number, repeats, stopwatch) for number in numbers]
    return Curve("image sets", "image sets", numbers, {name: [point[name] for point in points] for name in points[0]})


def _measure(folder: Path, number: int, repeats: int, stopwatch: Callable[[], float]) -> dict[str, float]:
    folder.mkdir(parents=True)
    url = f"sqlite:///{folder / 'rows.sqlite'}"
    migrate(url)
    engine = make_engine(url)
    try:
        fill_tables(engine, number * IMAGES_A_SET, {"support_sets", "support_images"})
        _fill_store(folder / "blobs", number)
        store, sessions = ObjectStore(f"file://{folder / 'blobs'}"), make_session_factory(engine)
        readers = TenantSessions(make_reader_factory(engine), Caller(DEFAULT_TENANT_ID))
        added, removed = count(), count()

        def list_page() -> None:
            with readers() as session:
                views, _ = list_views(session, None, PAGE_ROWS)
                first_images(session, [view.row.id for view in views], 4)

        def sweep() -> None:
            clear_ended_jobs(sessions, store)
            clear_batches(sessions, store, FIRST_MOMENT)
            clear_exports(sessions, store)

        times = time_interleaved(
            {
                "add a set": lambda: _add(sessions, store, f"set_new{next(added)}"),
                "list a page": list_page,
                "read an image": lambda: store.get(f"{FOLDER}/set_{number // 2:012}/image"),
                "sweep": sweep,
                "remove a set": lambda: _remove(sessions, store, f"set_new{next(removed)}"),
            },
            repeats,
            stopwatch,
        )
    finally:
        engine.dispose()
    return {name: 1e3 * Spread.of(values).median for name, values in times.items()}


def _fill_store(folder: Path, number: int) -> None:
    """Write an image of each set as it would lie there; the rest of its images would lie beside it."""
    for place in range(number):
        of_set = folder / FOLDER / f"set_{place:012}"
        of_set.mkdir(parents=True)
        (of_set / "image").write_bytes(CONTENT[:100])


def _add(sessions: SessionFactory, store: ObjectStore, set_id: str) -> None:
    rows = [_image(set_id, place) for place in range(IMAGES_A_SET)]
    for row in rows:
        store.put(row.blob_key, CONTENT)
    with sessions.begin() as session:
        repository = SupportSetRepository(session)
        repository.create("new", FIRST_MOMENT + timedelta(days=400), set_id)
        repository.add_images(rows)


def _image(set_id: str, place: int) -> SupportImageRow:
    return SupportImageRow(
        id=f"img_{set_id}_{place}",
        support_set_id=set_id,
        label="cat" if place % 2 else "dog",
        position=place,
        file_name="",
        sha256=f"{set_id}-{place}",
        size_bytes=len(CONTENT),
        width=1,
        height=1,
        image_format="PNG",
        blob_key=f"{FOLDER}/{set_id}/{place}",
        created_at=FIRST_MOMENT,
    )


def _remove(sessions: SessionFactory, store: ObjectStore, set_id: str) -> None:
    with sessions.begin() as session:
        repository = SupportSetRepository(session)
        repository.lock(set_id).deleted_at = FIRST_MOMENT
        repository.remove_images(set_id)
    store.delete_prefix(f"{FOLDER}/{set_id}")
