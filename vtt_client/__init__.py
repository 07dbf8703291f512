"""Client of the VtT service: upload images, train, follow, predict. It needs no torch.

from vtt_client import Client

with Client("http://127.0.0.1:8000") as service:
    images = service.upload("photos")
    job = service.wait(service.train(images.id).id)
    print(service.predict(job.model_id, ["new.jpg"])[0].label)
"""

from vtt_client.async_client import AsyncClient
from vtt_client.calls import Retries
from vtt_client.client import Client
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
