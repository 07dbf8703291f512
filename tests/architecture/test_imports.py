"""Arrows between packages go one way; the linter's contracts stand in pyproject.toml."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

AMBIENT_MODULES = {"time", "datetime", "secrets", "socket", "subprocess"}
AMBIENT_NAMES = {"environ", "getenv"}


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            yield node.module


@pytest.mark.slow
@pytest.mark.services
def test_the_import_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "vtt_core" / "contract").glob("*.py")), ids=lambda path: path.name)
def test_the_contract_imports_only_the_standard_library(path: Path) -> None:
    foreign = {
        module
        for module in imported_modules(path)
        if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("vtt_core.contract")
    }
    assert not foreign


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [path for path in sorted((ROOT / "vtt_core").rglob("*.py")) if "mini" not in path.parts],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_method_reads_no_environment_and_no_clock(path: Path) -> None:
    used = {module.split(".")[0] for module in imported_modules(path)} & AMBIENT_MODULES
    attributes = {
        node.attr for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)
    }
    assert not used
    assert not attributes & AMBIENT_NAMES


@pytest.mark.services
def test_importing_vtt_core_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import vtt_core; print(sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "['vtt_core']"


def installed_by_setup() -> set[str]:
    """Return the names of all distributions that pyproject.toml brings, directly or through others."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [*declared["dependencies"], *(line for extra in declared["optional-dependencies"].values() for line in extra)]
    found: set[str] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        with suppress(PackageNotFoundError):
            waiting += [line for line in requires(name) or [] if "extra ==" not in line]
    return found


def test_every_imported_package_is_brought_by_pyproject() -> None:
    """An environment that has grown by hand hides what a fresh one lacks."""
    distributions = packages_distributions()
    brought = installed_by_setup()
    ours = {"app", "worker", "vtt_core", "migrations", "tests", "docs"}
    files = (path for package in ours for path in (ROOT / package).rglob("*.py"))
    modules = {module.split(".")[0] for path in files for module in imported_modules(path)} - ours - sys.stdlib_module_names
    missing = {
        module for module in modules if not {canonicalize_name(name) for name in distributions.get(module, [])} & brought
    }
    assert not missing
