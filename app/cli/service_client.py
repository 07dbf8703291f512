"""A client of the REST API, for commands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx

from app.domain.errors import ServiceRefusedError
from vtt_core.contract.support_set import SupportImage, SupportSet

TIMEOUT_SECONDS = 120.0


class ServiceClient:
    """One connection to a running service.

    Args:
        url: address that `vtt up` prints.
        transport: sends the requests; None for the network.
        key: API key; None where the service asks for none.
    """

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False, transport=transport, headers=headers)

    def __enter__(self) -> Self:
        """Use the connection."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close the connection."""
        self._http.close()

    def upload(self, support_set: SupportSet) -> str:
        """Send a support set, a form field per class; return its id."""
        parts = [
            (support_class.label, (image.name.rsplit("/", 1)[-1], image.encoded))
            for support_class in support_set.classes
            for image in support_class.images
        ]
        answer = _checked(self._http.post("/v1/support-sets", files=parts))
        return str(answer["id"])

    def start_job(self, request: dict[str, Any]) -> str:
        """Start a fine-tuning; return the job's id."""
        return str(_checked(self._http.post("/v1/jobs", json=request))["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job."""
        return _checked(self._http.get(f"/v1/jobs/{job_id}"))

    def model(self, model_id: str) -> dict[str, Any]:
        """Return a published model."""
        return _checked(self._http.get(f"/v1/models/{model_id}"))

    def events(self, job_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (kind, payload) of each event until the job ends; reconnects where a lost connection stopped."""
        last_id = ""
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            try:
                with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as stream:
                    if stream.status_code != httpx.codes.OK:
                        stream.read()
                        _checked(stream)
                    for event_id, kind, payload in _parse_events(stream.iter_lines()):
                        last_id = event_id
                        yield kind, payload
                return
            except (httpx.RemoteProtocolError, httpx.ReadError):
                continue

    def predict(self, model_id: str, images: Sequence[SupportImage]) -> list[dict[str, Any]]:
        """Classify images; return a result for each, in their order."""
        parts = [("images", (image.name.rsplit("/", 1)[-1], image.encoded)) for image in images]
        return list(_checked(self._http.post(f"/v1/models/{model_id}/predict", files=parts))["predictions"])

    def evaluate(self, model: str, archive: BinaryIO, parameters: dict[str, Any]) -> dict[str, Any]:
        """Measure a model on the images of a zip with a folder per class; return the answer.

        Args:
            model: id or alias.
            archive: the zip.
            parameters: of the request.

        Raises:
            ServiceRefusedError: the service refuses, or does not answer.
        """
        sent = {"archive": ("images.zip", archive, "application/zip")}
        waiting = httpx.Timeout(TIMEOUT_SECONDS, read=None)  # the answer comes when all images have been classified
        try:
            answer = self._http.post(
                f"/v1/models/{quote(model, safe='')}/evaluations", files=sent, params=parameters, timeout=waiting
            )
        except httpx.TransportError as error:
            raise ServiceRefusedError(
                expected=f"a service that answers on {self._http.base_url}",
                got=type(error).__name__,
                remedy="Start one with vtt up, or name it with --url",
            ) from error
        return _checked(answer)


def _parse_events(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (id, kind, payload) of server-sent events; comments and blank ones are skipped."""
    event_id, kind, data = "", "message", ""
    for line in lines:
        if not line:
            if data:
                yield event_id, kind, json.loads(data)
            kind, data = "message", ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            event_id = value
        elif name == "event":
            kind = value
        elif name == "data":
            data += value


def _checked(response: httpx.Response) -> dict[str, Any]:
    """Return the body of a good answer.

    Raises:
        ServiceRefusedError: the status is an error; the problem document says why.
    """
    try:
        body = response.json()
    except ValueError:
        body = {"got": response.text[:200]}
    if response.is_success:
        return dict(body)
    raise ServiceRefusedError(
        expected=str(body.get("expected", "a success")),
        got=f"status {response.status_code}, {body.get('code')}: {body.get('got', body.get('detail'))}",
        remedy=str(body.get("remedy", "Look at the service's log")),
    )
