import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from app.domain.errors import BlobMissingError, DiskFullError, StoreUnavailableError
from app.infra.object_store import ObjectStore


@pytest.fixture(params=["file", pytest.param("s3", marks=[pytest.mark.services, pytest.mark.slow])])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("s3_url")) if request.param == "s3" else f"file://{tmp_path}/blobs [1]*"


@pytest.fixture
def store(store_url: str) -> ObjectStore:
    return ObjectStore(store_url)


def test_stored_bytes_are_read_back(store: ObjectStore) -> None:
    store.put("models/mdl_1/manifest.json", b"one")
    store.put("models/mdl_1/manifest.json", b"two")
    assert store.get("models/mdl_1/manifest.json") == b"two"
    assert store.exists("models/mdl_1/manifest.json")


def test_many_blobs_are_read_at_once(store: ObjectStore) -> None:
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


def test_deleting_a_prefix_removes_all_blobs_below_it_and_no_others(store: ObjectStore) -> None:
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


def test_writes_of_other_processes_are_seen_at_once(store_url: str) -> None:
    here, there = ObjectStore(store_url), ObjectStore(store_url)
    assert not here.exists("a/b")
    there.put("a/b", b"1")
    assert here.exists("a/b")
    there.put("a/c", b"2")
    assert here.get_many(["a/b", "a/c"]) == {"a/b": b"1", "a/c": b"2"}
    there.delete_prefix("a")
    assert not here.exists("a/b")
    with pytest.raises(BlobMissingError):
        here.get("a/c")


def test_a_folder_is_not_a_blob(store: ObjectStore) -> None:
    store.put("a/b", b"1")
    assert not store.exists("a")


@pytest.mark.slow
def test_large_blobs_are_read_back_completely(store: ObjectStore) -> None:
    content = bytes(range(256)) * 2**19  # 128 MiB, more than one request may carry
    store.put("a/large", content)
    assert store.get("a/large") == content
    store.delete("a/large")


@pytest.mark.slow
def test_many_threads_share_one_store(store: ObjectStore) -> None:
    def there_and_back(number: int) -> bytes:
        store.put(f"a/{number}", bytes([number]) * 1000)
        return store.get(f"a/{number}")

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(there_and_back, range(64))) == [bytes([number]) * 1000 for number in range(64)]
    store.delete_prefix("a")


def test_a_store_that_answers_says_so(store: ObjectStore) -> None:
    store.ping()


@pytest.mark.slow
@pytest.mark.services
def test_an_s3_that_is_away_is_named_by_every_method(s3_url: str, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    store = ObjectStore(s3_url)
    for call in (
        store.ping,
        lambda: store.put("a/b", b""),
        lambda: store.get("a/b"),
        lambda: store.get_many(["a/b", "a/c"]),
        lambda: store.exists("a/b"),
        lambda: store.delete("a/b"),
        lambda: store.delete_prefix("a"),
        lambda: store.folders("a"),
        lambda: store.keys("a"),
    ):
        with pytest.raises(StoreUnavailableError, match="Could not connect"):
            call()


@pytest.mark.services
def test_a_missing_bucket_is_no_missing_blob(s3_url: str) -> None:
    store = ObjectStore("s3://no-such-bucket/blobs")
    for call in (store.ping, lambda: store.put("a/b", b"")):
        with pytest.raises(StoreUnavailableError, match="VTT_STORE_URL"):
            call()


@pytest.mark.slow
@pytest.mark.services
def test_an_s3_without_keys_is_named(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreUnavailableError, match="credentials"):
        ObjectStore(s3_url).put("a/b", b"")


def test_folders_are_the_names_below_a_prefix(store: ObjectStore) -> None:
    for key in ("jobs/job_1/a", "jobs/job_2/b/c", "jobs/note"):
        store.put(key, b"1")
    assert store.folders("jobs") == ["job_1", "job_2"]
    assert store.folders("nothing") == []


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.put("a/b", b"1"),
        lambda store: store.get("a/b"),
        lambda store: store.get_many(["a/b"]),
        lambda store: store.exists("a/b"),
        lambda store: store.delete("a/b"),
        lambda store: store.delete_prefix("a"),
        lambda store: store.folders("a"),
        lambda store: store.keys("a"),
        lambda store: store.ping(),
    ],
    ids=["put", "get", "get_many", "exists", "delete", "delete_prefix", "folders", "keys", "ping"],
)
def test_a_store_that_does_not_answer_raises_one_kind_of_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[ObjectStore], object]
) -> None:
    class ConnectionLostError(Exception):
        pass

    def fail(*_: object, **__: object) -> None:
        raise ConnectionLostError

    store = ObjectStore(f"memory://{tmp_path.name}")
    for name in ("pipe_file", "cat_file", "cat_ranges", "info", "rm_file", "rm", "ls", "find"):
        monkeypatch.setattr(MemoryFileSystem, name, fail)
    with pytest.raises(StoreUnavailableError, match="ConnectionLostError"):
        act(store)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_an_error_of_its_own_and_leaves_no_half_a_blob(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFullError):
        ObjectStore(f"file://{tmp_path}").put("a", b"1")
    assert list(tmp_path.iterdir()) == []


def test_keys_below_a_prefix_are_listed_without_their_neighbours(store: ObjectStore) -> None:
    for key in ("models/mdl_1/b", "models/mdl_1/a", "models/mdl_10/c"):
        store.put(key, b"x")
    assert store.keys("models/mdl_1") == ["models/mdl_1/a", "models/mdl_1/b"]
    assert store.keys("models/none") == []
