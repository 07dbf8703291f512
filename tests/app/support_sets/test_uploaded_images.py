"""Each image on its own: good ones are stored, others are named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from app.domain.errors import StoreUnavailableError
from app.infra.clock import utc_now
from app.infra.object_store import ObjectStore
from app.support_sets.admission import Admission
from app.support_sets.form_files import EmptyFolder, FormFile
from app.support_sets.uploaded_images import UploadedImages
from tests.fixtures import planted_metadata as planted
from tests.fixtures.http_api import encode_image
from vtt_core.contract.limits import DEFAULT_LIMITS


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}")


@pytest.fixture
def images(store: ObjectStore) -> UploadedImages:
    return UploadedImages("set_1", "support-sets/set_1", store, DEFAULT_LIMITS, Admission(DEFAULT_LIMITS), utc_now())


def stored_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_good_image_is_stored_under_its_id_and_not_its_name(images: UploadedImages, store: ObjectStore) -> None:
    images.add(FormFile("cat", "../../etc/passwd", lambda: encode_image(0)))
    (row,) = images.admit_rows(Admission(DEFAULT_LIMITS), 0)
    assert row.blob_key == f"support-sets/set_1/{row.id}"
    assert store.get(row.blob_key) == encode_image(0)
    assert (row.file_name, row.position) == ("../../etc/passwd", 0)


def test_what_is_stored_has_no_metadata_and_the_digest_is_of_what_was_sent(images: UploadedImages, store: ObjectStore) -> None:
    sent = planted.jpeg(6)
    images.add(FormFile("cat", "a.jpg", lambda: sent))
    images.add(FormFile("cat", "again.jpg", lambda: sent))
    (row,) = images.admit_rows(Admission(DEFAULT_LIMITS), 0)
    assert images.results[1].code == "support_set.duplicate_image"
    assert planted.SECRET not in store.get(row.blob_key)
    assert row.sha256 == hashlib.sha256(sent).hexdigest()
    assert row.size_bytes == len(store.get(row.blob_key)) < len(sent)
    assert (row.width, row.height) == (16, 24)


def test_what_another_request_has_added_meanwhile_is_refused_and_removed(images: UploadedImages, tmp_path: Path) -> None:
    sent = encode_image(0)
    images.add(FormFile("cat", "a.png", lambda: sent))
    assert stored_files(tmp_path)
    assert images.admit_rows(Admission(DEFAULT_LIMITS, [("dog", hashlib.sha256(sent).hexdigest())]), 5) == []
    assert images.results[0].code == "support_set.conflicting_labels"
    assert not stored_files(tmp_path)


def test_a_failure_leaves_no_bytes_behind(images: UploadedImages, tmp_path: Path) -> None:
    images.add(FormFile("cat", "a.png", lambda: encode_image(0)))
    with pytest.raises(KeyError), images.blobs_removed_on_failure():
        raise KeyError
    assert not stored_files(tmp_path)


def test_bytes_stay_where_the_commit_may_have_arrived(images: UploadedImages, tmp_path: Path) -> None:
    images.add(FormFile("cat", "a.png", lambda: encode_image(0)))
    with pytest.raises(OperationalError), images.blobs_removed_on_failure():
        raise OperationalError("COMMIT", {}, ConnectionResetError())
    assert stored_files(tmp_path)


def test_an_empty_class_is_named_once_and_remembered(images: UploadedImages) -> None:
    images.add(EmptyFolder("sea_lake"))
    assert images.note_empty_classes({"cat": 1}, ["old", "cat"]) == ["old", "sea lake"]
    assert [(result.label, result.code) for result in images.results] == [("sea lake", "support_set.empty_class")]


def test_a_folder_with_an_unusable_name_is_named(images: UploadedImages) -> None:
    images.add(EmptyFolder("x" * 101))
    assert images.results[0].code == "support_set.bad_label"
    assert images.note_empty_classes({}, []) == []


def test_a_label_that_another_request_has_meanwhile_sent_in_other_letters_is_refused(
    images: UploadedImages, tmp_path: Path
) -> None:
    images.add(FormFile("star", "a.png", lambda: encode_image(0)))
    images.add(EmptyFolder("rings"))
    assert images.admit_rows(Admission(DEFAULT_LIMITS, [("Star", "1")], ["Rings"]), 5) == []
    assert [(result.label, result.code) for result in images.results] == [
        ("star", "support_set.same_tokens"),
        ("rings", "support_set.same_tokens"),
    ]
    assert images.note_empty_classes({"Star": 1}, ["Rings"]) == ["Rings"]
    assert not stored_files(tmp_path)


def test_what_the_store_refuses_fails_the_request_and_not_the_image(
    images: UploadedImages, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(key: str, content: bytes) -> None:
        raise StoreUnavailableError(expected="a store", got="none", remedy="Wait")

    monkeypatch.setattr(store, "put", refuse)
    with pytest.raises(StoreUnavailableError):
        images.add(FormFile("cat", "a.png", lambda: encode_image(0)))


def test_only_files_of_an_archive_are_told_together(images: UploadedImages) -> None:
    for number in range(6):
        images.add(FormFile("cat", f"field-{number}.txt", lambda: b"text"))
    for number in range(7):
        images.add(FormFile("dog", f"dog/{number}.txt", lambda: b"text", in_archive=True))
    assert [(result.file, result.count) for result in images.grouped_results] == [
        *((f"field-{number}.txt", 1) for number in range(6)),
        ("dog/0.txt", 7),
    ]
