"""Each image on its own: good ones are stored, others are named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from app.infra.clock import utc_now
from app.infra.object_store import ObjectStore
from app.support_sets.admission import Admission
from app.support_sets.intake import Intake
from tests.fixtures import planted_metadata as planted
from tests.fixtures.http_api import encode_image
from vtt_core.contract.limits import DEFAULT_LIMITS


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}")


@pytest.fixture
def intake(store: ObjectStore) -> Intake:
    return Intake("set_1", "support-sets/set_1", store, DEFAULT_LIMITS, Admission(DEFAULT_LIMITS), utc_now())


def test_a_good_image_is_stored_under_its_id_and_not_its_name(intake: Intake, store: ObjectStore) -> None:
    intake.offer("cat", "../../etc/passwd", lambda: encode_image(0))
    (row,) = intake.admit_rows(Admission(DEFAULT_LIMITS), 0)
    assert row.blob_key == f"support-sets/set_1/{row.id}"
    assert store.get(row.blob_key) == encode_image(0)
    assert (row.file_name, row.position) == ("../../etc/passwd", 0)


def test_what_is_stored_has_no_metadata_and_the_digest_is_of_what_was_sent(intake: Intake, store: ObjectStore) -> None:
    sent = planted.jpeg(6)
    intake.offer("cat", "a.jpg", lambda: sent)
    intake.offer("cat", "again.jpg", lambda: sent)
    (row,) = intake.admit_rows(Admission(DEFAULT_LIMITS), 0)
    assert intake.results[1].code == "support_set.duplicate_image"
    assert planted.SECRET not in store.get(row.blob_key)
    assert row.sha256 == hashlib.sha256(sent).hexdigest()
    assert row.size_bytes == len(store.get(row.blob_key)) < len(sent)
    assert (row.width, row.height) == (16, 24)


def test_what_another_request_has_added_meanwhile_is_refused_and_removed(intake: Intake, store: ObjectStore) -> None:
    intake.offer("cat", "a.png", lambda: encode_image(0))
    digest = intake._candidates[0].row.sha256
    key = intake._candidates[0].row.blob_key
    assert intake.admit_rows(Admission(DEFAULT_LIMITS, [("dog", digest)]), 5) == []
    assert intake.results[0].code == "support_set.conflicting_labels"
    assert not store.exists(key)


def test_a_failure_leaves_no_bytes_behind(intake: Intake, store: ObjectStore) -> None:
    intake.offer("cat", "a.png", lambda: encode_image(0))
    with pytest.raises(KeyError), intake.blobs_removed_on_failure():
        raise KeyError
    assert not store.exists(intake._candidates[0].row.blob_key)


def test_bytes_stay_where_the_commit_may_have_arrived(intake: Intake, store: ObjectStore) -> None:
    intake.offer("cat", "a.png", lambda: encode_image(0))
    with pytest.raises(OperationalError), intake.blobs_removed_on_failure():
        raise OperationalError("COMMIT", {}, ConnectionResetError())
    assert store.exists(intake._candidates[0].row.blob_key)


def test_an_empty_class_is_named_once_and_remembered(intake: Intake) -> None:
    intake.name_folder("sea_lake")
    assert intake.note_empty_classes({"cat": 1}, ["old", "cat"]) == ["old", "sea lake"]
    assert [(result.label, result.code) for result in intake.results] == [("sea lake", "support_set.empty_class")]


def test_a_folder_with_an_unusable_name_is_named(intake: Intake) -> None:
    intake.name_folder("x" * 101)
    assert intake.results[0].code == "support_set.bad_label"
    assert intake.note_empty_classes({}, []) == []


def test_a_label_that_another_request_has_meanwhile_sent_in_other_letters_is_refused(
    intake: Intake, store: ObjectStore
) -> None:
    intake.offer("star", "a.png", lambda: encode_image(0))
    intake.name_folder("rings")
    key = intake._candidates[0].row.blob_key
    assert intake.admit_rows(Admission(DEFAULT_LIMITS, [("Star", "1")], ["Rings"]), 5) == []
    assert [(result.label, result.code) for result in intake.results] == [
        ("star", "support_set.same_tokens"),
        ("rings", "support_set.same_tokens"),
    ]
    assert intake.note_empty_classes({"Star": 1}, ["Rings"]) == ["Rings"]
    assert not store.exists(key)


def test_only_files_of_an_archive_are_told_together(intake: Intake) -> None:
    for number in range(6):
        intake.offer("cat", f"field-{number}.txt", lambda: b"text")
    with intake.archive():
        for number in range(7):
            intake.offer("dog", f"dog/{number}.txt", lambda: b"text")
    assert [(result.file, result.count) for result in intake.grouped_results] == [
        *((f"field-{number}.txt", 1) for number in range(6)),
        ("dog/0.txt", 7),
    ]
