"""Create random ids that cannot be guessed; a prefix tells what they belong to."""

from __future__ import annotations

import secrets

SUPPORT_SET_PREFIX = "set_"
IMAGE_PREFIX = "img_"
JOB_PREFIX = "job_"
MODEL_PREFIX = "mdl_"
TENANT_PREFIX = "tnt_"
EVALUATION_PREFIX = "evl_"
PREDICTION_PREFIX = "prd_"
BATCH_PREFIX = "bat_"
EXPORT_PREFIX = "exp_"
WEBHOOK_PREFIX = "whk_"
DELIVERY_PREFIX = "msg_"
REQUEST_PREFIX = "req_"


def new_id(prefix: str) -> str:
    """Return the prefix and 96 random bits in hexadecimal."""
    return prefix + secrets.token_hex(12)
