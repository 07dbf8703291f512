"""Client of the VtT service: upload images, train, follow, predict. It needs no torch.

from vtt_client import Client

with Client("http://127.0.0.1:8000") as service:
    images = service.upload("photos")
    job = service.wait(service.train(images.id).id)
    print(service.predict(job.model_id, ["new.jpg"])[0].label)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vtt_client.errors import (
    AccessError,
    BadInputError,
    BatchFailedError,
    BusyError,
    ConflictError,
    ExportFailedError,
    FailedError,
    GoneError,
    InvalidError,
    JobFailedError,
    NotFoundError,
    RefusedError,
    ServiceError,
    TooLargeError,
    UnreachableError,
    VttClientError,
)

if TYPE_CHECKING:
    from vtt_client.async_client import AsyncClient
    from vtt_client.calls import Retries
    from vtt_client.client import Client
    from vtt_client.following import JobEvent
    from vtt_client.predictions import Predictions
    from vtt_client.text_bar import TextBar

__all__ = [
    "AccessError",
    "AsyncClient",
    "BadInputError",
    "BatchFailedError",
    "BusyError",
    "Client",
    "ConflictError",
    "ExportFailedError",
    "FailedError",
    "GoneError",
    "InvalidError",
    "JobEvent",
    "JobFailedError",
    "NotFoundError",
    "Predictions",
    "RefusedError",
    "Retries",
    "ServiceError",
    "TextBar",
    "TooLargeError",
    "UnreachableError",
    "VttClientError",
]
_PLACES = {
    "AsyncClient": "vtt_client.async_client",
    "Retries": "vtt_client.calls",
    "Client": "vtt_client.client",
    "JobEvent": "vtt_client.following",
    "Predictions": "vtt_client.predictions",
    "TextBar": "vtt_client.text_bar",
}
"""Module of each name that takes a third of a second to import, most of it pydantic and HTTP."""


def __getattr__(name: str) -> Any:
    """Import a name when it is used for the first time."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
