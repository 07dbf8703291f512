"""Define callers: tenants, keys and what a key allows.

A key has the form `vtt_<key id>_<secret>`. Only a digest of the secret is stored. The secret has 256 random bits and cannot be
guessed, so a plain SHA-256 is enough and a slow hash is not needed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_TENANT_ID = "default"
"""Owner of everything if no key is required."""
KEY_PATTERN = re.compile(r"vtt_(key[0-9a-f]{24})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key allows."""

    TRAIN = "train"
    """Support sets, jobs, and changes to models."""
    PREDICT = "predict"
    """Predictions, and reading models."""


@dataclass(frozen=True)
class Quotas:
    """How much a tenant may have; None means no limit."""

    max_unfinished_jobs: int | None = None
    max_images: int | None = None
    """Support images in all of its sets."""
    max_bytes: int | None = None
    """Size of its support images, adapters and kept images of evaluations."""
    max_predictions_per_minute: int | None = None
    """Query images in a minute."""


@dataclass(frozen=True)
class Caller:
    """The sender of a request."""

    tenant_id: str
    key_id: str | None = None
    scopes: frozenset[Scope] = frozenset(Scope)
    quotas: Quotas = field(default_factory=Quotas)


ANYBODY = Caller(DEFAULT_TENANT_ID)
"""The caller if no key is required."""


@dataclass(frozen=True)
class NewKey:
    """A key with its secret, which its user sees once."""

    key_id: str
    secret: str

    @property
    def text(self) -> str:
        """The key as it is sent in the header."""
        return f"vtt_{self.key_id}_{self.secret}"


def blob_folder(tenant_id: str) -> str:
    """Return the folder of a tenant's blobs in the store, with a slash at its end; for `default` it is the root."""
    return "" if tenant_id == DEFAULT_TENANT_ID else f"tenants/{tenant_id}/"


def draw_key() -> NewKey:
    """Return a random key."""
    return NewKey("key" + secrets.token_hex(12), secrets.token_urlsafe(32))


def hash_secret(secret: str) -> str:
    """Return the digest of a secret; only the digest is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret(secret: str, stored_sha256: str) -> bool:
    """Return whether the secret has this digest; takes the same time whether it has or not."""
    return hmac.compare_digest(hash_secret(secret), stored_sha256)
