"""Each image installs in a clean environment, and the control image gets exactly what its role imports, without torch."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from fnmatch import fnmatch
from importlib.metadata import files, metadata, packages_distributions
from pathlib import Path

import httpx2
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.compose_file import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
REQUIREMENTS = ROOT / "deploy" / "control-requirements.txt"
UV = Path(sys.executable).with_name("uv")
BY_NAME = {"psycopg", "s3fs"}
"""Distributions that SQLAlchemy and fsspec import because of a URL."""


def stage(name: str) -> str:
    """Return a stage's text, with continued lines joined."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", "")
    match = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM|\Z)", text, flags=re.DOTALL | re.MULTILINE)
    assert match is not None, name
    return match.group(1)


def install_steps(name: str) -> list[list[str]]:
    """Return the arguments of each `RUN uv pip install ...` of a stage."""
    lines = re.findall(r"^RUN (.*)$", stage(name), flags=re.MULTILINE)
    assert all(line.startswith("uv pip install ") for line in lines)
    return [shlex.split(line.removeprefix("uv ")) for line in lines]


def copied(name: str, into: Path) -> Path:
    """Lay out what a stage copies beside what `build` has copied, as its working directory."""
    into.mkdir()
    for line in re.findall(r"^COPY ([^-].*)$", stage("build") + stage(name), flags=re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            destination = into / (Path(source).name if target == "./" else target)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, destination, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, destination)
    return into


def empty_environment(folder: Path) -> Path:
    """Make an environment with nothing in it, not even pip, and return the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin"


def control_requirements() -> list[Requirement]:
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def declared() -> dict[str, set[str]]:
    """Return the distributions that a cluster needs by pyproject.toml, with their extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    parsed = [Requirement(line) for line in [*project["dependencies"], *extras["postgres"], *extras["s3"]]]
    return {canonicalize_name(one.name): one.extras for one in parsed}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def control_environment(tmp_path: Path, broker_url: str) -> dict[str, str]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VTT_", "PYTHON"))}
    return kept | {
        "VTT_ROLE": "control",
        "VTT_HOST": "127.0.0.1",
        "VTT_PORT": str(port),
        "VTT_DATA_DIR": str(tmp_path / "data"),
        "VTT_BROKER_URL": broker_url,
    }


@pytest.mark.slow
@pytest.mark.services
def test_the_control_image_gets_exactly_what_its_role_imports(tmp_path: Path, broker_url: str) -> None:
    environment = control_environment(tmp_path, broker_url) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.deploy.control_imports"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    known = packages_distributions()
    distributions = {canonicalize_name(name) for module in imported for name in known.get(module, [])} | BY_NAME
    wanted = {name: extras for name, extras in declared().items() if name in distributions}
    assert {canonicalize_name(one.name): one.extras for one in control_requirements()} == wanted
    assert not {"torch", "torchvision", "open-clip-torch"} & set(wanted)


def test_the_build_context_holds_what_the_images_copy() -> None:
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
    assert "*" in patterns
    sources = {
        source
        for line in re.findall(r"^COPY ([^-].*)$", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert sources == set(kept)
    assert not any(fnmatch(".env", pattern) for pattern in kept)


def named_in(requirements: str) -> set[str]:
    """Return the distributions that a file of deploy/ names, without those of files that it includes."""
    lines = (ROOT / "deploy" / requirements).read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith(("#", "-r"))}


def is_under_the_gpl(distribution: str) -> bool:
    """Tell whether a distribution says so, or brings the encoder x265, which is."""
    found = metadata(distribution)
    said = [found.get("License") or "", *found.get_all("Classifier", [])]
    return any("GPL" in one for one in said) or any("x265" in file.name for file in files(distribution) or [])


def test_images_read_dicom_and_only_a_build_argument_brings_what_is_under_the_gpl() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    wanted = {canonicalize_name(Requirement(line).name) for line in [*extras["medical"], *extras["heic"]]}
    assert named_in("formats.txt") | named_in("formats-gpl.txt") == wanted
    assert not any(map(is_under_the_gpl, named_in("formats.txt")))
    assert all(map(is_under_the_gpl, named_in("formats-gpl.txt")))
    assert "ARG FORMATS=formats.txt" in stage("build")
    assert "-r ${FORMATS}" in stage("build")


def test_every_image_runs_without_root_and_without_pip() -> None:
    for name in ("control", "predict", "worker"):
        assert re.findall(r"^USER (\S+)$", stage(name), flags=re.MULTILINE) == ["10001"]
    assert "pip uninstall --yes pip setuptools wheel" in stage("runtime")
    assert "venv --without-pip /opt/vtt" in stage("build")
    assert re.search(r"^ARG PYTHON=python:[\d.]+-slim-bookworm@sha256:[0-9a-f]{64}$", DOCKERFILE.read_text(), re.MULTILINE)


def test_a_user_without_a_home_can_write_compiled_and_downloaded_files() -> None:
    variables = dict(re.findall(r"(\w+)=(\S+)", stage("runtime").split("ENV ")[1].split("\n")[0]))
    assert variables["NUMBA_CACHE_DIR"].startswith("/tmp/")
    assert variables["TRITON_CACHE_DIR"].startswith("/tmp/")
    assert variables["HF_HOME"].startswith("/cache/")


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(600)
def test_the_control_image_installs_and_serves_without_torch(tmp_path: Path, broker_url: str) -> None:
    binaries = empty_environment(tmp_path / "vtt")
    source = copied("build-control", tmp_path / "source")
    for step in install_steps("build-control"):
        subprocess.run([UV, *step, "--quiet", "--python", binaries / "python"], cwd=source, check=True, timeout=500)
    for module in ("torch", "numba", "safetensors", "open_clip"):
        failed = subprocess.run([binaries / "python", "-c", f"import {module}"], capture_output=True, text=True, check=False)
        assert "ModuleNotFoundError" in failed.stderr, module
    environment = control_environment(tmp_path, broker_url)
    check_command = re.search(r'CMD \["python", "-c", "(.*)"\]', stage("api"))
    assert check_command is not None
    with subprocess.Popen([binaries / "vtt", "api"], cwd=tmp_path, env=environment) as process:
        try:
            wait_until_ready(f"http://127.0.0.1:{environment['VTT_PORT']}", process)
            health_check = [binaries / "python", "-c", check_command.group(1)]
            assert subprocess.run(health_check, env=environment, check=False).returncode == 0
        finally:
            process.terminate()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180  # the modules of a new environment are compiled first
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx2.get(url + "/readyz", trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the control process is not ready")


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_packages_of_the_other_images_can_be_found_and_fit_each_other(tmp_path: Path) -> None:
    """Only resolved, not downloaded: the wheels are several gigabytes."""
    source = copied("build-compute", tmp_path / "source")
    first, second = install_steps("build-compute")
    assert first[:2] == second[:2] == ["pip", "install"]
    binaries = empty_environment(tmp_path / "vtt")
    command = [UV, *first, "--dry-run", "--python", binaries / "python"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {canonicalize_name(name) for name in re.findall(r"^ \+ (\S+?)(?:==| @ )", done.stderr, flags=re.MULTILINE)}
    assert set(declared()) <= found
