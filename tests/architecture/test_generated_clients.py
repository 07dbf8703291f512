"""Generators of clients take the API's description as it is, and what they make passes the checkers of types."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.write_openapi import SNAPSHOT

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

PYTHON_GENERATOR = "openapi-python-client==0.29.1"
TYPESCRIPT_GENERATOR, TYPESCRIPT = "openapi-typescript@7.13.0", "typescript@5.9.3"
BINARY = (
    "application/zip",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jp2",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
)
"""Media types that the Python generator must be told to be bytes."""
USE_IN_TYPESCRIPT = """
import type { components, operations, paths } from "./api";
type JobRequest = components["schemas"]["JobRequest"];
const job: JobRequest = { name: "", support_set_id: "set_1", method: "auto", preset: "tuned", seed: 1 };
const sent: operations["create_job"]["requestBody"]["content"]["application/json"] = job;
export function label(answer: paths["/predict"]["post"]["responses"][200]["content"]["application/json"]): string | null {
  return answer.predictions[0]?.label ?? sent.method ?? null;
}
"""
USE_IN_PYTHON = """
from vtt_generated.api.jobs import create_job
from vtt_generated.client import AuthenticatedClient
from vtt_generated.models import JobAnswer, JobRequest

def start(client: AuthenticatedClient) -> str:
    answer = create_job.sync(client=client, body=JobRequest(support_set_id="set_1"))
    assert isinstance(answer, JobAnswer)
    return answer.id
"""


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture
def description(tmp_path: Path) -> Path:
    """The description as a service gives it, with a version."""
    document = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    document["info"]["version"] = "0.0.0"
    path = tmp_path / "api.json"
    path.write_text(json.dumps(document))
    return path


def test_openapi_python_client_makes_a_client_without_a_warning(description: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"content_type_overrides": dict.fromkeys(BINARY, "application/octet-stream")})
    )
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    make = ("generate", "--path", str(description), "--config", "config.json", "--output-path", "vtt_generated")
    run(uv, "tool", "run", PYTHON_GENERATOR, *make, "--meta", "none", "--fail-on-warning", folder=tmp_path)
    (tmp_path / "use.py").write_text(USE_IN_PYTHON)
    # The file client.py is the generator's own, whatever the description; its HTTP library need not be installed here.
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = true\nignore_missing_imports = true\nwarn_return_any = false\n"
        "[mypy-vtt_generated.client]\nignore_errors = true\n"
    )
    run(sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "vtt_generated", "use.py", folder=tmp_path)


@pytest.mark.skipif(shutil.which("npx") is None, reason="npm is not installed")
def test_openapi_typescript_makes_types_that_tsc_takes(description: Path, tmp_path: Path) -> None:
    run("npx", "--yes", TYPESCRIPT_GENERATOR, str(description), "-o", "api.ts", folder=tmp_path)
    (tmp_path / "use.ts").write_text(USE_IN_TYPESCRIPT)
    check = ("--strict", "--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler")
    run("npx", "--yes", "--package", TYPESCRIPT, "tsc", *check, "api.ts", "use.ts", folder=tmp_path)
