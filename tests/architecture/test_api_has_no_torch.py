"""Role `control` starts and serves without torch, as a process of its own shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SERVE = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from app.infra.settings import Role, Settings
from app.main import create_app
from tests.fixtures.http_api import encode_image

settings = Settings(role=Role.CONTROL, data_dir=Path(sys.argv[1]), broker_url="redis://127.0.0.1:1/0")
with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
    parts = [(label, ("a.png", encode_image(place))) for place, label in enumerate(("cat", "dog"))]
    support_set_id = client.post("/v1/support-sets", files=parts).json()["id"]
    job = client.post("/v1/jobs", json={"support_set_id": support_set_id})
    assert job.status_code == 202, job.text
    for path in ("/v1/jobs", "/v1/models", "/v1/backbones", "/livez", "/readyz", "/metrics", "/openapi.json"):
        assert client.get(path).status_code in (200, 503), path
print(sorted({"torch", "torchvision", "open_clip", "safetensors"} & set(sys.modules)))
"""


@pytest.mark.services
def test_a_control_process_serves_without_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("[]")
