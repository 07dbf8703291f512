"""Read the process environment (prefix `VTT_`) into one typed object."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.errors import SettingsError
from vtt_core.contract.limits import Limits

SQLITE_FILE = "vtt.sqlite"
"""Name of the database in the data folder."""
LONGEST_SOCKET_PATH = 100
"""Bytes; kernels take 104 to 108."""


def socket_in(data_dir: Path) -> Path:
    """Return the path of the private Redis's socket: in the data folder, or in a short one where that is too deep."""
    socket = data_dir.resolve() / "redis.sock"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
        return socket
    digest = hashlib.sha256(os.fsencode(socket)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vtt-{os.getuid()}-{digest}" / "redis.sock"


def split_names(value: Any) -> Any:
    """Return the names in the value of a variable: separated by commas, or a JSON list."""
    if not isinstance(value, str):
        return value
    # An IPv6 address begins with a bracket too, but is no JSON.
    names = json.loads(value) if value.lstrip().startswith(('["', "[]")) else value.split(",")
    return tuple(str(name).strip() for name in names if str(name).strip())


def _clean_origin(value: str) -> str:
    origin = value.rstrip("/").lower()
    if not re.fullmatch(r"\*|null|[a-z][a-z0-9+.-]*://[^/\s]+", origin):
        raise ValueError("an origin is a scheme, a host and perhaps a port, such as https://lab.example")
    return origin


def _check_host_name(value: str) -> str:
    if not re.fullmatch(r"\*|(\*?\.)?[^/:*\s@]+|\[?[0-9A-Fa-f:.]+\]?", value):
        raise ValueError("a host name has no scheme, port or path, such as vtt.lab.example")
    return value


Origin = Annotated[str, AfterValidator(_clean_origin)]
HostName = Annotated[str, AfterValidator(_check_host_name)]


class Role(StrEnum):
    """What this API process answers for."""

    ALL = "all"
    CONTROL = "control"
    PREDICT = "predict"


class Settings(BaseSettings):
    """Defaults are those of the `local` profile: one machine, nothing to install."""

    model_config = SettingsConfigDict(env_prefix="VTT_", env_nested_delimiter="__", frozen=True)

    role: Role = Role.ALL
    data_dir: Path = Path("vtt-data")
    """Folder of the database, the blobs and the private Redis."""
    database_url: str = ""
    """SQLAlchemy URL; empty: SQLite in the data folder."""
    broker_url: str = ""
    """Redis URL; empty: the private Redis on a socket in the data folder."""
    store_url: str = ""
    """fsspec URL of the blobs; empty: a folder in the data folder."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    scan_kernels: Literal["same-bytes", "mamba-ssm"] = "same-bytes"
    """What runs the scan on a worker's GPU: our own kernels, or mamba-ssm's, with which a repeated job differs in last bits."""
    host: str = "127.0.0.1"
    port: int = 8000
    require_keys: bool = False
    """Answer only those who send a key; `vtt keys` makes them."""
    allow_open: bool = False
    """Listen on other addresses than loopback although no key is asked for."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    """Requests of one key; None is without bound."""
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(split_names)] = ()
    """Origins of other web sites whose pages may use the service from a browser, separated by commas or a JSON list."""
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(split_names)] = ()
    """More names by which browsers may call a service without keys, separated by commas or a JSON list; `*` allows all."""
    default_backbone: str = "mini"
    lease_seconds: float = 30.0
    """How long a worker may be silent before another takes its job."""
    heartbeat_seconds: float = 5.0
    reaper_seconds: float = 5.0
    """Pause between two looks for expired leases and unsent jobs."""
    resend_seconds: float = 20.0
    """Age of a queued job's message after which its loss is looked into."""
    checkpoint_steps: int = 25
    """Optimiser steps between two checkpoints."""
    max_request_bytes: int = 600 * 2**20
    """Size of a multipart body, in bytes; other bodies have `max_json_bytes`."""
    max_json_bytes: int = 2**20
    disk_reserve_bytes: int = Field(default=256 * 2**20, ge=0)
    """Free space, in bytes, below which uploads and jobs are refused with 507; at most a twentieth of the disk."""
    adapter_memory_bytes: int = 2**30
    """Memory of the adapters that predictions keep, in bytes; pinned ones stay beyond it."""
    adapter_precision: Literal["float32", "float16"] = "float32"
    """Of the adapters in memory; float16 halves it and rounds them."""
    batch_max_images: int = 32
    """Images that predictions send through the backbone at once."""
    batch_wait_seconds: float = 0.002
    """How long an image waits for others to share a batch with."""
    batch_max_seconds: float = 0.5
    """How long a batch may take, by estimate."""
    decode_threads: int = 2
    """Query images that are decoded at once."""
    predict_max_wait_seconds: float = Field(default=2.0, gt=0)
    """How long an accepted prediction may wait for those before it, by estimate; others are refused with 503."""
    predict_max_waiting_images: int = Field(default=512, ge=1)
    """Query images of all accepted predictions together; others are refused with 503."""
    upload_threads: int = Field(default=4, ge=1)
    """Uploads whose images are checked at once."""
    upload_max_wait_seconds: float = Field(default=10.0, gt=0)
    """How long an accepted upload may wait for those before it, by estimate; others are refused with 503."""
    max_requests: int = Field(default=256, ge=1)
    """Requests of each kind that a process has open at once (those that read, those that change something or predict, event
    streams), health not counted; others are refused with 503."""
    client_share: float = Field(default=0.5, gt=0, le=1)
    """Part of these, and of the connections, that one client may have; more is refused with 429."""
    max_followers: int = Field(default=128, ge=1)
    """Event streams of one tenant in a process; more are refused with 429."""
    max_connections: int = Field(default=2048, ge=1)
    """Open connections of a process."""
    head_seconds: float = Field(default=10.0, gt=0)
    """How long the head of a request may take to arrive."""
    body_pause_seconds: float = Field(default=10.0, gt=0)
    """How long a body may pause, or fall behind its minimum rate."""
    body_bytes_per_second: float = Field(default=1024.0, gt=0)
    """Minimum rate of a body."""
    body_seconds: float = Field(default=900.0, gt=0)
    """How long a whole body may take to arrive."""
    answer_pause_seconds: float = Field(default=60.0, gt=0)
    """How long a client may read nothing of its answer."""
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)
    """Port on which a worker tells its metrics to Prometheus; 0: none."""
    worker_metrics_host: str = "127.0.0.1"
    """Address for it."""
    prediction_retention_days: float = Field(default=0.0, ge=0)
    """How long predictions are kept as rows, never their images; 0: not at all."""
    event_poll_seconds: float = 0.5
    """Pause between two looks for new job events; one look serves all event streams of a process."""
    limits: Limits = Field(default_factory=Limits)
    log_format: str = "console"
    """`console` or `json`."""

    @property
    def resolved_database_url(self) -> str:
        """Database URL with the local default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / SQLITE_FILE}"

    @property
    def redis_socket(self) -> Path:
        """Socket of the private Redis."""
        return socket_in(self.data_dir)

    @property
    def resolved_broker_url(self) -> str:
        """Broker URL with the local default filled in."""
        return self.broker_url or f"redis+socket://{self.redis_socket}"

    @property
    def resolved_store_url(self) -> str:
        """Blob store URL with the local default filled in."""
        return self.store_url or f"file://{self.data_dir.resolve() / 'blobs'}"


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Return the settings of this process, read once.

    Raises:
        SettingsError: a variable of the environment has a value that it cannot have.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        variable = "VTT_" + "__".join(str(part).upper() for part in wrong["loc"] if isinstance(part, str))
        raise SettingsError(
            expected=f"{variable} {_wanted(wrong['msg'])}", got=repr(wrong["input"]), remedy=f"Correct {variable}"
        ) from error


def _wanted(message: str) -> str:
    """Return pydantic's message as the end of a sentence that begins with the name of the variable."""
    told = message.removeprefix("Value error, ")
    return told.replace("Input should be", "to be", 1) if told.startswith("Input should be") else f"to be right ({told})"
