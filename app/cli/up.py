"""`vtt up`: run the whole service on this machine until it is stopped.

    vtt up
    ├── redis-server   private, on a socket in the data folder (unless VTT_BROKER_URL is set)
    ├── vtt api        on a socket that vtt up opened, so that the address survives a restart; VTT_API_PROCESSES of them
    └── vtt worker     restarted with growing pauses when it dies

However this process ends, the three end with it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import httpx2
import typer

from app.access.loopback import check_host
from app.cli.api import put_in_environment
from app.cli.children import Child, describe_exit, stop_all
from app.cli.console import stderr_console
from app.cli.worker import worker_arguments
from app.domain.errors import DataFolderInUseError
from app.infra.data_folder import load_local_settings
from app.infra.redis_server import PrivateRedis
from app.infra.settings import Settings
from vtt_core.contract.errors import InputError

URL_FILE = "url"
"""File in the data folder that holds the address while the service is up."""
LOCK_FILE = "up.lock"
WORKER_NICENESS = 5
"""A job may use all cores; predictions beside it go first, by three to one."""
PAUSE_SECONDS = 0.2
"""Between two checks of the children."""
GRACE_SECONDS = 20.0
"""Time for the worker to hand its job back at its next step, and for open requests to finish."""


def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on; VTT_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; VTT_PORT, else 8000. 0 takes a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Data folder; VTT_DATA_DIR, else vtt-data.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N; VTT_DEVICE, else auto.")] = None,
) -> None:
    """Run the service: API, worker and a private Redis, on this machine.

    Prints the address, and writes it to the file `url` in the data folder. Ctrl-C stops everything.
    """
    put_in_environment(host=host, port=port, data_dir=data_dir, device=device)
    settings = load_local_settings()
    check_host(settings.host, requires_keys=settings.require_keys, allows_unauthenticated=settings.allow_unauthenticated)
    settings.data_dir.mkdir(parents=True, exist_ok=True)  # for the lock and the address, even if all data lies elsewhere
    with ExitStack() as stack:
        stack.enter_context(_only_one(settings.data_dir))
        listener = stack.enter_context(_listen(settings))
        redis = None if settings.broker_url else stack.enter_context(PrivateRedis(settings.data_dir))
        code = Supervisor(settings, listener, redis).run()
    raise typer.Exit(code)


class Supervisor:
    """Supervise the API and the worker until a signal comes.

    Args:
        settings: of this process; the children read the same environment.
        listener: listening socket, which the API inherits.
        redis: the private Redis, or None where another is used.
    """

    def __init__(self, settings: Settings, listener: socket.socket, redis: PrivateRedis | None) -> None:
        self._redis = redis
        self._console = stderr_console()
        self._url = _url_of(listener)
        self._url_file = settings.data_dir / URL_FILE
        fd = listener.fileno()
        api = [sys.executable, "-m", "app.cli.api", "--fd", str(fd)]
        # They take connections from one socket, so a client never sees which of them answers.
        names = [f"api {number}" for number in range(1, settings.api_processes + 1)] if settings.api_processes > 1 else ["api"]
        self._apis = [Child(name, api, os.environ, inherited_fds=(fd,)) for name in names]
        worker = Child("worker", [sys.executable, *worker_arguments()], os.environ, niceness=WORKER_NICENESS)
        self._children = [*self._apis, worker]
        self._num_signals = 0
        self._is_announced = self._is_ready = False

    def run(self) -> int:
        """Start the children and wait for SIGINT or SIGTERM.

        Returns:
            Exit code: 0 after a signal, else that of an API that could not start.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._console.print(f"starting on {self._url}", markup=False)
            for child in self._children:
                child.start(time.monotonic())
            while not self._num_signals:
                code = next((code for child in self._apis if (code := child.exit_code) is not None), None)
                if not self._is_announced and code is not None:
                    self._console.print(f"api could not start ({describe_exit(code)})", style="bold red")
                    return code or 1
                self._check()
                time.sleep(PAUSE_SECONDS)
            return 0
        finally:
            self._url_file.unlink(missing_ok=True)
            self._console.print("stopping (Ctrl-C again: at once)")
            signals_before = self._num_signals
            stubborn = stop_all(self._children, GRACE_SECONDS, lambda: self._num_signals > max(signals_before, 1))
            self._console.print("stopped" + (f"; had to kill {', '.join(stubborn)}" if stubborn else ""))

    def _check(self) -> None:
        if self._redis is not None and self._redis.ensure_running():
            self._console.print("redis ended and was restarted", style="yellow")
        for child in self._children:
            message = child.revive(time.monotonic())
            if message:
                self._console.print(message, style="yellow", markup=False)
        if not self._is_announced and _answers(f"{self._url}/livez"):
            self._is_announced = True
            _write_whole(self._url_file, self._url + "\n")
            self._console.print(f"VtT answers on [bold]{self._url}[/bold]  (API: {self._url}/docs)  Ctrl-C stops it")
        elif self._is_announced and not self._is_ready and _answers(f"{self._url}/readyz"):
            self._is_ready = True
            self._console.print("the worker is ready")

    def _on_signal(self, number: int, frame: object) -> None:
        self._num_signals += 1


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the lock of the data folder; the kernel releases it however this process ends."""
    with (data_dir / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            url_file = data_dir / URL_FILE
            where = url_file.read_text().strip() if url_file.exists() else "an address not yet known"
            raise DataFolderInUseError(
                expected=f"no other service in {str(data_dir)!r}",
                got=f"a service that runs on {where}",
                remedy="Use that one, stop it, or choose another folder with --data-dir",
            ) from error
        (data_dir / URL_FILE).unlink(missing_ok=True)
        yield


@contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except (OSError, OverflowError) as error:
            raise InputError(
                expected="a free address",
                got=f"{settings.host}:{settings.port} ({error})",
                remedy="Choose another --port; 0 takes a free one",
            ) from error
        listener.listen(128)
        listener.set_inheritable(True)
        yield listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=1.0, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that no reader sees a part of it."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
