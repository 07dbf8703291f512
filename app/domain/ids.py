"""Make opaque, prefixed ids that sort by nothing and cannot be guessed."""

from __future__ import annotations

import secrets

SUPPORT_SET_PREFIX = "set_"
IMAGE_PREFIX = "img_"
JOB_PREFIX = "job_"
REQUEST_PREFIX = "req_"
MODEL_PREFIX = "mdl_"
TENANT_PREFIX = "tnt_"


def new_id(prefix: str) -> str:
    """Return the prefix and 96 random bits in hexadecimal."""
    return prefix + secrets.token_hex(12)
