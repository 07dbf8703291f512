"""The client installs alone, without torch or the service."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOOK = (
    "import json, sys, vtt_client; from importlib.metadata import distributions; "
    "print(json.dumps([vtt_client.__file__, sorted({one.name for one in distributions()})]))"
)


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(300)
def test_it_installs_in_an_empty_environment_with_two_dependencies(tmp_path: Path) -> None:
    import json

    uv = str(Path(sys.executable).with_name("uv"))
    source = tmp_path / "source"  # where setuptools may write
    shutil.copytree(ROOT / "vtt_client", source, ignore=shutil.ignore_patterns("__pycache__"))
    environment = tmp_path / "environment"
    for command in (
        [uv, "venv", "--python", sys.executable, str(environment)],
        [uv, "pip", "install", "--python", str(environment), "-c", str(ROOT / "constraints.txt"), str(source)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
        assert done.returncode == 0, done.stderr
    looked = subprocess.run(
        [str(environment / "bin" / "python"), "-c", LOOK], cwd=tmp_path, capture_output=True, text=True, check=True, env={}
    )
    place, names = json.loads(looked.stdout)
    assert place.startswith(str(environment))
    assert {"vtt-client", "httpx2", "pydantic"} <= set(names)
    assert set(names).isdisjoint({"torch", "vtt-service", "fastapi", "numpy"})


def test_its_version_and_dependencies_are_those_of_the_service() -> None:
    client = tomllib.loads((ROOT / "vtt_client" / "pyproject.toml").read_text())["project"]
    service = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert client["version"] == service["version"]
    assert next(one for one in client["dependencies"] if one.startswith("httpx2")) in service["dependencies"]
