"""Run the cluster of docker-compose.yml without Docker: the same programs and variables, with local addresses."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from app.infra.child_processes import die_with_parent
from app.infra.redis_server import find_redis_server
from tests.deploy.compose_file import ROOT, filled_in_env, read_compose
from tests.fixtures.services import PostgresServer

START_SECONDS = 120.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Cluster:
    """PostgreSQL, Redis, S3, two API processes, a worker and the front proxy.

    Args:
        folder: for logs and what the programs write.
        stack: ends everything.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._compose = read_compose(filled_in_env())
        names = ("postgres:5432", "redis:6379", "minio:9000", "api-control:8000", "api-predict:8000")
        self._addresses = {name: f"127.0.0.1:{free_port()}" for name in names}
        self._start_postgres()
        self._start_redis()
        self._start_s3()
        self.control_url = self._start_api("api-control")
        self.predict_url = self._start_api("api-predict")
        self._start("worker", self.vtt("worker"), self.environment("worker"))
        self.url = self._start_proxy()
        self._wait(f"{self.control_url}/readyz")
        self._wait(f"{self.predict_url}/readyz")

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's variables as in compose, with local addresses."""
        return {name: self._moved(value) for name, value in self._compose["services"][service]["environment"].items()}

    def vtt(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.cli.main", *arguments]

    def call(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command like `docker compose exec`."""
        environment = {**_bare_environment(), **self.environment(service)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def key(self, scopes: str = "train,predict") -> str:
        """Make a key."""
        done = self.call("api-control", self.vtt("keys", "create", "--tenant", "e2e", "--scopes", scopes, "--json"))
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["key"])

    def wait_for_worker(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.call("worker", [sys.executable, "-m", "app.cli.main", "health", "--worker"]).returncode != 0:
            assert time.monotonic() < deadline, self._log("worker")
            time.sleep(0.5)

    def _start_postgres(self) -> None:
        server = PostgresServer(urlsplit(f"//{self._addresses['postgres:5432']}").port or 0)
        self._stack.callback(server.stop)
        variables = self._compose["services"]["postgres"]["environment"]
        assert variables["POSTGRES_USER"] == variables["POSTGRES_DB"]
        server.create_user(variables["POSTGRES_USER"], variables["POSTGRES_PASSWORD"])

    def _start_redis(self) -> None:
        program, *options = self._compose["services"]["redis"]["command"]
        assert program == "redis-server"
        port = self._addresses["redis:6379"].split(":")[1]
        self._start("redis", [find_redis_server(), *options, "--port", port, "--bind", "127.0.0.1"], {})

    def _start_s3(self) -> None:
        from moto.server import ThreadedMotoServer

        host, port = self._addresses["minio:9000"].split(":")
        server = ThreadedMotoServer(host, port=int(port), verbose=False)
        server.start()
        self._stack.callback(server.stop)
        # Like the service `bucket`, but without MinIO's client.
        commands = " ".join(self._compose["services"]["bucket"]["command"])
        made = re.search(r"mc mb --ignore-existing minio/(\S+)", commands)
        assert made is not None
        # Any key may do everything here, so requests need no signature.
        httpx2.put(f"http://{host}:{port}/{made.group(1)}", timeout=60, trust_env=False).raise_for_status()

    def _start_api(self, service: str) -> str:
        address = self._addresses[f"{service}:8000"]
        variables = {**self.environment(service), "VTT_PORT": address.split(":")[1]}
        self._start(service, self.vtt("api"), variables)
        return f"http://{address}"

    def _start_proxy(self) -> str:
        url = f"http://127.0.0.1:{free_port()}"
        config = self._folder / "Caddyfile"
        config.write_text(self._moved((ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")), encoding="utf-8")
        caddy = shutil.which("caddy") or str(Path(sys.executable).with_name("caddy"))
        variables = {**self._compose["services"]["proxy"]["environment"], "SITE_ADDRESS": url}
        variables |= {"XDG_CONFIG_HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)}
        variables["CADDY_ADMIN"] = f"127.0.0.1:{free_port()}"
        self._start("proxy", [caddy, "run", "--config", str(config), "--adapter", "caddyfile"], variables)
        return url

    def _moved(self, text: Any) -> str:
        for name, address in self._addresses.items():
            text = str(text).replace(name, address)
        return str(text)

    def _start(self, name: str, command: list[str], variables: dict[str, str]) -> None:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            command,
            env={**_bare_environment(), **variables},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(),
        )
        self._stack.callback(_stop, process)

    def _wait(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                answer = httpx2.get(url, trust_env=False, timeout=10)
                if answer.status_code == httpx2.codes.OK:
                    return
                got = answer.text
            except httpx2.HTTPError as error:
                got = repr(error)
            assert time.monotonic() < deadline, got + self._log("api-control") + self._log("api-predict")
            time.sleep(0.3)

    def _log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-3000:]


def _bare_environment() -> dict[str, str]:
    """The variables that every container has, and the path of the source."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
