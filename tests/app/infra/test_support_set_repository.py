"""Support set rows, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from app.domain.errors import GoneError, NotFoundError, SupportSetFrozenError
from app.infra.database import SessionFactory
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow


def image(set_id: str, label: str, position: int, now: datetime) -> SupportImageRow:
    return SupportImageRow(
        id=f"img_{set_id}_{position}",
        support_set_id=set_id,
        label=label,
        position=position,
        file_name=f"{position}.png",
        sha256=f"{position:064}",
        size_bytes=1,
        width=16,
        height=16,
        image_format="PNG",
        blob_key=f"support-sets/{set_id}/{position}",
        created_at=now,
    )


@pytest.fixture
def session(session_factory: SessionFactory):
    with session_factory.begin() as session:
        yield session


@pytest.fixture
def repository(session: Session) -> SupportSetRepository:
    return SupportSetRepository(session)


def test_classes_follow_their_first_image_and_images_their_class(repository: SupportSetRepository, now: datetime) -> None:
    set_id = repository.create("fields", now).id
    labels = ["dog", "cat", "dog", "ant", "cat"]
    repository.add_images([image(set_id, label, place, now) for place, label in enumerate(labels)])
    assert [(row.label, row.position) for row in repository.images(set_id)] == [
        ("dog", 0),
        ("dog", 2),
        ("cat", 1),
        ("cat", 4),
        ("ant", 3),
    ]
    assert list(repository.shots([set_id])[set_id].items()) == [("dog", 2), ("cat", 2), ("ant", 1)]


def test_shots_are_counted_for_many_sets_at_once(repository: SupportSetRepository, now: datetime) -> None:
    first, second, empty = (repository.create("", now).id for _ in range(3))
    repository.add_images([image(first, "cat", 0, now), image(second, "dog", 0, now), image(second, "dog", 1, now)])
    assert repository.shots([first, second, empty]) == {first: {"cat": 1}, second: {"dog": 2}}


def test_a_frozen_set_stays_frozen_since_its_first_job(repository: SupportSetRepository, now: datetime) -> None:
    set_id = repository.create("", now).id
    assert repository.lock_open(set_id).id == set_id
    repository.freeze(repository.lock(set_id), now)
    repository.freeze(repository.lock(set_id), now + timedelta(hours=1))
    assert repository.get(set_id).frozen_at == now
    with pytest.raises(SupportSetFrozenError, match="Copy it with POST"):
        repository.lock_open(set_id)


def test_a_deleted_set_is_gone_and_not_listed_but_can_be_locked(repository: SupportSetRepository, now: datetime) -> None:
    kept, deleted = repository.create("", now), repository.create("", now)
    deleted.deleted_at = now
    with pytest.raises(GoneError):
        repository.get(deleted.id)
    with pytest.raises(GoneError):
        repository.lock_open(deleted.id)
    assert repository.lock(deleted.id).id == deleted.id
    assert [row.id for row in repository.list_page(None, 5)[0]] == [kept.id]


def test_an_unknown_set_is_not_found(repository: SupportSetRepository) -> None:
    for find in (repository.get, repository.lock, repository.lock_open):
        with pytest.raises(NotFoundError):
            find("set_nothing")


def test_an_image_belongs_to_its_set(repository: SupportSetRepository, now: datetime) -> None:
    first, second = repository.create("", now).id, repository.create("", now).id
    repository.add_images([image(first, "cat", 0, now), image(first, "cat", 1, now)])
    image_id = repository.images(first)[0].id
    assert repository.get_image(first, image_id).id == image_id
    with pytest.raises(NotFoundError):
        repository.get_image(second, image_id)
    repository.remove_images(second, [image_id])
    assert len(repository.images(first)) == 2
    repository.remove_images(first, [image_id])
    assert [row.position for row in repository.images(first)] == [1]
    repository.remove_images(first)
    assert repository.images(first) == []


def test_empty_labels_are_kept(session_factory: SessionFactory, now: datetime) -> None:
    with session_factory.begin() as session:
        row = SupportSetRepository(session).create("", now)
        row.empty_labels = ["b\N{SNOWMAN}", "a"]
    with session_factory() as session:
        assert SupportSetRepository(session).get(row.id).empty_labels == ["b\N{SNOWMAN}", "a"]
