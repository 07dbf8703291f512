"""Images from before metadata were taken out at upload are cleaned in the store, whatever happens beside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import delete

from app.domain.errors import StoreUnavailableError
from app.infra.database import SessionFactory
from app.infra.object_store import ObjectStore
from app.infra.stored_images import CleanedImage, clean_stored_images, count_images
from app.infra.tables import SupportImageRow, SupportSetRow, TenantRow
from tests.fixtures import planted_metadata as planted
from tests.fixtures.band_images import WISH, band_tiff
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.band_images import own_bands


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}/blobs")


@pytest.fixture
def keys(session_factory: SessionFactory, store: ObjectStore, now: datetime) -> list[str]:
    """Four images of two tenants as they came, one of them broken."""
    contents = {
        "jpeg": planted.jpeg(6),
        "png": planted.png(),
        "webp": planted.webp(3),
        "broken": b"\xff\xd8\xff" + planted.SECRET,
    }
    with session_factory.begin() as session:
        session.add(TenantRow(id="tnt_other", name="other", created_at=now))
        session.flush()
        for name, tenant in (("set_1", "tnt_other"), ("set_2", None)):
            owner = {} if tenant is None else {"tenant_id": tenant}
            session.add(SupportSetRow(id=name, empty_labels=[], created_at=now, **owner))
        session.flush()
        for place, (name, content) in enumerate(contents.items()):
            store.put(f"sets/{name}", content)
            session.add(
                SupportImageRow(
                    id=f"img_{place}",
                    support_set_id=f"set_{1 + place % 2}",
                    label="cat",
                    position=place,
                    file_name=name,
                    sha256=name,
                    size_bytes=len(content),
                    width=24,
                    height=16,
                    image_format="JPEG",
                    blob_key=f"sets/{name}",
                    created_at=now,
                )
            )
    return [f"sets/{name}" for name in contents]


def clean(session_factory: SessionFactory, store: ObjectStore, **options: bool) -> list[CleanedImage]:
    return list(clean_stored_images(session_factory, store, DEFAULT_LIMITS, **options))


def sizes(session_factory: SessionFactory) -> dict[str, int]:
    with session_factory() as session:
        return {row.blob_key: row.size_bytes for row in session.query(SupportImageRow)}


def test_the_images_of_all_tenants_are_cleaned_and_their_rows_corrected(
    session_factory: SessionFactory, store: ObjectStore, keys: list[str]
) -> None:
    before = {key: store.get(key) for key in keys}
    cleaned = clean(session_factory, store)
    assert [image.has_changed for image in cleaned] == [True, True, True, False]
    assert cleaned[3].error is not None
    assert store.get("sets/broken") == before["sets/broken"]
    for image in cleaned[:3]:
        stored = store.get(image.blob_key)
        assert planted.SECRET not in stored
        assert len(before[image.blob_key]) - len(stored) == image.bytes_removed > 0
        assert sizes(session_factory)[image.blob_key] == len(stored)
    with session_factory() as session:
        assert session.get_one(SupportImageRow, "img_0").sha256 == "jpeg"  # of what was sent


def test_images_of_many_bands_stay_as_they_are(
    session_factory: SessionFactory, store: ObjectStore, keys: list[str], now: datetime
) -> None:
    with session_factory.begin() as session:
        session.add(SupportSetRow(id="set_3", empty_labels=[], bands=[4, 3, 2], stretch=[2, 98], created_at=now))
        session.flush()
        row = session.get_one(SupportImageRow, "img_0")
        row.support_set_id = "set_3"
        store.put(row.blob_key, band_tiff("stripes", 0))
    cleaned = clean(session_factory, store)
    assert (cleaned[0].error, cleaned[0].has_changed) == (None, True)
    stored = store.get(cleaned[0].blob_key)
    assert own_bands(stored, WISH) == own_bands(band_tiff("stripes", 0), WISH)
    assert b"WGS" not in stored


def test_a_second_run_changes_nothing(session_factory: SessionFactory, store: ObjectStore, keys: list[str]) -> None:
    clean(session_factory, store)
    once = {key: store.get(key) for key in keys}
    assert not any(image.has_changed for image in clean(session_factory, store))
    assert {key: store.get(key) for key in keys} == once


def test_a_dry_run_reports_and_changes_nothing(session_factory: SessionFactory, store: ObjectStore, keys: list[str]) -> None:
    before, rows = {key: store.get(key) for key in keys}, sizes(session_factory)
    tried = clean(session_factory, store, is_dry_run=True)
    assert ({key: store.get(key) for key in keys}, sizes(session_factory)) == (before, rows)
    assert tried[:3] == clean(session_factory, store)[:3]


def test_a_run_that_ended_between_blob_and_row_is_made_good(
    session_factory: SessionFactory, store: ObjectStore, keys: list[str]
) -> None:
    clean(session_factory, store)
    right = sizes(session_factory)
    with session_factory.begin() as session:
        session.get_one(SupportImageRow, "img_0").size_bytes = 1
    clean(session_factory, store)
    assert sizes(session_factory) == right


def test_an_image_that_is_deleted_meanwhile_does_not_come_back(
    session_factory: SessionFactory, store: ObjectStore, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    get = store.get

    def get_and_delete(key: str) -> bytes:
        content = get(key)
        with session_factory.begin() as session:
            session.execute(delete(SupportImageRow).where(SupportImageRow.blob_key == key))
        store.delete(key)
        return content

    monkeypatch.setattr(store, "get", get_and_delete)
    assert clean(session_factory, store) == []
    assert not any(store.exists(key) for key in keys)
    assert count_images(session_factory) == 0


def test_missing_bytes_are_named_and_an_outage_ends_the_run(
    session_factory: SessionFactory, store: ObjectStore, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert count_images(session_factory) == 4
    store.delete("sets/png")
    assert [image.error is not None for image in clean(session_factory, store)] == [False, True, False, True]

    def away(key: str) -> bytes:
        raise StoreUnavailableError(expected="a store", got="none", remedy="Wait")

    monkeypatch.setattr(store, "get", away)
    with pytest.raises(StoreUnavailableError):
        clean(session_factory, store)
