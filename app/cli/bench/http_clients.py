"""Ask a service for predictions with as little work as possible: client and service share the processor that is measured."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

BOUNDARY = "vtt-bench"
SECONDS = 120.0


class PredictionClients:
    """Any number of threads that each keep a connection; forms are encoded once."""

    def __init__(self, url: str, model_ids: Sequence[str], files: Sequence[bytes]) -> None:
        """Encode the forms.

        Args:
            url: of the service.
            model_ids: that are asked in turn.
            files: JPEGs that are sent in turn, one in a request.
        """
        self._address = urlsplit(url)
        self._paths = [f"/v1/models/{model_id}/predict" for model_id in model_ids]
        self._forms = [_form(content) for content in files]
        self._kept = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()

    def ask(self, number: int) -> None:
        """Send the request of this number and read its answer.

        Raises:
            ConnectionError: the answer is no prediction.
        """
        status, body = self.try_to_ask(number)
        if status != HTTPStatus.OK:
            raise ConnectionError(f"status {status}: {body[:300]!r}")

    def try_to_ask(self, number: int) -> tuple[int, bytes]:
        """Send the request of this number, and return the status and body of its answer."""
        path, form = self._paths[number % len(self._paths)], self._forms[number % len(self._forms)]
        try:
            return self._post(path, form)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The service closes connections that were idle for some seconds.
            self._connection().close()
            return self._post(path, form)

    def _post(self, path: str, form: bytes) -> tuple[int, bytes]:
        connection = self._connection()
        connection.request("POST", path, form, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._kept, "connection"):
            host, port = self._address.hostname or "", self._address.port
            self._kept.connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
            self._opened.append(self._kept.connection)
        connection: http.client.HTTPConnection = self._kept.connection
        return connection


def _form(content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="image.jpg"\r\n'
    return f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
