import pytest

from app.domain.access import DEFAULT_TENANT_ID, KEY_PATTERN, blob_folder, draw_key, hash_secret, is_secret


def test_a_key_reads_back_as_its_id_and_secret() -> None:
    key = draw_key()
    parts = KEY_PATTERN.fullmatch(key.text)
    assert parts is not None
    assert parts.groups() == (key.key_id, key.secret)


def test_no_two_keys_are_alike() -> None:
    assert len({draw_key().secret for _ in range(100)}) == 100


def test_only_the_secret_has_its_digest() -> None:
    key = draw_key()
    digest = hash_secret(key.secret)
    assert key.secret not in digest
    assert is_secret(key.secret, digest)
    assert not is_secret(key.secret + "x", digest)


@pytest.mark.parametrize(("tenant_id", "folder"), [(DEFAULT_TENANT_ID, ""), ("tnt_1", "tenants/tnt_1/")])
def test_every_tenant_has_a_folder_of_its_own(tenant_id: str, folder: str) -> None:
    assert blob_folder(tenant_id) == folder
