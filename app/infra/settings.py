"""Read the settings of a process from environment variables with the prefix `VTT_`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from app.domain.errors import SettingsError
from app.infra.renamed_settings import use_new_names
from vtt_core.contract.limits import Limits

SQLITE_FILE = "vtt.sqlite"
"""Name of the database in the data folder."""
LONGEST_SOCKET_PATH = 100
"""Bytes; kernels take 104 to 108."""


def socket_in(data_dir: Path) -> Path:
    """Return the path of the private Redis's socket: in the data folder, or in a temporary one if that path is too long."""
    socket = data_dir.resolve() / "redis.sock"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
        return socket
    digest = hashlib.sha256(os.fsencode(socket)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vtt-{os.getuid()}-{digest}" / "redis.sock"


def split_names(value: Any) -> Any:
    """Return the names in the value of a variable, which are separated by commas or a JSON list."""
    if not isinstance(value, str):
        return value
    # An IPv6 address begins with a bracket too, but it is not JSON.
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


def _check_limits(limits: Limits) -> Limits:
    for name, value in asdict(limits).items():
        if not value > 0:
            raise ValueError(f"VTT_LIMITS__{name.upper()} is above 0, not {value}")
    if limits.min_way > limits.max_way:
        raise ValueError(f"VTT_LIMITS__MIN_WAY is at most VTT_LIMITS__MAX_WAY, not {limits.min_way} with {limits.max_way}")
    return limits


def check_threads(text: str | None) -> None:
    """Refuse a number of threads that torch would ignore.

    Args:
        text: of OMP_NUM_THREADS; None where it is not set.

    Raises:
        SettingsError: it is neither a number from 1 nor a list of them.
    """
    if text is not None and not all(part.strip().isdecimal() and int(part) > 0 for part in text.split(",")):
        raise SettingsError(
            expected="OMP_NUM_THREADS to be a number from 1", got=repr(text), remedy="Correct or unset OMP_NUM_THREADS"
        )


Origin = Annotated[str, AfterValidator(_clean_origin)]
HostName = Annotated[str, AfterValidator(_check_host_name)]


class Role(StrEnum):
    """Which requests this API process answers."""

    ALL = "all"
    CONTROL = "control"
    PREDICT = "predict"


class Settings(BaseSettings):
    """Defaults are those of the `local` profile: one machine, nothing to install."""

    model_config = SettingsConfigDict(env_prefix="VTT_", env_nested_delimiter="__", frozen=True)

    # The process and its data
    role: Role = Role.ALL
    data_dir: Path = Path("vtt-data")
    """Folder of the database, the stored files and the private Redis."""
    database_url: str = ""
    """SQLAlchemy URL. Empty: SQLite in the data folder."""
    broker_url: str = ""
    """Redis URL. Empty: a private Redis on a socket in the data folder."""
    store_url: str = ""
    """fsspec URL of the store of images and adapters. Empty: a folder in the data folder."""
    disk_reserve_bytes: int = Field(default=256 * 2**20, ge=0)
    """Free disk space that is kept back, at most a twentieth of the disk. Uploads and jobs that need it get 507."""
    limits: Annotated[Limits, AfterValidator(_check_limits)] = Field(default_factory=Limits)
    """Limits on images and support sets; each is a variable of its own, such as VTT_LIMITS__MAX_SHOT."""
    log_format: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines."""

    # The address, and who may use it
    host: str = "127.0.0.1"
    port: int = 8000
    """Host and port to listen on."""
    require_keys: bool = False
    """Whether every request needs a key. `vtt keys create` makes one."""
    allow_unauthenticated: bool = False
    """Whether to listen on addresses other than loopback although no key is required. Else the service does not start."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    """Requests that one key may send in a minute; more are refused with 429. None: no limit."""
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(split_names)] = ()
    """Origins of other web sites whose pages may use the service from a browser; separated by commas, or a JSON list."""
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(split_names)] = ()
    """More host names by which browsers may reach a service without keys; separated by commas, or a JSON list. `*`: any."""

    # Fine-tuning
    device: str = "auto"
    """Torch device: `auto`, `cpu`, `cuda` or `cuda:N`."""
    default_backbone: str = "mini"
    """Backbone of jobs that name none; loaded when a process starts."""
    scan_kernels: Literal["reproducible", "mamba-ssm"] = "reproducible"
    """GPU kernels of the scan. `reproducible`: our own, with which a repeated job gives the same bytes. `mamba-ssm`: that
    package's, with which the last bits differ from run to run."""
    checkpoint_steps: int = Field(default=25, ge=1)
    """Optimiser steps between two checkpoints. A worker that takes over a job repeats at most that many."""

    # Lost workers and lost messages
    lease_seconds: float = Field(default=30.0, gt=0)
    """Seconds without a heartbeat after which a worker counts as lost. Its job is then queued again."""
    heartbeat_seconds: float = Field(default=5.0, gt=0)
    """Seconds between two heartbeats of a running job."""
    reaper_seconds: float = Field(default=5.0, gt=0)
    """Seconds between two searches for expired leases and lost messages."""
    requeue_after_seconds: float = Field(default=20.0, ge=0)
    """Seconds after which the message of a queued job may count as lost. It is then sent again, if messages are missing."""

    # Webhooks
    webhooks_may_reach_private: bool = False
    """Whether webhooks may be sent to private, loopback and link-local addresses. Else only to public ones."""
    webhook_seconds: float = Field(default=10.0, gt=0)
    """Seconds that sending one event to one webhook may take. Beyond that it is tried again later."""

    # Predictions
    adapter_memory_bytes: int = Field(default=2**30, ge=0)
    """Memory for adapters. Beyond it the adapter used least recently is dropped, but never a pinned one."""
    adapter_precision: Literal["float32", "float16"] = "float32"
    """Number format of adapters in memory. float16 takes half the memory and rounds them."""
    batch_max_images: int = Field(default=32, ge=1)
    """Images in one batch at most; further ones go into the next batch."""
    batch_wait_seconds: float = Field(default=0.0, ge=0)
    """Seconds that the first image of a batch waits for others to fill it."""
    batch_max_seconds: float = Field(default=0.5, gt=0)
    """Seconds that a batch may take, by estimate. A batch that would take longer gets fewer images."""
    api_processes: int = Field(default=1, ge=1, le=64)
    """Processes of the API that `vtt up` starts, each with its own copy of the backbone and its own bounds on requests."""
    job_threads: int | None = Field(default=None, ge=1)
    """Cores that a job computes with, on a CPU; None for all that the worker may use."""
    decode_threads: int = Field(default=2, ge=1)
    """Query images that are decoded at the same time."""
    predict_max_wait_seconds: float = Field(default=2.0, gt=0)
    """Seconds that a prediction may wait for those before it, by estimate. Beyond that it is refused with 503."""
    predict_max_waiting_images: int = Field(default=512, ge=1)
    """Query images of all accepted predictions together. Beyond that a prediction is refused with 503."""
    prediction_retention_days: float = Field(default=0.0, ge=0)
    """Days that predictions are kept in the database; never their images. 0: they are not kept."""

    # Uploads and request bodies
    max_request_bytes: int = Field(default=600 * 2**20, ge=1)
    """Size of a multipart body. A larger one is refused with 413."""
    max_json_bytes: int = Field(default=2**20, ge=1)
    """Size of any other body. A larger one is refused with 413."""
    upload_threads: int = Field(default=4, ge=1)
    """Uploads whose images are checked at the same time."""
    upload_max_wait_seconds: float = Field(default=10.0, gt=0)
    """Seconds that an upload may wait for those before it, by estimate. Beyond that it is refused with 503."""

    # Requests and connections at the same time
    max_requests: int = Field(default=256, ge=1)
    """Open requests of each kind in a process; more are refused with 503. The kinds are requests that read, requests that
    change something or predict, and event streams. Health checks are not counted."""
    client_share: float = Field(default=0.5, gt=0, le=1)
    """Share of these requests, and of the connections, that one client may have. More are refused with 429."""
    max_followers: int = Field(default=128, ge=1)
    """Event streams of one tenant in a process. More are refused with 429."""
    event_poll_seconds: float = Field(default=0.5, gt=0)
    """Seconds between two queries for new job events. One query serves all event streams of a process."""
    max_connections: int = Field(default=2048, ge=1)
    """Open connections of a process. Beyond that the one that has been idle longest is closed, or else the new one refused."""

    # Slow clients
    head_seconds: float = Field(default=10.0, gt=0)
    """Seconds in which the head of a request must arrive. Beyond that it is refused with 408."""
    body_pause_seconds: float = Field(default=10.0, gt=0)
    """Seconds that a body may pause, or fall behind its minimum rate. Beyond that it is refused with 408."""
    body_bytes_per_second: float = Field(default=1024.0, gt=0)
    """Minimum rate of a body."""
    body_seconds: float = Field(default=900.0, gt=0)
    """Seconds in which a whole body must arrive. Beyond that it is refused with 408."""
    answer_pause_seconds: float = Field(default=60.0, gt=0)
    """Seconds that a client may stop reading its answer. Beyond that its connection is closed."""

    # Metrics of a worker
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)
    """Port on which Prometheus reads a worker's metrics. 0: none."""
    worker_metrics_host: str = "127.0.0.1"
    """Address of that port."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment alone, variables with old names included."""
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = use_new_names(env_settings.env_vars)
        return init_settings, env_settings

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
        SettingsError: an environment variable has an invalid value.
    """
    check_threads(os.environ.get("OMP_NUM_THREADS"))
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
    reason = message.removeprefix("Value error, ")
    return reason.replace("Input should be", "to be", 1) if reason.startswith("Input should be") else f"to be valid ({reason})"
