from pathlib import Path

import pytest

from app.domain.errors import BlobMissingError
from app.infra.store import ObjectStore


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}/blobs" if request.param == "file" else f"memory://{tmp_path.name}")


def test_what_was_put_comes_back(store: ObjectStore) -> None:
    store.put("models/mdl_1/manifest.json", b"one")
    store.put("models/mdl_1/manifest.json", b"two")
    assert store.get("models/mdl_1/manifest.json") == b"two"
    assert store.exists("models/mdl_1/manifest.json")


def test_many_come_back_by_key(store: ObjectStore) -> None:
    blobs = {f"support-sets/set_1/img_{i}": bytes([i]) * 10 for i in range(5)}
    for key, content in blobs.items():
        store.put(key, content)
    assert store.get_many(blobs) == blobs
    assert store.get_many(["support-sets/set_1/img_3"]) == {"support-sets/set_1/img_3": bytes([3]) * 10}
    assert store.get_many([]) == {}


def test_a_missing_blob_is_named(store: ObjectStore) -> None:
    store.put("a/there", b"")
    with pytest.raises(BlobMissingError, match="a/missing"):
        store.get("a/missing")
    with pytest.raises(BlobMissingError, match="a/missing"):
        store.get_many(["a/there", "a/missing"])
    assert not store.exists("a/missing")


def test_deleting_is_the_same_twice(store: ObjectStore) -> None:
    store.put("a/b", b"1")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")


def test_a_prefix_goes_with_all_below_it_and_nothing_beside(store: ObjectStore) -> None:
    for key in ("models/mdl_1/a", "models/mdl_1/b", "models/mdl_10/a"):
        store.put(key, b"1")
    store.delete_prefix("models/mdl_1")
    store.delete_prefix("models/mdl_1")
    assert [key for key in ("models/mdl_1/a", "models/mdl_1/b", "models/mdl_10/a") if store.exists(key)] == ["models/mdl_10/a"]


@pytest.mark.parametrize("key", ["", "../x", "a/../b", "/etc/passwd", "a//b", "a/.hidden", "a b", "a/"])
def test_keys_that_could_leave_the_root_are_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        store.put(key, b"")


def test_a_failed_write_leaves_the_old_blob_and_no_draft(tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}")
    store.put("a/b", b"old")
    with pytest.raises(TypeError):
        store.put("a/b", "text")  # type: ignore[arg-type]
    assert store.get("a/b") == b"old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_keys_below_a_prefix_are_listed_without_their_neighbours(store: ObjectStore) -> None:
    for key in ("models/mdl_1/b", "models/mdl_1/a", "models/mdl_10/c"):
        store.put(key, b"x")
    assert store.keys("models/mdl_1") == ["models/mdl_1/a", "models/mdl_1/b"]
    assert store.keys("models/none") == []
