"""Send the requests of `vtt bench load`, in a closed or an open loop.

Closed loop: each client sends its next request once the last is answered; a refused client waits as `Retry-After` says.
Open loop: requests are sent at random times at a given rate, whatever is answered; latency counts from when one was due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import httpx2

from app.cli.bench.load_mix import Ask, Mix

TIMEOUT_SECONDS = 120.0
PROBE_SECONDS = 1.0
"""Pause between two requests to each health endpoint."""
PROBES = ("livez", "readyz")
LIMITS = httpx2.Limits(keepalive_expiry=2.0)
"""Idle connections are closed before the service closes them, after 5 s, perhaps during a request."""
LONGEST_WAIT_SECONDS = 5.0
"""Longest pause of a refused client, whatever it was asked to wait, since the measurement ends."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request."""

    kind: str
    seconds: float
    """From when it was due to the end of the answer."""
    status: int
    """0 if no answer came."""
    failure: str = ""
    """Why no answer came."""
    retry_after: str = ""

    @property
    def is_accepted(self) -> bool:
        """Whether the answer is a success."""
        return 200 <= self.status < 300


class LoadRun:
    """Sends requests for some seconds and records the outcome of each.

    Args:
        url: of the service.
        headers: of every request.
        mix: what to send.
        seconds: how long requests are sent; open ones are then waited for.
    """

    def __init__(self, url: str, headers: dict[str, str], mix: Mix, seconds: float) -> None:
        self._url = url
        self._headers = headers
        self._mix = mix
        self._seconds = seconds
        self._tls = httpx2.create_ssl_context(trust_env=False)
        self._idle: list[httpx2.AsyncClient] = []
        self.outcomes: list[Outcome] = []
        self.start = 0.0
        self.elapsed_seconds = 0.0
        """From the first request to the last answer."""

    async def run(self, num_clients: int, rate: float | None, look: Callable[[float], None], look_seconds: float) -> None:
        """Send requests.

        Args:
            num_clients: of the closed loop.
            rate: requests a second of the open loop; None for the closed loop.
            look: called regularly with the seconds since the start.
            look_seconds: pause between two calls.
        """
        self.start = time.perf_counter()
        background = [asyncio.create_task(self._probe(path)) for path in PROBES]
        background.append(asyncio.create_task(_repeat(self._looking(look), look_seconds)))
        await (self._closed(num_clients) if rate is None else self._open(rate))
        self.elapsed_seconds = time.perf_counter() - self.start
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await asyncio.gather(*(connection.aclose() for connection in self._idle))
        look(time.perf_counter() - self.start)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[httpx2.AsyncClient]:
        # One for each open request: httpx2 searches a pool of hundreds for longer than the service takes to answer.
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def _connect(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self._url, headers=self._headers, timeout=TIMEOUT_SECONDS, verify=self._tls, limits=LIMITS, trust_env=False
        )

    def _is_over(self) -> bool:
        return time.perf_counter() - self.start >= self._seconds

    async def _closed(self, num_clients: int) -> None:
        async def client() -> None:
            while not self._is_over():
                outcome = await self._send(self._mix.draw(), time.perf_counter())
                if outcome.retry_after.isdecimal():
                    await asyncio.sleep(min(float(outcome.retry_after), LONGEST_WAIT_SECONDS))

        await asyncio.gather(*(client() for _ in range(num_clients)))

    async def _open(self, rate: float) -> None:
        random, due, sending = Random(0), time.perf_counter(), set()
        while True:
            due += random.expovariate(rate)
            if due - self.start >= self._seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(self._send(self._mix.draw(), due))
            sending.add(task)
            task.add_done_callback(sending.discard)
        await asyncio.gather(*sending)

    async def _send(self, ask: Ask, due: float) -> Outcome:
        try:
            async with self._connection() as http:
                response = await http.post(ask.path, files=ask.files, json=ask.json)
        except httpx2.HTTPError as error:
            outcome = Outcome(ask.kind, time.perf_counter() - due, 0, type(error).__name__)
        else:
            outcome = _outcome(ask.kind, time.perf_counter() - due, response)
            if outcome.is_accepted:
                self._mix.learn(ask.kind, response.json())
        self.outcomes.append(outcome)
        return outcome

    async def _probe(self, path: str) -> None:
        async def probe() -> None:
            started = time.perf_counter()
            try:
                async with self._connection() as http:
                    response = await http.get(f"/{path}")
            except httpx2.HTTPError as error:
                self.outcomes.append(Outcome(path, time.perf_counter() - started, 0, type(error).__name__))
            else:
                self.outcomes.append(_outcome(path, time.perf_counter() - started, response))

        await _repeat(probe, PROBE_SECONDS)

    def _looking(self, look: Callable[[float], None]) -> Callable[[], Awaitable[None]]:
        async def looking() -> None:
            await asyncio.to_thread(look, time.perf_counter() - self.start)

        return looking


def _outcome(kind: str, seconds: float, response: httpx2.Response) -> Outcome:
    return Outcome(kind, seconds, response.status_code, retry_after=response.headers.get("Retry-After", ""))


async def _repeat(act: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
    while True:
        await act()
        await asyncio.sleep(pause_seconds)
